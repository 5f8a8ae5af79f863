"""What steadying does to the colours of film: stillness, fidelity, ghosts and cost, in one table.

Run: ``python -m colorizationnet.benchmarks.steady CLIPS_DIR [--side N] [--frames N]``.

Each clip is seen by the shipped network at ``--side`` pixels; a colour clip is first made grey and
grainy. ``average`` is the simple rival: an exponential average over 16 frames, without motion.

- still: deviation over 16 frames of the chroma where the luma holds still and nothing moves by a
  quarter of a pixel (levels of 255, RMS)
- warp: difference of the chroma to the frame before, along the motion (levels, RMS). The motion is
  our own estimate, from the luma without the added grain, and counts where the luma agrees
- CDC x 1000 (TCVC 2021) of the RGB frames, beside the true frames'
- PSNR of the RGB frames against the true colours with the same luma, in dB
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..model import Colorizer, Steady, load_model, merge, rgb_to_chroma, rgb_to_luma
from ..model.motion import box, estimate_motion, warp
from ..model.resize import resize
from ..model.steady import DEFAULT_STABILITY, Stabilizer
from ..video import probe, read_frames

SOURCE_SIDE = 240  # film grain is about as coarse as a pixel of this size
GRAIN = 8 / 255
SETTLED = 12  # frames after which the measures begin
WINDOW = 16
GREY = 0.5 / 255  # a clip with less chroma than this (RMS) is black and white

Method = Callable[[Tensor, Tensor], Tensor]


def average(chroma: Tensor, _: Tensor) -> Tensor:
    result = chroma.clone()
    for i in range(1, len(result)):
        result[i] = result[i - 1] + (result[i] - result[i - 1]) / 16
    return result


METHODS: dict[str, Method] = {
    "stability 0": lambda chroma, _: chroma,
    "average": average,
    f"stability {DEFAULT_STABILITY:g}": lambda chroma, luma: Steady()(chroma, luma),
    "stability 1": lambda chroma, luma: Steady(1.0)(chroma, luma),
}


def stillness(chroma: Tensor, luma: Tensor, motion: list[tuple[Tensor, Tensor]]) -> float:
    deviations = []
    for start in range(SETTLED, len(luma) - WINDOW + 1, WINDOW):
        window = slice(start, start + WINDOW)
        smooth = box(luma[window], 5)
        smooth = smooth - smooth.flatten(1).median(1).values.view(-1, 1, 1, 1)
        still = smooth.std(0)[0] < 3 / 255
        for flow, _ in motion[start - SETTLED : start - SETTLED + WINDOW]:
            still &= flow[0].norm(dim=0) < 0.25
        deviations.append(chroma[window].var(0).sum(0)[still])
    return torch.cat(deviations).mean().sqrt().item() * 255


def along_motion(luma: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each settled frame: the motion to the frame before, and where the luma agrees."""
    pairs = []
    for now, before in zip(luma[SETTLED:, None], luma[SETTLED - 1 : -1, None], strict=True):
        flow = estimate_motion(now, before)
        pairs.append((flow, (now - warp(before, flow, "bicubic")).abs() < 4 / 255))
    return pairs


def warp_error(chroma: Tensor, motion: list[tuple[Tensor, Tensor]]) -> float:
    errors = []
    for i, (flow, agrees) in enumerate(motion, SETTLED):
        change = chroma[i, None] - warp(chroma[i - 1, None], flow, "bicubic")
        errors.append(change.square().sum(1, keepdim=True)[agrees])
    return torch.cat(errors).mean().sqrt().item() * 255


def cdc(rgb: Tensor) -> float:
    """Colour distribution consistency: Jensen-Shannon divergence of histograms 1, 2, 4 apart."""
    shares = torch.stack(
        [torch.stack([c.histc(256, 0, 1) / c.numel() for c in frame]) for frame in rgb[SETTLED:]]
    )

    def entropy(p: Tensor) -> Tensor:
        return -torch.special.xlogy(p, p).sum(-1)

    steps = []
    for apart in (1, 2, 4):
        p, q = shares[apart:], shares[:-apart]
        steps.append((entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).mean())
    return torch.stack(steps).mean().item() * 1000


def read_clip(path: Path, frames: int) -> Tensor:
    clip = probe(path)
    scale = SOURCE_SIDE / min(clip.width, clip.height)
    size = round(clip.width * scale / 2) * 2, round(clip.height * scale / 2) * 2
    batches = read_frames(clip, size=size, frame_count=frames, alpha=False)
    return torch.cat([torch.from_numpy(b[..., :3]).permute(0, 3, 1, 2) for b in batches]) / 255


