"""How well a taught network colours a shot, against what else could.

    python -m colorizationnet.benchmarks.teach CLIPS... [--sheets DIR]

Each clip is read at 160 px on its short side and cut at its cuts. Of every shot one true frame (the
keyframe) teaches, and all its other frames are coloured from their luma. Figures are PSNR of RGB
in dB, the mean over those frames of a clip:

- grey: no colour at all
- shipped: the shipped weights, frame by frame, with their own render size and gain
- lookup: the keyframe's mean chroma for each luma level, the nearest level where it has none
- taught: by the keyframe, and by three keyframes (those are left out of both figures' frames)

CPU s: processor seconds of teaching a shot from one frame, over all threads, and the longest of
the clip's shots.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..model import ColorizationNet, load_model, merge, rgb_to_chroma, rgb_to_luma
from ..model.temporal import CutDetector, KeyframePicker
from ..options import ColorOptions, TeachOptions
from ..pipeline import colorize_images, teach
from ..video import probe, read_frames

SHORT_SIDE = 160
COLOURLESS = 45.0  # dB of the grey clip against the clip: above, there is no colour to speak of
COLUMNS = ("grey", "shipped", "lookup", "taught", "taught 3")
SHEET_TIMES = 5
Colour = Callable[[Tensor], Tensor]  # frames (n, 3, H, W) of which only the luma may be used


@dataclass
class Shot:
    frames: Tensor  # (n, 3, H, W), uint8
    keyframes: dict[int, list[int]]  # by how many

    def rgb(self, indices: list[int]) -> Tensor:
        return self.frames[indices].float().div_(255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, help="clips, or folders of them")
    parser.add_argument("--sheets", type=Path, help="folder for a contact sheet of every shot")
    parser.add_argument("--steps", type=int, default=TeachOptions.steps)
    parser.add_argument("--weights", type=Path, help="to begin with (default: the shipped ones)")
    parser.add_argument("--every", type=int, default=1, help="judge by every nth frame")
    args = parser.parse_args()
    files = [
        file
        for path in args.clips
        for file in (sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path])
    ]
    print(f"{'clip':28}{'shots':>6}", *(f"{name:>9}" for name in COLUMNS), f"{'CPU s':>12}")
    rows = []
    for file in files:
        shots = read_shots(file)
        if _mean([psnr_of_grey(shot) for shot in shots]) > COLOURLESS:
            print(f"{file.name:28}  has no colour: left out", flush=True)
            continue
        results = []
        for number, shot in enumerate(shots, 1):
            results.append(judge(shot, load_model(args.weights), args.steps, args.every))
            if args.sheets is not None:
                args.sheets.mkdir(parents=True, exist_ok=True)
                sheet(shot, results[-1].taught).save(args.sheets / f"{file.stem}-{number}.png")
        scores = [_mean(sum((r.scores[name] for r in results), [])) for name in COLUMNS]
        rows.append(scores)
        seconds = [r.seconds for r in results]
        print(
            f"{file.name:28}{len(shots):6}",
            *(f"{score:9.2f}" for score in scores),
            f"{_mean(seconds):6.1f}{max(seconds):6.1f}",
            flush=True,
        )
    means = [_mean(column) for column in zip(*rows, strict=True)]
    print(f"{'mean of the clips':34}", *(f"{score:9.2f}" for score in means))
    print(f"{'gain over grey':34}", *(f"{score - means[0]:+9.2f}" for score in means))


@dataclass
class Result:
    scores: dict[str, list[float]]
    taught: Colour
    seconds: float


def judge(shot: Shot, shipped: ColorizationNet, steps: int, every: int) -> Result:
    """PSNR of every way on the frames that are in neither set of keyframes."""
    taken = {index for keyframes in shot.keyframes.values() for index in keyframes}
    rest = [i for i in range(0, len(shot.frames), every) if i not in taken]
    began = time.process_time()
    taught = learn(shipped, shot, 1, steps)
    seconds = time.process_time() - began
    ways: dict[str, Colour] = {
        "grey": lambda frames: rgb_to_luma(frames).expand(-1, 3, -1, -1),
        "shipped": colour_with(shipped),
        "lookup": lookup(shot.rgb(shot.keyframes[1])),
        "taught": taught,
        "taught 3": learn(shipped, shot, 3, steps),
    }
    scores: dict[str, list[float]] = {name: [] for name in ways}
    for start in range(0, len(rest), 32):
        frames = shot.rgb(rest[start : start + 32])
        for name, colour in ways.items():
            scores[name] += psnr(colour(frames), frames)
    return Result(scores, taught, seconds)


def learn(network, shot: Shot, count: int, steps: int) -> Colour:
    references = list(shot.rgb(shot.keyframes[count]).permute(0, 2, 3, 1))
    return colour_with(teach(network, references, TeachOptions(steps)))


def colour_with(network) -> Colour:
    options = ColorOptions(int(network.metadata["render_size"]))
    return lambda frames: colorize_images(network, frames.permute(0, 2, 3, 1), options).permute(
        0, 3, 1, 2
    )


def lookup(reference: Tensor) -> Colour:
    """The rival: mean chroma for each of 256 luma levels of ``reference`` ``(1, 3, H, W)``."""
    levels = rgb_to_luma(reference).mul(255).round().long().flatten()
    chroma = rgb_to_chroma(reference).transpose(0, 1).flatten(1)
    count = torch.bincount(levels, minlength=256)
    table = torch.zeros(2, 256).index_add_(1, levels, chroma) / count.clamp_min(1)
    known = count.nonzero().flatten()
    nearest = known[(torch.arange(256)[:, None] - known).abs().argmin(1)]
    table = table[:, nearest]

    def colour(frames: Tensor) -> Tensor:
        luma = rgb_to_luma(frames)
        chroma = table[:, luma.mul(255).round().long().squeeze(1)].transpose(0, 1)
        return merge(luma, chroma)

    return colour


def psnr(images: Tensor, truth: Tensor) -> list[float]:
    error = (images - truth).square().mean((1, 2, 3)).clamp_min(1e-10)
    return (-10 * error.log10()).tolist()


def psnr_of_grey(shot: Shot) -> float:
    frames = shot.rgb(list(range(0, len(shot.frames), max(1, len(shot.frames) // 8))))
    return _mean(psnr(rgb_to_luma(frames).expand(-1, 3, -1, -1), frames))


def read_shots(file: Path) -> list[Shot]:
    clip = probe(file)
    scale = min(1.0, SHORT_SIDE / min(clip.width, clip.height))
    size = round(clip.width * scale), round(clip.height * scale)
    detector = CutDetector()
    batches, cuts = [], []
    for batch in read_frames(clip, size=size, alpha=False):
        frames = torch.from_numpy(batch if batch.dtype == np.uint8 else (batch >> 8).astype("u1"))
        frames = frames.permute(0, 3, 1, 2)
        batches.append(frames)
        cuts += detector(rgb_to_luma(frames.float().div_(255)))
    shots = []
    for frames in torch.cat(batches).tensor_split(cuts):
        picker = KeyframePicker()
        for part in frames.split(64):
            picker(rgb_to_luma(part.float().div_(255)))
        shots.append(Shot(frames, {count: picker.pick(count) for count in (1, 3)}))
    return shots


def sheet(shot: Shot, taught: Colour) -> Image.Image:
    """Rows: grey, taught, truth, at five times; to the left the keyframe."""
    times = np.linspace(0, len(shot.frames) - 1, SHEET_TIMES).round().astype(int).tolist()
    truth = shot.rgb(times)
    keyframe = shot.rgb(shot.keyframes[1])
    rows = {
        "grey": rgb_to_luma(truth).expand(-1, 3, -1, -1),
        "taught": taught(truth),
        "truth": truth,
    }
    _, _, height, width = truth.shape
    page = Image.new("RGB", (width * (SHEET_TIMES + 1), (height + 12) * len(rows)))
    draw = ImageDraw.Draw(page)
    tiles = [(0, 0, "keyframe", keyframe[0])]
    for row, (name, frames) in enumerate(rows.items()):
        tiles += [
            (column, row, f"{name} {time}", frame)
            for column, (time, frame) in enumerate(zip(times, frames, strict=True), 1)
        ]
    for column, row, label, frame in tiles:
        pixels = frame.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
        corner = column * width, row * (height + 12)
        draw.text((corner[0] + 2, corner[1]), label)
        page.paste(Image.fromarray(pixels), (corner[0], corner[1] + 12))
    return page


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
