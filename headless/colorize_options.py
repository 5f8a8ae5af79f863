"""The options of `colorizationnet colorize`, and the settings that they come to."""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from pathlib import Path

from ..options import (
    COMPARISONS,
    ENCODERS,
    FORMATS,
    LOOKS,
    PICTURE_FORMATS,
    PRECISIONS,
    QUALITIES,
    ColorOptions,
    EncodeOptions,
    FilmOptions,
    ShotOptions,
    TeachOptions,
)


def add_parser(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the command; gives its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "colorize",
        help="colorize photos, clips, or folders of them",
        description="Colorize photos, clips, or folders of them, and print the files written. "
        "Results get the name of their source with -color, beside it or in the folder -o. Of "
        "several files, those that are done are left as they are, so that the same command goes on "
        "where it was stopped; .colorizationnet.jsonl beside the results lists the source of each.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a photo, a clip, a folder of them, or a film of numbered pictures (%%05d.png)",
    )
    parser.add_argument(
        "-o", "--output", help="the result's name, or a folder (made if need be) for several"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace results that are there already"
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave results that are there already, as is the rule for several files",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, no more")
    parser.add_argument(
        "--bit-depth",
        type=int,
        help="8 or 10 for clips, 8 or 16 for photos (default: as the source has, but 8 for H.264 "
        "that is not HDR)",
    )
    parser.add_argument(
        "--no-metadata",
        action="store_true",
        help="leave out of the results what made them (settings, weights, a workflow)",
    )
    parser.add_argument(
        "--compare",
        choices=COMPARISONS,
        default=FilmOptions.compare,
        help="show what was before: half leaves the left half of a photo as it was, and that of a "
        "clip grey; wipe begins a clip in grey and draws the colour across it, and is half for the "
        "photos among clips (default: off)",
    )
    add_colour_options(parser)
    photos = parser.add_argument_group("photos")
    photos.add_argument(
        "--skip-colour",
        "--skip-color",
        dest="skip_color",
        action="store_true",
        help="leave photos that are in colour already",
    )
    film = parser.add_argument_group("clips")
    film.add_argument(
        "--format",
        choices=[name for name in FORMATS if name not in PICTURE_FORMATS],
        default=EncodeOptions.format,
        help="the codec (default: %(default)s)",
    )
    film.add_argument("--crf", type=float, help="the encoder's quality number (default: its own)")
    film.add_argument(
        "--encoder",
        choices=ENCODERS,
        default=EncodeOptions.encoder,
        help="hardware leaves h264, hevc and av1 to the graphics card (NVIDIA, Intel, AMD) where "
        "that can do it (default: %(default)s)",
    )
    film.add_argument(
        "--stability",
        type=float,
        default=FilmOptions.stability,
        help="0 to 1: how firmly colours hold still (default: %(default)s)",
    )
    film.add_argument(
        "--keyframes",
        type=Path,
        metavar="DIR",
        help="coloured frames of this clip: a folder made by keyframes, or pictures named by their "
        "frame's number from 0 (frame_000123.png) or time (00:01:05.200.png)",
    )
    film.add_argument(
        "--strokes",
        action="store_true",
        help="the keyframes are grey frames with strokes of colour painted on them",
    )
    film.add_argument(
        "--teach-steps",
        type=int,
        metavar="N",
        help=f"how long to learn from each shot's keyframes (default: {TeachOptions.steps})",
    )
    film.add_argument(
        "--sensitivity",
        type=float,
        help="0 to 1: more cuts, where --keyframes lists no shots (default: "
        f"{ShotOptions.sensitivity:g})",
    )
    film.add_argument(
        "--confidence",
        type=Path,
        metavar="JSON",
        help="write here how well each frame's colours are known from the keyframes, 0 to 1, and "
        "by how many levels of 255 they may be off",
    )
    film.add_argument(
        "--as-film",
        action="store_true",
        help="take each folder for a film of its pictures, in the order of their names",
    )
    film.add_argument(
        "--fps", type=_rate, help="pictures a second, of --as-film and of a name like %%05d.png"
    )
    film.add_argument(
        "--whole",
        action="store_true",
        help="colour long clips in one piece, not in segments that a later run can go on from",
    )
    add_part_options(film)
    cluster = parser.add_argument_group("a cluster")
    cluster.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="work on the nodes of a Ray cluster: that of this machine, that at HOST:PORT, or "
        "local, one of this machine's processes; needs pip install ray",
    )
    cluster.add_argument(
        "--ray-send",
        action="store_true",
        help="send files through Ray even where the nodes see the same disk",
    )
    cluster.add_argument(
        "--ray-report", type=Path, metavar="JSON", help="write here what was done where"
    )
    return parser


def add_colour_options(parser: argparse.ArgumentParser) -> None:
    """The colour settings, named as the nodes name them."""
    colour = parser.add_argument_group("colour")
    colour.add_argument("--model", type=Path, help="weights (default: the shipped ones)")
    colour.add_argument(
        "--render-size",
        type=int,
        help="short side in pixels at which the network looks; smaller gives broader, calmer "
        "colour (default: what the weights were made for)",
    )
    colour.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="0 to 1: how much of the new colour is used (default: %(default)g)",
    )
    colour.add_argument(
        "--saturation",
        type=float,
        default=1.0,
        help="gain on the network's colours (default: %(default)g)",
    )
    colour.add_argument(
        "--look",
        choices=LOOKS,
        default=ColorOptions.look,
        help="natural holds colour back where it is a guess, vivid less (default: %(default)s)",
    )
    colour.add_argument(
        "--quality",
        choices=QUALITIES,
        default=ColorOptions.quality,
        help="best looks three times, fast once for an eighth of the work, full follows small "
        "things better (default: what the weights were made for)",
    )
    colour.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=ColorOptions.precision,
        help="number format of the arithmetic (default: what the device does best)",
    )


def add_part_options(group: argparse._ActionsContainer) -> None:
    """Which part of a clip is meant."""
    group.add_argument("--start", type=float, default=0.0, help="begin here, in seconds")
    group.add_argument("--duration", type=float, help="stop after so many seconds")


def check_part(args: argparse.Namespace) -> None:
    """Raise ``ValueError`` for a part that no clip can have."""
    for option, value, range, holds in (
        ("--start", args.start, "0 s or later", args.start >= 0),
        ("--duration", args.duration, "more than 0 s", args.duration is None or args.duration > 0),
    ):
        if not (holds and math.isfinite(value or 0)):
            raise ValueError(f"{option} is {value:g}; choose {range}.")


def color_options(args: argparse.Namespace) -> ColorOptions:
    """The colour settings of the command line."""
    return ColorOptions(
        render_size=args.render_size,
        strength=args.strength,
        saturation=args.saturation,
        quality=args.quality,
        precision=args.precision,
        look=args.look,
    )


def _rate(text: str) -> Fraction | float:
    """Pictures a second: 24, 23.976 or 24000/1001."""
    try:
        rate = Fraction(text) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        rate = 0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no rate; choose one up to 1000, or 24000/1001")
    return rate
