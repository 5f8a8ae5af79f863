"""How well true frames given as keyframes colour their shots, stage by stage.

    python -m colorizationnet.benchmarks.teach CLIPS... [--every 8] [--keep DIR] [--sheets DIR]
    python -m colorizationnet.benchmarks.teach CLIPS... --imperfect
    python -m colorizationnet.benchmarks.teach CLIPS... --published

Each clip is read at 160 px on its short side and cut at its cuts. Of every shot one true frame, and
three, are the keyframes, and its other frames are coloured from their luma. With ``--published`` a
clip shows a source and another method's result side by side; the result takes the truth's place,
and its first frame, and every 25th, are the keyframes. Figures are PSNR of RGB in dB, the mean over
those frames of a clip that are in no set of keyframes:

- grey: no colour at all; shipped: the shipped weights, frame by frame
- lookup: the first keyframe's mean chroma for each luma level
- taught: a network taught on the keyframes, alone
- memory: the keyframes' colours where their surfaces are seen again, alone
- both: the memory, and the taught network's guess where it does not know
- filtered: both, held still in time, as a film gets them; early: of the first 15 frames after
- corr: correlation of the frames' expected and true error (RMS of chroma) within the clip, and
  below of all clips' frames, there also of the score (high where the error is low: -1 is best)
- keyframe, cut: the most by which chroma steps more than the truth does, at a keyframe and at a cut
  (levels of 255)
- ms: CPU of the memory, and of memory and filter, a frame; s: CPU of teaching, a shot

``--imperfect`` shows what becomes of three keyframes' colours when they are spoilt as in
`imperfect`: taught, filtered, and the mean step at keyframes and elsewhere, ours and the truth's.
For another model's colours that model's guess at every frame is the truth. ``--keep`` keeps taught
networks and takes them from there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..model import ColorizationNet, load_model, merge, resize, rgb_to_chroma, rgb_to_luma
from ..options import TeachOptions
from .imperfect import SPOILT
from .keyframed import (
    COUNTS,
    Carried,
    Shot,
    carry,
    excess_at,
    guess,
    psnr,
    read_published,
    read_shots,
    score,
    small,
    steps,
    taught_network,
)

COLOURLESS = 45.0  # dB of the grey clip against the clip: above, there is no colour to speak of
EARLY = range(1, 16)  # frames
STAGES = ("grey", "shipped", "lookup", "taught", "memory", "both", "filtered")
SHEET_TIMES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, help="clips, or folders of them")
    parser.add_argument("--published", action="store_true", help="source and result side by side")
    parser.add_argument("--imperfect", action="store_true", help="spoil the keyframes")
    parser.add_argument("--sheets", type=Path, help="folder for a contact sheet of every shot")
    parser.add_argument("--keep", type=Path, help="folder for the taught networks")
    parser.add_argument("--steps", type=int, default=TeachOptions.steps)
    parser.add_argument("--weights", type=Path, help="to begin with (default: the shipped ones)")
    parser.add_argument("--every", type=int, default=8, help="judge by every nth frame")
    args = parser.parse_args()
    start = load_model(args.weights)
    if args.imperfect:
        print(f"{'clip':24}{'keyframes':>14}", *(f"{name:>9}" for name in IMPERFECT_COLUMNS))
        for file, shots in read(args):
            imperfect(file.name, shots, start, args)
        return
    print(f"{'clip':24}", *(f"{name:>8}" for name in ("keys", *STAGES, *COLUMNS)))
    rows: dict[int, list[Row]] = {count: [] for count in COUNTS}
    for file, shots in read(args):
        for count in COUNTS:
            row = judge(file, shots, count, start, args)
            rows[count].append(row)
            print(f"{file.name[:24]:24} {count:8}", *row.cells(), flush=True)
    for count in COUNTS:
        if rows[count]:
            summary(count, rows[count])


def read(args: argparse.Namespace) -> Iterator[tuple[Path, list[Shot]]]:
    """The clips that have colour, and their shots."""
    for path in args.clips:
        for file in sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]:
            shots = read_published(file) if args.published else read_shots(file)
            if _mean([psnr_of_grey(shot) for shot in shots]) > COLOURLESS:
                print(f"{file.name:24}  has no colour: left out", flush=True)
            else:
                yield file, shots


class Row:
    """A clip's figures with one number of keyframes."""

    def __init__(self) -> None:
        self.scores: dict[str, list[float]] = {name: [] for name in STAGES}
        self.early: list[float] = []
        self.confidence: list[float] = []
        self.expected: list[float] = []
        self.error: list[float] = []
        self.at_keyframes: list[float] = []
        self.at_cuts: list[float] = []
        self.costs: list[tuple[float, float]] = []
        self.seconds: list[float] = []

    def means(self) -> list[float]:
        return [_mean(self.scores[name]) for name in STAGES]

    def others(self) -> list[float]:
        """The figures of `COLUMNS`; not-a-number where there is none."""
        memory, filtered = zip(*self.costs, strict=True)
        return [
            _mean(self.early),
            _correlation(self.expected, self.error),
            max(self.at_keyframes, default=np.nan),
            max(self.at_cuts, default=np.nan),
            _mean(memory),
            _mean(filtered),
            _mean(self.seconds),
        ]

    def cells(self) -> list[str]:
        return [f"{value:8.2f}" for value in (*self.means(), *self.others())]