def measure(path: Path, frames: int, colorizer: Colorizer) -> tuple[float, float] | None:
    """Print one clip's rows; gives the seconds of network and of steadying."""
    rgb = read_clip(path, frames)
    if len(rgb) < SETTLED + WINDOW:
        print(f"{path.name}: too short")
        return None
    luma, truth = rgb_to_luma(rgb), rgb_to_chroma(rgb)
    in_color = truth.square().mean().sqrt() > GREY
    clean = colorizer.shrink(luma)
    if in_color:
        noise = torch.randn(luma.shape, generator=torch.Generator().manual_seed(0))
        luma = (luma + GRAIN * noise).clamp(0, 1)
        rgb = merge(luma, truth)
    small = colorizer.shrink(luma)
    started = time.process_time()
    chroma = torch.cat([colorizer.see_small(frame) for frame in small.split(1)])
    seeing = time.process_time() - started
    motion = along_motion(clean)
    true_cdc = f"{cdc(rgb):6.3f}" if in_color else "     -"
    print(f"{path.name}, {len(rgb)} frames, {'colour' if in_color else 'black and white'}")
    steadying = 0.0
    reference = None
    for name, method in METHODS.items():
        started = time.process_time()
        steady = method(chroma, small)
        if name.startswith(f"stability {DEFAULT_STABILITY:g}"):
            steadying = time.process_time() - started
        colored = merge(luma, resize(steady, luma.shape[2:]))
        row = stillness(steady, small, motion), warp_error(steady, motion)
        reference = reference or row
        psnr = -10 * (colored - rgb).square().mean((1, 2, 3)).log10().mean().item()
        print(
            f"  {name:14} still {row[0]:5.2f} ({reference[0] / row[0]:4.1f}x)"
            f"  warp {row[1]:5.2f} ({reference[1] / row[1]:4.1f}x)"
            f"  CDC {cdc(colored):6.3f} (true {true_cdc})"
            + (f"  PSNR {psnr:5.2f}" if in_color else ""),
            flush=True,
        )
    return seeing, steadying


def ghosts() -> None:
    """A square of one colour crosses textured ground of another, both with noisy chroma."""
    random = torch.Generator().manual_seed(0)
    height, width, side, speed, frames = 96, 160, 24, 3, 32
    ground = torch.rand(1, 1, 24, 40, generator=random)
    ground = interpolate(ground, (height, width), mode="bicubic")
    luma = (0.2 + 0.4 * ground).repeat(frames, 1, 1, 1)
    truth = torch.tensor((-0.05, 0.05)).view(1, 2, 1, 1).repeat(frames, 1, height, width)
    covered = torch.zeros(frames, 1, height, width, dtype=torch.bool)
    for i in range(frames):
        covered[i, :, 36 : 36 + side, 16 + i * speed : 16 + i * speed + side] = True
    luma[covered] = luma[covered] * 0.3 + 0.6
    truth = torch.where(covered, -truth, truth)
    luma = luma + 0.01 * torch.randn(luma.shape, generator=random)
    chroma = truth + 0.01 * torch.randn(truth.shape, generator=random)
    recently = torch.stack([covered[i - 8 : i].any(0) for i in range(SETTLED, frames)])
    uncovered = recently & ~covered[SETTLED:]
    print("Ghost of a moving square on the ground it left (share of its colour):")
    for name, method in METHODS.items():
        error = (method(chroma, luma) - truth)[SETTLED:, 1:]
        print(f"  {name:14} {-error[uncovered].mean().item() / 0.1:6.1%}", end="")
        print(f"   on the square {error[covered[SETTLED:]].mean().item() / 0.1:6.1%}")


def flicker(path: Path, frames: int) -> None:
    """Random tints of +-10 levels by frame and region on a colour clip: how much is removed."""
    rgb = read_clip(path, frames)
    if len(rgb) <= SETTLED or rgb_to_chroma(rgb).square().mean().sqrt() < GREY:
        return
    random = torch.Generator().manual_seed(0)
    tint = (torch.rand(len(rgb), 2, 3, 4, generator=random) * 2 - 1) * 10 / 255
    tinted = merge(
        rgb_to_luma(rgb),
        rgb_to_chroma(rgb) + interpolate(tint, rgb.shape[2:], mode="bilinear"),
    )
    steady = Stabilizer()(tinted.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    before, after = (
        (rgb_to_chroma(x) - rgb_to_chroma(rgb))[SETTLED:].std(0).mean() for x in (tinted, steady)
    )
    print(f"  {path.name:28} {1 - after / before:6.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the clips' names")
    args = parser.parse_args()
    paths = sorted(p for p in args.clips.iterdir() if any(part in p.name for part in args.only))
    with torch.inference_mode():
        ghosts()
        print("Tint of +-10 levels by frame and region, removed:")
        for path in paths:
            flicker(path, args.frames)
        colorizer = Colorizer(load_model(), render_size=args.side)
        costs = [measure(path, args.frames, colorizer) for path in paths]
    costs = [cost for cost in costs if cost]
    seeing, steadying = map(sum, zip(*costs, strict=True))
    print(f"Steadying costs {steadying / seeing:.1%} of the network's time (CPU seconds, one run)")


if __name__ == "__main__":
    main()
