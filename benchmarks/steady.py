"""What stabilizing does to the colours of film: stillness, fidelity, ghosts and cost.

Run: ``python -m colorizationnet.benchmarks.steady CLIPS_DIR [--side N] [--frames N]``. With
``--set FILE.NAME=VALUE`` it measures another value of a constant in ``docs/tuning.md``, as in
``--set chroma_filter.INNOVATION_GATE=12``.

The shipped network predicts the chroma of each clip at ``--side`` pixels (the shipped weights' own
by default); a colour clip is first made grey and grainy. ``average`` is the simple rival: an
exponential average over 16 frames, without motion.

- still: deviation over up to 16 frames of one shot of the chroma where the luma holds still and
  nothing moves by a quarter of a pixel (levels of 255, RMS)
- warp: difference of the chroma to the frame before, along the motion (levels, RMS). The motion is
  our own estimate, from the luma without the added grain, and counts where the luma agrees
- cuts: the frames where a shot was found to begin, and the difference of their stabilized chroma
  to that of the new shot alone (0: nothing of the old shot is left)
- dissolves, of every two clips without a cut: found within the mix or 4 frames, cuts found beside,
  and what is left of the old shot's colours 8 frames after the mix (share of the difference, RMS)
- CDC x 1000 (TCVC 2021) of the RGB frames, beside the true frames'
- PSNR of the RGB frames against the true colours with the same luma, in dB
"""

import argparse
import ast
import importlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..model import ChromaModel, load_model, merge, resize, rgb_to_chroma, rgb_to_luma
from ..model.temporal import (
    ChromaBatch,
    CutDetector,
    box_mean,
    estimate_motion,
    filter_size,
    stabilize_chroma,
    warp,
)
from ..options import ColorOptions, FilmOptions
from ..pipeline import stabilize_images
from ..video import probe, read_frames

SOURCE_SIDE = 240  # film grain is about as coarse as a pixel of this size
GRAIN = 8 / 255
SETTLED = 12  # frames after which the measures begin
WINDOW = 16
ALONE = 28  # frames of each shot before and after a dissolve
SHORTEST = 6  # frames of one shot on which stillness is measured
COST_SIDES = (48, 64, 128, 224)
BATCH = 4  # frames at a time, as in a film
GREY = 0.5 / 255  # a clip with less chroma than this (RMS) is black and white

Method = Callable[[Tensor, Tensor], Tensor]


def average(chroma: Tensor, _: Tensor) -> Tensor:
    result = chroma.clone()
    for i in range(1, len(result)):
        result[i] = result[i - 1] + (result[i] - result[i - 1]) / 16
    return result


def stabilized(chroma: Tensor, luma: Tensor, **options) -> Tensor:
    return torch.stack(list(stabilize_chroma([ChromaBatch(chroma, luma)], **options)))


DEFAULT = f"stability {FilmOptions.stability:g}"
METHODS: dict[str, Method] = {
    "stability 0": lambda chroma, _: chroma,
    "average": average,
    "not looking ahead": lambda chroma, luma: stabilized(chroma, luma, look_ahead=0),
    DEFAULT: stabilized,
    "stability 0.75": lambda chroma, luma: stabilized(chroma, luma, stability=0.75),
    "stability 1": lambda chroma, luma: stabilized(chroma, luma, stability=1.0),
}


def stillness(
    chroma: Tensor, luma: Tensor, motion: list[tuple[Tensor, Tensor]], cuts: list[int]
) -> float:
    deviations = [torch.empty(0)]
    for first, end in zip([SETTLED, *cuts], [*cuts, len(luma)], strict=True):
        for start in range(max(first, SETTLED), end - SHORTEST + 1, WINDOW):
            window = slice(start, min(start + WINDOW, end))
            smooth = box_mean(luma[window], 5)
            smooth = smooth - smooth.flatten(1).median(1).values.view(-1, 1, 1, 1)
            still = smooth.std(0)[0] < 3 / 255
            for flow, _ in motion[window.start + 1 - SETTLED : window.stop - SETTLED]:
                still &= flow[0].norm(dim=0) < 0.25
            deviations.append(chroma[window].var(0).sum(0)[still])
    return torch.cat(deviations).mean().sqrt().item() * 255


def along_motion(luma: Tensor, cuts: list[int]) -> list[tuple[Tensor, Tensor]]:
    """For each settled frame: the motion to the frame before, and where the luma agrees.

    Nothing agrees across a cut.
    """
    pairs = []
    for i in range(SETTLED, len(luma)):
        flow = estimate_motion(luma[i - 1 : i + 1])
        moved = warp(luma[i - 1, None], flow, "bicubic")
        pairs.append((flow, ((luma[i, None] - moved).abs() < 4 / 255) & (i not in cuts)))
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