COLUMNS = ("early", "corr", "keyframe", "cut", "ms", "ms all", "s")


def judge(
    file: Path, shots: list[Shot], count: int, start: ColorizationNet, args: argparse.Namespace
) -> Row:
    row = Row()
    ends: list[tuple[Tensor, Tensor]] = []  # the last frame's chroma, ours and the truth's
    for number, shot in enumerate(shots, 1):
        keyframes = shot.keyframes[count]
        references = shot.rgb(keyframes)
        kept = args.keep and args.keep / f"{file.stem}-{number}-{count}-{args.steps}.safetensors"
        began = time.process_time()
        network = taught_network(start, references, args.steps, kept)
        row.seconds.append(time.process_time() - began)
        carried = carry(shot, keyframes, references, guess(network, shot))
        _, truth = small(shot)
        chroma = carried.stages["filtered"]
        if ends:
            ours, true = ends[-1]
            if ours.shape == chroma.shape[1:]:
                pairs = torch.stack((ours, chroma[0])), torch.stack((true, truth[0]))
                change, true_change = map(steps, pairs)
                row.at_cuts.append(float(change - true_change))
        ends.append((chroma[-1], truth[-1]))
        row.at_keyframes += excess_at(keyframes, chroma, truth)
        row.costs.append(carried.milliseconds)
        row.early += score(shot, [i for i in EARLY if i < len(truth)], chroma)
        if args.sheets is not None:
            args.sheets.mkdir(parents=True, exist_ok=True)
            page = sheet(shot, keyframes, carried)
            page.save(args.sheets / f"{file.stem}-{number}-{count}.png")
        if judged := shot.judged(args.every):
            stages = rivals(shot, start) | carried.stages
            for name in STAGES:
                row.scores[name] += score(shot, judged, stages[name])
            row.confidence += carried.confidence[judged].mean((1, 2, 3)).tolist()
            row.expected += carried.error[judged].square().mean((1, 2, 3)).sqrt().tolist()
            error = (chroma - truth)[judged].square().sum(1).mean((1, 2)).sqrt()
            row.error += error.tolist()
    return row


def rivals(shot: Shot, shipped: ColorizationNet) -> dict[str, Tensor]:
    """The chroma of the ways that need no memory; the lookup's is as large as the frames."""
    return {
        "grey": torch.zeros(len(shot.frames), 2, 1, 1),
        "shipped": guess(shipped, shot),
        "lookup": lookup(shot.rgb(shot.keyframes[1][:1]), shot),
    }


def lookup(reference: Tensor, shot: Shot) -> Tensor:
    """The rival: mean chroma for each of 256 luma levels of ``reference`` ``(1, 3, H, W)``."""
    levels = rgb_to_luma(reference).mul(255).round().long().flatten()
    chroma = rgb_to_chroma(reference).transpose(0, 1).flatten(1)
    count = torch.bincount(levels, minlength=256)
    table = torch.zeros(2, 256).index_add_(1, levels, chroma) / count.clamp_min(1)
    known = count.nonzero().flatten()
    nearest = known[(torch.arange(256)[:, None] - known).abs().argmin(1)]
    table = table[:, nearest].half()
    parts = [rgb_to_luma(part.float()).round().long().squeeze(1) for part in shot.frames.split(64)]
    return torch.cat([table[:, part].transpose(0, 1) for part in parts])


