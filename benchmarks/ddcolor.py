"""DDColor by its ComfyUI node's way and by ours, in one run, with random weights.

Run: ``python -m colorizationnet.benchmarks.ddcolor [--frames N] [--film N] [--variant large]``;
needs spandrel-extra-arches.

*node* is the way of kijai/ComfyUI-DDColor: each picture stretched to a square of 512 px, a* and b*
brought to full size by nearest neighbour, clipped RGB. Random weights do for equality, time and
memory; they say nothing of quality.

- ab: largest difference of a*, b* where both see the same square grey input
- luma: largest and mean error of the result's luma against the source's (levels of 255)
- steps: share of the chroma's change that lies in a third of the columns: near 1 is blocks
- edge, chroma error: a network that gives the true colours at its input size, so that only the way
  to 1080p differs: pixels from 10 to 90 % of a sharp edge, and RMS error of chroma (levels)
- bytes a pixel: growth of the process's peak while one picture of its input size is coloured
- film: 1080p of a still scene with fresh grain and unsteady light; the peak of process and ffmpegs
  for a tenth of the frames and for all, and the flicker (deviation of the chroma over time, levels,
  RMS), steadied and not. ``--render-size`` makes it shorter
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from spandrel_extra_arches.architectures.DDColor import DDColor
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..model import merge, rgb_to_chroma, rgb_to_luma
from ..model.ddcolor import DDColorNetwork, grey_to_lightness, lab_to_rgb
from ..options import ColorOptions, EncodeOptions, FilmOptions
from ..pipeline import colorize_film, colorize_images
from ..video import FrameWriter, read_frames
from .peak import Peak, resident

SQUARE = 512
SPREAD = 20  # of a* and b*
FULL_HD = 1080, 1920
ENCODERS = {"tiny": "convnext-t", "large": "convnext-l"}  # "artistic" is a large one
GRAIN, LIGHT = 8, 0.03  # levels; share by which the light varies
DEEP = EncodeOptions("ffv1", bit_depth=10)  # else rounding would be all that flickers
SETTLED = 4  # frames after which flicker is measured


def random_network(variant: str = "tiny") -> DDColorNetwork:
    torch.manual_seed(0)
    network = DDColor(
        encoder_name=ENCODERS[variant],
        num_output_channels=2,
        last_norm="Spectral",
        num_queries=100,
    )
    with torch.no_grad():
        for _ in range(2):  # spectral norm measures the weights while it trains
            network.train()(torch.rand(1, 3, 64, 64))
    network.eval().requires_grad_(False)
    network.refine_net.append(Scale(network(torch.rand(1, 3, 64, 64)).std()))
    return DDColorNetwork(network, {})


class Scale(nn.Module):
    """Random weights give hardly any colour: brings their a*, b* to the spread of a photo's."""

    def __init__(self, spread: Tensor) -> None:
        super().__init__()
        self.gain = SPREAD / spread

    def forward(self, ab: Tensor) -> Tensor:
        return ab * self.gain


class Known(nn.Module):
    """A network that knows the picture's ``ab``, at the size at which it is asked."""

    def __init__(self, ab: Tensor) -> None:
        super().__init__()
        self.ab = ab

    def forward(self, rgb: Tensor) -> Tensor:
        return interpolate(self.ab, rgb.shape[2:], mode="bicubic", antialias=True)


def node(network: nn.Module, images: Tensor) -> Tensor:
    """What the node does with ``(B, H, W, 3)``."""
    results = []
    for image in images:
        rgb = image.permute(2, 0, 1)[None]
        lightness = grey_to_lightness(rgb_to_luma(rgb))
        small = interpolate(rgb, (SQUARE, SQUARE), mode="bilinear")
        ab = network(rgb_to_luma(small).expand(-1, 3, -1, -1))
        ab = interpolate(ab, rgb.shape[2:])
        results.append(lab_to_rgb(lightness, ab).clamp(0, 1)[0].permute(1, 2, 0))
    return torch.stack(results)


def luma_error(images: Tensor, result: Tensor) -> Tensor:
    before, after = (rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (images, result))
    return (after - before).abs() * 255