def find_cuts(luma: Tensor) -> list[int]:
    """The frames that begin a shot as they are seen, without looking ahead."""
    detector = CutDetector()
    return [i for i, frame in enumerate(luma.split(1)) if i in detector(frame)]


def shrink(luma: Tensor, model: ChromaModel) -> Tensor:
    """Full-size ``luma`` at the size at which ``model`` looks."""
    return resize(luma, model.input_size(*luma.shape[2:])).clamp(0, 1)


def measure(path: Path, frames: int, model: ChromaModel) -> tuple[Tensor, list[int]]:
    """Print one clip's rows; give its small luma and chroma ``(n, 3, h, w)`` and its cuts."""
    rgb = read_clip(path, frames)
    luma, truth = rgb_to_luma(rgb), rgb_to_chroma(rgb)
    in_color = truth.square().mean().sqrt() > GREY
    size = filter_size(*model.input_size(*luma.shape[2:]))
    clean = resize(luma, size).clamp(0, 1)
    if in_color:
        noise = torch.randn(luma.shape, generator=torch.Generator().manual_seed(0))
        luma = (luma + GRAIN * noise).clamp(0, 1)
        rgb = merge(luma, truth)
    chroma = torch.cat([model.chroma(shrink(batch, model)) for batch in luma.split(BATCH)])
    chroma, small = resize(chroma, size), resize(luma, size).clamp(0, 1)
    cuts = find_cuts(small)
    motion = along_motion(clean, cuts)
    true_cdc = f"{cdc(rgb):6.3f}" if in_color else "     -"
    print(f"{path.name}, {len(rgb)} frames, {'colour' if in_color else 'black and white'}")
    if in_color:
        true_warp = warp_error(resize(truth, size), motion)
        print(f"  the true colours  warp {true_warp:5.2f}")
    reference = None
    results = {name: method(chroma, small) for name, method in METHODS.items()}
    for name, result in results.items():
        colored = merge(luma, resize(result, luma.shape[2:]))
        row = stillness(result, small, motion, cuts), warp_error(result, motion)
        reference = reference or row
        psnr = -10 * (colored - rgb).square().mean((1, 2, 3)).log10().mean().item()
        print(
            f"  {name:17} still {_times(row[0], reference[0])}  warp {_times(row[1], reference[1])}"
            f"  CDC {cdc(colored):6.3f} (true {true_cdc})"
            + (f"  PSNR {psnr:5.2f}" if in_color else ""),
            flush=True,
        )
    for cut, end in pairwise([*cuts, len(chroma)]):
        alone = stabilized(chroma[cut:end], small[cut:end])
        left = (results[DEFAULT][cut] - alone[0]).abs().max().item() * 255
        print(f"  cut {cut} ({left:.1f})")
    return torch.cat((small, chroma), dim=1), cuts


def dissolves(shots: list[Tensor]) -> None:
    print("Dissolves:")
    shots = [interpolate(shot, (48, 64), mode="area") for shot in shots]
    shots = [(shot, stabilized(shot[:, 1:], shot[:, :1])) for shot in shots]
    for length in (8, 16, 24, 32):
        share = ((torch.arange(length) + 1) / (length + 1)).view(-1, 1, 1, 1)
        end, after = ALONE + length, ALONE + length + 8
        found, beside, left = 0, 0, []
        pairs = list(permutations([shot for shot in shots if len(shot[0]) >= end], 2))
        if not pairs:
            continue
        for (old, _), (new, alone) in pairs:
            mix = torch.lerp(old[ALONE:end], new[:length], share)
            film = torch.cat((old[:ALONE], mix, new[length:end]))
            cuts = CutDetector()(film[:, :1])
            within = [cut for cut in cuts if ALONE - 4 <= cut < end + 4]
            found += bool(within)
            beside += len(cuts) - len(within)
            own = alone[after - ALONE]
            error = stabilized(film[:, 1:], film[:, :1])[after] - own
            left.append((error.norm() / (old[ALONE, 1:] - own).norm()).item())
        print(
            f"  {length:2} frames: {found} of {len(pairs)} found, {beside} beside; "
            f"left {statistics.mean(left):.0%}",
            flush=True,
        )


def _times(value: float, reference: float) -> str:
    if math.isnan(value):
        return "    -        "
    return f"{value:5.2f} ({reference / value:4.1f}x)"