def summary(count: int, rows: list[Row]) -> None:
    means = [_mean(column) for column in zip(*(row.means() for row in rows), strict=True)]
    others = [_mean(column) for column in zip(*(row.others() for row in rows), strict=True)]
    print(f"{'mean of the clips':24} {count:8}", *(f"{value:8.2f}" for value in means + others))
    print(f"{'gain over grey':24} {'':8}", *(f"{value - means[0]:+8.2f}" for value in means))
    worst = min(row.means()[-1] - row.means()[STAGES.index("lookup")] for row in rows)
    confidence, expected, error = (
        [value for row in rows for value in getattr(row, name)]
        for name in ("confidence", "expected", "error")
    )
    print(
        f"filtered against lookup, worst clip: {worst:+.2f} dB; pooled correlation with the error: "
        f"expected {_correlation(expected, error):.2f}, score {_correlation(confidence, error):.2f}"
    )


IMPERFECT_COLUMNS = ("taught", "filtered", "keyframe", "true", "elsewhere", "true")


def imperfect(
    name: str, shots: list[Shot], start: ColorizationNet, args: argparse.Namespace
) -> None:
    """Print a row for each way of spoiling a clip's keyframes, three a shot."""
    for kind, spoil in SPOILT.items():
        scores: dict[str, list[float]] = {"taught": [], "filtered": []}
        measured: list[list[float]] = [[], [], [], []]
        for shot in shots:
            keyframes = shot.keyframes[3]
            if kind == "another model":
                frames = [spoil(part.float() / 255) for part in shot.frames.split(32)]
                shot = replace(shot, frames=torch.cat(frames).mul(255).round().byte())
                references = shot.rgb(keyframes)
            else:
                references = spoil(shot.rgb(keyframes))
            network = taught_network(start, references, args.steps, None)
            carried = carry(shot, keyframes, references, guess(network, shot))
            for stage in scores:
                scores[stage] += score(shot, shot.judged(args.every), carried.stages[stage])
            around = sorted({k + side for k in keyframes for side in (-1, 0)})
            around = [step for step in around if 0 <= step < len(shot.frames) - 1]
            for n, chroma in enumerate((carried.stages["filtered"], small(shot)[1])):
                change = steps(chroma)
                measured[n] += change[around].tolist()
                measured[2 + n] += change.tolist()
        cells = [*map(_mean, scores.values()), *map(_mean, measured)]
        print(f"{name[:24]:24}{kind:>14}", *(f"{value:9.2f}" for value in cells), flush=True)


def psnr_of_grey(shot: Shot) -> float:
    frames = shot.rgb(list(range(0, len(shot.frames), max(1, len(shot.frames) // 8))))
    return _mean(psnr(rgb_to_luma(frames).expand(-1, 3, -1, -1), frames))


def sheet(shot: Shot, keyframes: list[int], carried: Carried) -> Image.Image:
    """Rows: grey, taught, filtered, truth, at five times; to the left the first keyframe."""
    times = np.linspace(0, len(shot.frames) - 1, SHEET_TIMES).round().astype(int).tolist()
    truth = shot.rgb(times)
    luma, size = rgb_to_luma(truth), truth.shape[2:]
    rows = {"grey": luma.expand(-1, 3, -1, -1)}
    for stage in ("taught", "filtered"):
        rows[stage] = merge(luma, resize(carried.stages[stage][times], size))
    rows["truth"] = truth
    height, width = size
    page = Image.new("RGB", (width * (SHEET_TIMES + 1), (height + 12) * len(rows)))
    draw = ImageDraw.Draw(page)
    tiles = [(0, 0, f"keyframe {keyframes[0]}", shot.rgb(keyframes[:1])[0])]
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


def _correlation(one: list[float], other: list[float]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if len(one) > 2 else np.nan


def _mean(values) -> float:
    """The mean of the numbers among ``values``."""
    found = [value for value in values if not np.isnan(value)]
    return sum(found) / len(found) if found else np.nan


if __name__ == "__main__":
    main()
