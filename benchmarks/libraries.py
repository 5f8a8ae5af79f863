"""Our own code against the library function that does the same, in one run: what it saves.

Run: ``python -m colorizationnet.benchmarks.libraries [--rounds N]``. Each row is the median of
interleaved rounds in CPU time of this process; *ratio* is the library's time to ours.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad
from torchvision.transforms.v2 import functional as vision

from ..model import load_model, resize
from ..model.temporal import box_mean
from ..options import ColorOptions
from ..pipeline import to_images

Case = tuple[str, Callable[[], object], Callable[[], object]]


def cases() -> list[Case]:
    network = load_model()
    layers = [(conv.weight, conv.bias) for conv in network.layers]

    def direct(luma: torch.Tensor) -> torch.Tensor:
        x = luma
        for weight, bias in layers[:-1]:
            x = conv2d(x, weight, bias, padding=2).relu_()
        return conv2d(x, *layers[-1], padding=2).sigmoid_()

    rows: list[Case] = []
    for label, options in (
        ("film, 4 frames", ColorOptions(quality="fast")),
        ("one picture, best", ColorOptions(quality="best")),
        ("taught, 4 frames at 64 px", ColorOptions(64, quality="full")),
    ):
        model = network.chroma_model(options)
        size = model.input_size(1080, 1920)
        luma = torch.rand(1 if "picture" in label else 4, 1, *size)
        if "best" in label:
            smaller = [resize(luma, [round(s * k) for s in size]) for k in (2 / 7, 4 / 7)]
            rows.append(
                (
                    f"Winograd, {label}",
                    lambda model=model, luma=luma: model.rgb(luma),
                    lambda smaller=smaller, luma=luma: [direct(x) for x in (*smaller, luma)],
                )
            )
        elif "taught" in label:
            parities = torch.cat(
                [luma[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
            )
            rows.append(
                (
                    f"Winograd, {label}",
                    lambda model=model, luma=luma: model.rgb(luma),
                    lambda parities=parities: direct(parities),
                )
            )
        else:
            rows.append(
                (
                    f"Winograd, {label}",
                    lambda model=model, luma=luma: model.rgb(luma),
                    lambda luma=luma: direct(luma),
                )
            )
    plane = torch.rand(1, 1, 1080, 1920)
    small = torch.rand(1, 2, 48, 85)
    film = torch.rand(4, 1, 48, 85)
    frames = (np.random.default_rng(0).random((4, 1080, 1920, 3)) * 255).astype(np.uint8)
    batch = torch.from_numpy(frames)
    rows += [
        (
            "shrink 1080p luma to 48 px",
            lambda: resize(plane, (48, 85)),
            lambda: interpolate(plane, (48, 85), mode="bicubic", antialias=True),
        ),
        (
            "the same by torchvision",
            lambda: resize(plane, (48, 85)),
            lambda: vision.resize(
                plane, [48, 85], interpolation=vision.InterpolationMode.BICUBIC, antialias=True
            ),
        ),
        (
            "chroma of 48 px to 1080p",
            lambda: resize(small, (1080, 1920)),
            lambda: interpolate(small, (1080, 1920), mode="bicubic", antialias=True),
        ),
        (
            "mean over 9x9 pixels, 4 frames of 48 px",
            lambda: box_mean(film, 9),
            lambda: avg_pool2d(pad(film, (4, 4, 4, 4), mode="replicate"), 9, 1),
        ),
        (
            "4 frames of 1080p, bytes to float",
            lambda: to_images(frames),
            lambda: vision.to_dtype(batch, torch.float32, scale=True),
        ),
    ]
    return rows


def measure(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> list[float]:
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 2):
        for kept, work in zip(times, (ours, theirs), strict=True):
            began = time.process_time()
            work()
            kept.append(time.process_time() - began)
    return [statistics.median(kept[2:]) for kept in times]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| | ours, ms | library, ms | ratio |\n|---|---|---|---|")
    for label, ours, theirs in cases():
        own, other = measure(ours, theirs, args.rounds)
        print(f"| {label} | {own * 1e3:.2f} | {other * 1e3:.2f} | {other / own:.2f} |", flush=True)
    code = "import time, torch; t = time.process_time(); import torchvision.transforms.v2; "
    code += "print(time.process_time() - t)"
    seconds = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(f"\nimport of torchvision after torch: {float(seconds.stdout):.2f} CPU s")


if __name__ == "__main__":
    main()