def cost(path: Path, frames: int) -> None:
    """Print the CPU time of stabilizing beside the network's own, at several render sizes."""
    luma = rgb_to_luma(read_clip(path, frames))
    print(f"CPU milliseconds a frame of {path.name}, {BATCH} at a time, medians:")
    for side in COST_SIDES:
        model = load_model().chroma_model(ColorOptions(side), film=True)
        times: list[tuple[float, float]] = []
        for _ in stabilize_chroma(timed_batches(luma, model, times)):
            pass
        # The first batches warm up.
        network, filtering = (statistics.median(column[2:]) for column in zip(*times, strict=True))
        print(
            f"  {side:4} px  network {network:6.1f}  stabilizing {filtering:5.1f}"
            f"  ({filtering / network:.0%})",
            flush=True,
        )


def timed_batches(
    luma: Tensor, model: ChromaModel, times: list[tuple[float, float]]
) -> Iterator[ChromaBatch]:
    """A film's batches; ``times`` gets for each the CPU time of the network and of the filter."""
    size = filter_size(*model.input_size(*luma.shape[2:]))
    for batch in luma.split(BATCH):
        small, fine = shrink(batch, model), resize(batch, size).clamp(0, 1)
        started = time.process_time()
        chroma = model.chroma(small)
        predicted = time.process_time()
        yield ChromaBatch(chroma, fine)
        # The next batch is asked for when this one is filtered.
        filtered = time.process_time()
        per_frame = 1000 / len(batch)
        times.append(((predicted - started) * per_frame, (filtered - predicted) * per_frame))


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
        print(f"  {name:17} {-error[uncovered].mean().item() / 0.1:6.1%}", end="")
        print(f"   on the square {error[covered[SETTLED:]].mean().item() / 0.1:6.1%}")


def flicker(path: Path, frames: int) -> None:
    """Random tints of +-10 levels by frame and region on a colour clip: how much is removed.

    Beside it the distance from the true colours (levels, RMS) before and after, and what
    stabilizing takes from true colours that have no tint.
    """
    rgb = read_clip(path, frames)
    if len(rgb) <= SETTLED or rgb_to_chroma(rgb).square().mean().sqrt() < GREY:
        return
    random = torch.Generator().manual_seed(0)
    tint = (torch.rand(len(rgb), 2, 3, 4, generator=random) * 2 - 1) * 10 / 255
    tinted = merge(
        rgb_to_luma(rgb),
        rgb_to_chroma(rgb) + interpolate(tint, rgb.shape[2:], mode="bilinear"),
    )

    def change(x: Tensor, y: Tensor) -> Tensor:
        """Of the chroma, in the settled frames."""
        return (rgb_to_chroma(x) - rgb_to_chroma(y))[SETTLED:]

    still, result = stabilized_rgb(rgb), stabilized_rgb(tinted)
    removed = 1 - change(result, still).std(0).mean() / change(tinted, rgb).std(0).mean()
    lost, before, after = (
        change(x, rgb).square().sum(1).mean().sqrt().item() * 255 for x in (still, tinted, result)
    )
    print(
        f"  {path.name:28} {removed:6.1%}   {before:4.1f} -> {after:4.1f}   {lost:4.1f}",
        flush=True,
    )


def stabilized_rgb(rgb: Tensor) -> Tensor:
    return torch.stack(list(stabilize_images([rgb.permute(0, 2, 3, 1)]))).permute(0, 3, 1, 2)


def set_constant(setting: str) -> None:
    """Give a constant of the temporal filter another value: ``file.NAME=VALUE``."""
    path, value = setting.split("=")
    file, name, *field = path.split(".")
    module = importlib.import_module(f"..model.temporal.{file}", __package__)
    new, old = ast.literal_eval(value), getattr(module, name)
    setattr(module, name, old._replace(**{field[0]: new}) if field else new)
    print(f"{path} is {new} instead of {getattr(old, field[0]) if field else old}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--side", type=int, help="render size; the weights' own by default")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the clips' names")
    parser.add_argument("--set", nargs="*", default=[], metavar="FILE.NAME=VALUE")
    args = parser.parse_args()
    for setting in args.set:
        set_constant(setting)
    paths = sorted(p for p in args.clips.iterdir() if any(part in p.name for part in args.only))
    with torch.inference_mode():
        cost(paths[0], args.frames)
        ghosts()
        print(
            "Tint of +-10 levels by frame and region: removed, distance from the truth, and "
            "that of the stabilized truth (levels, RMS):"
        )
        for path in paths:
            flicker(path, args.frames)
        network = load_model()
        model = network.chroma_model(ColorOptions(args.side), film=True)
        print(f"At {args.side or network.metadata['render_size']} px:")
        clips = [measure(path, args.frames, model) for path in paths]
        dissolves([film for film, cuts in clips if not cuts])


if __name__ == "__main__":
    main()