def blockiness(result: Tensor) -> float:
    """How much of the chroma's change from column to column is in the largest third of steps."""
    chroma = rgb_to_chroma(result.permute(0, 3, 1, 2))
    steps = chroma.diff(dim=3).abs().sum((0, 1, 2))
    return float(steps.sort(descending=True).values[: len(steps) // 3].sum() / steps.sum())


def compare(network: DDColorNetwork, frames: int) -> None:
    """Equality, time, luma and memory by both ways."""
    options = ColorOptions()
    square = torch.rand(1, 1, SQUARE, SQUARE)
    model, pid = network.chroma_model(options), os.getpid()
    model.predict_ab(square[..., :64, :64])
    before = resident([pid])
    with Peak(pid) as most:
        ours = model.predict_ab(square)
    grown = most.bytes - before
    theirs = network.ddcolor(square.expand(-1, 3, -1, -1))
    print(f"ab: {(ours - theirs).abs().max():.2e} apart (largest {theirs.abs().max():.0f})")

    smooth = interpolate(torch.rand(1, 3, 27, 48), FULL_HD, mode="bicubic").clamp(0, 1)
    images = merge(rgb_to_luma(smooth), torch.zeros(1, 2, *FULL_HD)).permute(0, 2, 3, 1)
    ways = {
        "node": lambda: node(network.ddcolor, images),
        "ours": lambda: colorize_images(network, images, options),
    }
    print("| | s a 1080p frame | luma error, largest | mean | steps in a third of columns |")
    print("|---|---|---|---|---|")
    times: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(frames):
        for name, way in ways.items():
            began = time.process_time()
            results[name] = way()
            times[name].append(time.process_time() - began)
    for name, result in results.items():
        error = luma_error(images, result)
        print(
            f"| {name} | {statistics.median(times[name]):.2f} CPU | {error.max():.3f} | "
            f"{error.mean():.3f} | {blockiness(result):.2f} |"
        )
    print(f"peak: {grown / SQUARE**2:.0f} bytes a pixel of the input above idle")


def sharpness() -> None:
    """What each way keeps of colours that the network knows."""
    height, width = FULL_HD
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # Discs with sharp borders on a ground of one lightness, so that nothing leaves the gamut.
    inside = ((columns % 240 - 120) ** 2 + (rows % 270 - 135) ** 2 < 80**2).float()
    ab = torch.stack((inside * 40 - 20, 20 - inside * 40))[None]
    truth = lab_to_rgb(torch.full((1, 1, height, width), 60.0), ab)
    luma = rgb_to_luma(truth)
    images = luma.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    known = rgb_to_chroma(lab_to_rgb(grey_to_lightness(luma), ab))
    network = Known(ab)
    ways = {
        "node": node(network, images),
        "ours": colorize_images(DDColorNetwork(network, {}), images),
    }
    print("| | edge across, px | edge down, px | chroma error |")
    print("|---|---|---|---|")
    for name, result in ways.items():
        chroma = rgb_to_chroma(result.permute(0, 3, 1, 2))
        error = (chroma - known).square().sum(1).mean().sqrt() * 255
        # Through the middle of a disc, from the middle to the ground beside it.
        across, down = chroma[0, 1, 135 + 270, 120:240], chroma[0, 1, 135:270, 120 + 240]
        print(f"| {name} | {rise(across):.1f} | {rise(down):.1f} | {error:.2f} |")


def rise(profile: Tensor) -> int:
    """Samples of a step's ``profile`` between 10 and 90 % of its height."""
    share = (profile - profile[-1]) / (profile[0] - profile[-1])
    return int(((share > 0.1) & (share < 0.9)).sum())


def film(network: DDColorNetwork, count: int, render_size: int | None) -> None:
    """Memory and flicker of a film of ``count`` frames."""
    options = ColorOptions(render_size=render_size)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.mp4"), Path(folder, "film.mkv")
        write_still(source, count)
        few = max(2 * SETTLED, count // 10)
        print(f"| 1080p film, render size {render_size or 'auto'} | peak MB | s | flicker |")
        print("|---|---|---|---|")
        for frames, stability in ((few, 0.0), (few, 0.5), (count, 0.5)):
            target.unlink(missing_ok=True)
            began = time.perf_counter()
            with Peak(os.getpid()) as most:
                colorize_film(
                    source,
                    target,
                    network,
                    options,
                    FilmOptions(stability),
                    DEEP,
                    frames=range(frames),
                )
            wall = time.perf_counter() - began
            print(
                f"| {frames} frames, stability {stability:g} | {most.bytes / 1e6:.0f} | {wall:.0f} "
                f"| {flicker(target, few):.2f} |",
                flush=True,
            )


def write_still(path: Path, count: int) -> None:
    height, width = FULL_HD
    smooth = interpolate(torch.rand(1, 1, 27, 48), FULL_HD, mode="bicubic").clamp(0, 1)
    scene = smooth[0, 0].numpy() * 200 + 20
    grain = np.random.default_rng(0)
    with FrameWriter(path, width, height, 25, EncodeOptions("h264", 10)) as writer:
        for _ in range(count):
            light = 1 + LIGHT * grain.standard_normal()
            frame = scene * light + GRAIN * grain.standard_normal(FULL_HD, dtype=np.float32)
            levels = frame.round().clip(0, 255).astype(np.uint8)
            writer.write(np.broadcast_to(levels[None, ..., None], (1, *FULL_HD, 3)))


def flicker(path: Path, count: int) -> float:
    size = FULL_HD[1] // 8, FULL_HD[0] // 8
    batches = read_frames(path, size=size, frame_count=count, alpha=False)
    rgb = torch.cat([torch.from_numpy(batch[..., :3]) for batch in batches]).permute(0, 3, 1, 2)
    chroma = rgb_to_chroma(rgb.float())[SETTLED:] / 257  # 16 bits
    return math.sqrt(chroma.var(0).sum(0).mean())


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--variant", choices=ENCODERS, default="tiny")
    parser.add_argument("--film", type=int, metavar="N", help="a film of N frames too")
    parser.add_argument("--render-size", type=int, help="of the film (default: the network's)")
    args = parser.parse_args()
    network = random_network(args.variant)
    compare(network, args.frames)
    sharpness()
    if args.film:
        film(network, args.film, args.render_size)


if __name__ == "__main__":
    main()
