"""Measure weights on photos, beside what knows nothing and what knows too much.

    python -m colorizationnet.training.evaluate [WEIGHTS] --kodak DIR --bsds DIR --photos DIR

Every picture goes the way of a frame, through ``colorize_images``. PSNR is over RGB at full size;
explained, corr, CIEDE2000 and the two below are taken at 64 px on the short side, because finer
chroma is nobody's question; every figure is the mean over the pictures of a set.

- under: pictures that lose more than 0.2 dB to grey
- blotches: how far chroma wanders within a surface of even luma, as a share of what the truth's
  does there
- loud: share of the pixels that are saturated and more than 90 degrees of hue from the truth

*restrained* are those photos of the validation split that come from collections of clothes on plain
ground, of portraits, and of textbooks (people indoors, events, still lifes), by their folders'
names: pictures with less colour than Kodak's and BSDS'.
"""

import argparse
import copy
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.utils import make_grid, save_image

from ..model import Network, load_model, merge, rgb_to_chroma, rgb_to_luma
from ..options import LOOKS, QUALITIES, ColorOptions
from ..pipeline import colorize_images
from .data import find_photos, read_photo, split
from .metrics import (
    ChromaScore,
    ciede2000,
    colorfulness,
    psnr,
    unevenness,
    wrong_and_loud,
)

MEASURED_AT = 64
LEVELS = 32
LOSS = 0.2  # dB under grey that count
RESTRAINED = ("clothing", "team", "openstax")  # in the names of folders

# RGB (3, H, W) in [0, 1] -> the same picture with other colours and the same luma.
Method = Callable[[Tensor], Tensor]


@dataclass
class Result:
    """Means over a set of pictures; ``spread`` and ``tint`` are the parts of colorfulness."""

    psnr: float
    explained: float
    corr: float
    ciede2000: float
    colorfulness: float
    spread: float
    tint: float
    under: int
    blotches: float
    loud: float


def evaluate(pictures: Iterable[Tensor], method: Method) -> Result:
    """Score ``method`` on RGB pictures ``(3, H, W)``, uint8."""
    score, rows, uneven = ChromaScore(), [], []
    for picture in pictures:
        truth = picture.float() / 255
        color = method(truth)
        small, small_truth = reduce(color, MEASURED_AT), reduce(truth, MEASURED_AT)
        chroma, true_chroma = rgb_to_chroma(small), rgb_to_chroma(small_truth)
        score.add(chroma, true_chroma)
        ratio = psnr(color, truth)
        luma = rgb_to_luma(small_truth)
        rows.append(
            (
                ratio,
                ciede2000(small, small_truth),
                *colorfulness(color),
                ratio < psnr(grey(truth), truth) - LOSS,
                wrong_and_loud(chroma, true_chroma),
            )
        )
        uneven.append((unevenness(chroma, luma), unevenness(true_chroma, luma)))
    columns = list(zip(*rows, strict=True))
    ratio, difference, spread, tint, _, loud = (statistics.fmean(column) for column in columns)
    blotches, true_blotches = torch.tensor(uneven).nanmean(0).tolist()
    return Result(
        ratio,
        score.explained,
        score.corr,
        difference,
        spread + 0.3 * tint,
        spread,
        tint,
        sum(columns[4]),
        blotches / true_blotches,
        loud,
    )


def reduce(picture: Tensor, short_side: int) -> Tensor:
    """``(C, H, W)`` with the given short side; smaller pictures stay as they are."""
    scale = min(1.0, short_side / min(picture.shape[1:]))
    size = [max(1, round(scale * side)) for side in picture.shape[1:]]
    return interpolate(picture[None], size, mode="bilinear", antialias=True)[0]


def grey(truth: Tensor) -> Tensor:
    return rgb_to_luma(truth).expand_as(truth)


def tinted(truth: Tensor, chroma: Tensor) -> Tensor:
    """The grey picture with one chroma ``(2, 1, 1)`` everywhere."""
    return merge(rgb_to_luma(truth), chroma.expand(2, *truth.shape[1:]))


def own_mean(truth: Tensor) -> Tensor:
    """The picture's own mean chroma everywhere: an oracle that knows the tint and nothing else."""
    return tinted(truth, rgb_to_chroma(truth).mean((1, 2), keepdim=True))


def own_chroma(truth: Tensor) -> Tensor:
    """The true chroma at the size where the figures are taken: the limit of small chroma."""
    small = interpolate(
        reduce(rgb_to_chroma(truth), MEASURED_AT)[None], truth.shape[1:], mode="bicubic"
    )
    return merge(rgb_to_luma(truth), small[0])


def tint_and_levels(pictures: Iterable[Tensor]) -> tuple[Method, Method]:
    """Two baselines fitted to ``pictures``: their mean chroma, and their mean chroma a luma level.

    Every picture weighs the same.
    """
    chroma_sums, counts = torch.zeros(LEVELS, 2), torch.zeros(LEVELS)
    for picture in pictures:
        small = reduce(picture.float() / 255, MEASURED_AT)
        level = _level(rgb_to_luma(small)).flatten()
        share = torch.full(level.shape, 1 / level.numel())
        chroma_sums.index_add_(0, level, rgb_to_chroma(small).flatten(1).T * share[:, None])
        counts.index_add_(0, level, share)
    tint = (chroma_sums.sum(0) / counts.sum()).view(2, 1, 1)
    levels = chroma_sums / counts.clamp_min(1e-9)[:, None]

    def one_tint(truth: Tensor) -> Tensor:
        return tinted(truth, tint)

    def mean_per_level(truth: Tensor) -> Tensor:
        luma = rgb_to_luma(truth)
        return merge(luma, levels[_level(luma)[0]].permute(2, 0, 1))

    return one_tint, mean_per_level


