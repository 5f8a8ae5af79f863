"""DDColor-tiny by its ComfyUI node's way and by ours, in one run, with random weights.

Run: ``python -m colorizationnet.benchmarks.ddcolor [--frames N]``; needs spandrel-extra-arches.

*node* is the way of kijai/ComfyUI-DDColor: each picture stretched to a square of 512 px, a* and b*
brought to full size by nearest neighbour, clipped RGB. Random weights do for equality, time and
memory; they say nothing of quality.

- ab: largest difference of a*, b* where both see the same square grey input
- luma: largest and mean error of the result's luma against the source's (levels of 255)
- steps: share of the chroma's change that lies in a third of the columns: near 1 is blocks
- bytes a pixel: growth of the process's peak while one picture of its input size is coloured
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import torch
from spandrel_extra_arches.architectures.DDColor import DDColor
from torch import Tensor
from torch.nn.functional import interpolate

from ..model import merge, rgb_to_chroma, rgb_to_luma
from ..model.ddcolor import DDColorNetwork, grey_to_lightness, lab_to_rgb
from ..options import ColorOptions
from ..pipeline import colorize_images

SQUARE = 512
SPREAD = 20  # of a* and b*


def random_network() -> DDColorNetwork:
    torch.manual_seed(0)
    network = DDColor(
        encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral", num_queries=100
    )
    with torch.no_grad():
        for _ in range(2):  # spectral norm measures the weights while it trains
            network.train()(torch.rand(1, 3, 64, 64))
    network.eval().requires_grad_(False)
    network.refine_net.append(Scale(network(torch.rand(1, 3, 64, 64)).std()))
    return DDColorNetwork(network, {})


class Scale(torch.nn.Module):
    """Random weights give hardly any colour: brings their a*, b* to the spread of a photo's."""

    def __init__(self, spread: Tensor) -> None:
        super().__init__()
        self.gain = SPREAD / spread

    def forward(self, ab: Tensor) -> Tensor:
        return ab * self.gain


def node(network: DDColorNetwork, images: Tensor) -> Tensor:
    """What the node does with ``(B, H, W, 3)``."""
    results = []
    for image in images:
        rgb = image.permute(2, 0, 1)[None]
        lightness = grey_to_lightness(rgb_to_luma(rgb))
        small = interpolate(rgb, (SQUARE, SQUARE), mode="bilinear")
        ab = network.ddcolor(rgb_to_luma(small).expand(-1, 3, -1, -1))
        ab = interpolate(ab, rgb.shape[2:])
        results.append(lab_to_rgb(lightness, ab).clamp(0, 1)[0].permute(1, 2, 0))
    return torch.stack(results)


def luma_error(images: Tensor, result: Tensor) -> Tensor:
    before, after = (rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (images, result))
    return (after - before).abs() * 255


def blockiness(result: Tensor) -> float:
    """How much of the chroma's change from column to column is in the largest tenth of steps."""
    chroma = rgb_to_chroma(result.permute(0, 3, 1, 2))
    steps = chroma.diff(dim=3).abs().sum((0, 1, 2))
    return float(steps.sort(descending=True).values[: len(steps) // 3].sum() / steps.sum())


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=3)
    args = parser.parse_args()
    network = random_network()
    options = ColorOptions()

    square = torch.rand(1, 1, SQUARE, SQUARE)
    before = peak()
    ours = network.chroma_model(options).predict_ab(square)
    grown = peak() - before
    theirs = network.ddcolor(square.expand(-1, 3, -1, -1))
    print(f"ab: {(ours - theirs).abs().max():.2e} apart (largest {theirs.abs().max():.0f})")

    smooth = interpolate(torch.rand(1, 3, 27, 48), (1080, 1920), mode="bicubic").clamp(0, 1)
    images = merge(rgb_to_luma(smooth), torch.zeros(1, 2, 1080, 1920)).permute(0, 2, 3, 1)
    ways = {
        "node": lambda: node(network, images),
        "ours": lambda: colorize_images(network, images, options),
    }
    print("| | s a 1080p frame | luma error, largest | mean | steps in a third of columns |")
    print("|---|---|---|---|---|")
    times: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(args.frames):
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


if __name__ == "__main__":
    main()