def _level(luma: Tensor) -> Tensor:
    return (luma * LEVELS).long().clamp(0, LEVELS - 1)


def through(network: Network, options: ColorOptions) -> Method:
    """The network on the grey picture."""

    def colorize(truth: Tensor) -> Tensor:
        images = grey(truth).permute(1, 2, 0)[None]
        return colorize_images(network, images, options)[0].permute(2, 0, 1)

    return colorize


def contact_sheet(pictures: list[Tensor], method: Method, path: Path, *, side: int = 192) -> None:
    """Grey, colorized and true, picture by picture, four to a row."""
    cells = []
    for picture in pictures:
        truth = picture.float() / 255
        views = torch.stack([reduce(view, side) for view in (grey(truth), method(truth), truth)])
        cells.extend(interpolate(views, (side, side * 4 // 3), mode="bilinear", antialias=True))
    save_image(make_grid(cells, nrow=12, padding=2), path)


def report(name: str, pictures: list[Tensor], methods: dict[str, Method]) -> None:
    print(f"\n{name}: {len(pictures)} pictures\n")
    names = ("PSNR", "over grey", "under", "explained", "corr", "CIEDE2000", "colorfulness")
    names += ("spread", "tint", "blotches", "loud")
    print(f"| | {' | '.join(names)} |")
    print("|---" * (1 + len(names)) + "|")
    floor = evaluate(pictures, grey).psnr
    for label, method in methods.items():
        r = evaluate(pictures, method)
        cells = [f"{r.psnr:.2f}", f"{r.psnr - floor:+.2f}"] if math.isfinite(r.psnr) else ["-", "-"]
        cells += [
            str(r.under),
            f"{r.explained:.3f}",
            "-" if math.isnan(r.corr) else f"{r.corr:.3f}",
        ]
        cells += [f"{value:.1f}" for value in (r.ciede2000, r.colorfulness, r.spread, r.tint)]
        cells += [f"{r.blotches:.2f}", f"{100 * r.loud:.1f} %"]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m colorizationnet.training.evaluate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("weights", nargs="?", type=Path, help="default: the shipped weights")
    parser.add_argument("--earlier", nargs="*", default=[], type=Path, help="weights to compare")
    parser.add_argument("--kodak", type=Path, help="folder of the Kodak pictures")
    parser.add_argument("--bsds", type=Path, help="folder of the BSDS500 test pictures")
    parser.add_argument(
        "--photos",
        type=Path,
        help="folder of the training photos: its validation split is measured, "
        "and the tint baselines are fitted to its training split",
    )
    parser.add_argument("--legacy", type=Path, help="folder of real old photos, for sheets only")
    parser.add_argument("--render-sizes", type=int, nargs="+", default=[48])
    parser.add_argument("--quality", choices=QUALITIES, default="auto")
    parser.add_argument("--saturations", type=float, nargs="+", default=[1.0, 1.25])
    parser.add_argument(
        "--sheets",
        type=Path,
        metavar="DIR",
        help="write contact sheets of the natural look",
    )
    args = parser.parse_args(arguments)

    network = load_model(args.weights)
    if args.quality == "auto":
        args.quality = network.metadata.get("quality", "full")
    raw = copy.copy(network)
    raw.metadata = {}  # measured is the gain on the network's own chroma, neither cleaned nor less
    colorizers = {look: through(network, ColorOptions(look=look)) for look in LOOKS}
    colorizers |= {
        f"the same, as film: {look}": through(network, ColorOptions(look=look, quality="fast"))
        for look in LOOKS
    }
    colorizers |= {path.stem: through(load_model(path), ColorOptions()) for path in args.earlier}
    colorizers |= {
        f"{args.quality} at {size} px, saturation {saturation:g}": through(
            raw,
            ColorOptions(render_size=size, saturation=saturation, quality=args.quality),
        )
        for size in args.render_sizes
        for saturation in args.saturations
    }
    methods: dict[str, Method] = {"truth": lambda truth: truth, "grey": grey}
    sets: dict[str, list[Path]] = {}
    if args.kodak:
        sets["Kodak"] = find_photos(args.kodak)
    if args.bsds:
        sets["BSDS test"] = find_photos(args.bsds)
    if args.photos:
        training, sets["validation"] = split(args.photos)
        methods["one tint"], methods["mean colour per luma level"] = tint_and_levels(
            read_photo(path, MEASURED_AT) for path in training
        )
        restrained = [p for p in sets["validation"] if any(n in p.parent.name for n in RESTRAINED)]
        sets |= {"restrained": restrained} if restrained else {}
    methods |= {"oracle: own mean colour": own_mean, "oracle: true chroma at 64 px": own_chroma}
    methods |= colorizers
    for name, paths in sets.items():
        report(name, [read_photo(path) for path in paths], methods)
    if args.legacy:
        sets["legacy"] = find_photos(args.legacy)
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
        method = next(iter(colorizers.values()))
        for name, paths in sets.items():
            for start in range(0, len(paths), 24):
                pictures = [read_photo(path, 512) for path in paths[start : start + 24]]
                file = args.sheets / f"{name.split()[0].lower()}-{start // 24:02d}.png"
                contact_sheet(pictures, method, file)


if __name__ == "__main__":
    main()
