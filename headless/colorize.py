"""`colorizationnet colorize`: the short way for photos, clips and folders of them."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import AtomicOutput
from ..host import SUFFIXES, current
from ..options import (
    FORMATS,
    LOOKS,
    PICTURE_FORMATS,
    PRECISIONS,
    QUALITIES,
    ColorOptions,
    EncodeOptions,
    FilmOptions,
)

if TYPE_CHECKING:
    from ..pipeline import Network


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "colorize",
        help="colorize photos, clips, or folders of them",
        description="Colorize photos, clips, or folders of them, and print the files written. "
        "Results get the name of their source with -color, beside it or in the folder -o.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    parser.add_argument(
        "-o", "--output", type=Path, help="the result's name, or a folder for several"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results that are there already"
    )
    add_colour_options(parser)
    film = parser.add_argument_group("clips")
    film.add_argument(
        "--format",
        choices=[name for name in FORMATS if name not in PICTURE_FORMATS],
        default=EncodeOptions.format,
    )
    film.add_argument("--crf", type=float, help="the encoder's quality number (default: its own)")
    film.add_argument("--bit-depth", type=int, help="8 or 10 (default: the source's)")
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
        "--confidence",
        type=Path,
        metavar="JSON",
        help="write here how well each frame's colours are known from the keyframes, 0 to 1",
    )
    film.add_argument("--start", type=float, default=0.0, help="begin here, in seconds")
    film.add_argument("--duration", type=float, help="stop after so many seconds")
    parser.set_defaults(main=main)


def add_colour_options(parser: argparse.ArgumentParser) -> None:
    """The colour settings, named as the nodes name them."""
    colour = parser.add_argument_group("colour")
    colour.add_argument("--model", type=Path, help="weights (default: the shipped ones)")
    colour.add_argument("--render-size", type=int, help="short side at which the network looks")
    colour.add_argument("--strength", type=float, default=1.0, help="0 to 1")
    colour.add_argument(
        "--saturation", type=float, default=1.0, help="gain on the network's colours"
    )
    colour.add_argument("--look", choices=LOOKS, default=ColorOptions.look)
    colour.add_argument("--quality", choices=QUALITIES, default=ColorOptions.quality)
    colour.add_argument("--precision", choices=PRECISIONS, default=ColorOptions.precision)


def main(args: argparse.Namespace) -> Iterator[Path]:
    """Colorize one after the other, yielding each file as it is written.

    Of several inputs, those that fail are logged and the others done before ``RuntimeError`` is
    raised. A full disk and the like (``OSError``) would meet them all, and ends the work at once.
    """
    color = color_options(args)
    film = FilmOptions(args.stability)
    encode = EncodeOptions(args.format, args.crf, args.bit_depth, overwrite=args.overwrite)
    jobs = list(_jobs(args))
    if args.keyframes and (len(jobs) != 1 or not is_video(jobs[0][0]) or args.start):
        raise ValueError("--keyframes belongs to one whole clip; colorize it by itself.")
    if args.confidence and not args.keyframes:
        raise ValueError("--confidence tells of --keyframes; give those as well.")
    from ..pipeline import load_model

    network = load_model(args.model)
    failed = 0
    for source, target in jobs:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if is_video(source):
                _colorize_clip(source, target, network, color, film, encode, args)
            else:
                _colorize_photo(source, target, network, color, args.overwrite)
        except (ValueError, RuntimeError) as error:
            if len(jobs) == 1:
                raise
            failed += 1
            named = str(error) if source.name in str(error) else f"{source}: {error}"
            logging.error(named, exc_info=args.traceback)
        else:
            yield target
    if failed:
        raise RuntimeError(f"{failed} of {len(jobs)} files failed, each named above.")


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


def is_video(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES["video"]


def _jobs(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Every source with its target, all checked before the first is begun."""
    from ..pipeline.photo import RESULT_SUFFIXES as WRITABLE

    sources = list(_sources(args.inputs, args.output))
    to_folder = args.output is not None and (
        len(sources) > 1 or args.output.is_dir() or any(path.is_dir() for path in args.inputs)
    )
    taken = {}
    for source, below in sources:
        if args.output is not None and not to_folder:
            target = args.output
            if not is_video(source) and target.suffix.lower() not in WRITABLE:
                raise ValueError(
                    f"{target} is no folder that is there and no name for a photo; make the "
                    "folder first, or end the name in .png, .tif or .jpg."
                )
        else:
            name = f"{source.stem}-color{_suffix(source, args.format)}"
            target = args.output / below / name if to_folder else source.with_name(name)
        if target.exists() and (not args.overwrite or target.samefile(source)):
            raise FileExistsError(
                f"{target} is there already; name another with -o, or add --overwrite."
            )
        if target in taken:
            raise ValueError(f"{taken[target]} and {source} would both become {target}.")
        taken[target] = source
        yield source, target


def _sources(inputs: list[Path], output: Path | None) -> Iterator[tuple[Path, Path]]:
    """Each photo and clip, and the folder it keeps below the output folder."""
    for path in inputs:
        if path.is_dir():
            found = [file for file in sorted(path.rglob("*")) if _is_source(file)]
            # Of an output folder in the midst of the sources, all is left out.
            if output is not None and path.resolve() in output.resolve().parents:
                found = [file for file in found if output.resolve() not in file.resolve().parents]
            if not found:
                raise ValueError(f"There are no photos or clips to colorize in {path}.")
            yield from ((file, file.parent.relative_to(path)) for file in found)
        elif not path.is_file():
            raise FileNotFoundError(f"There is no file {path}; check the name.")
        elif not _is_known(path):
            raise ValueError(f"{path} is neither a photo nor a clip by its suffix; rename it.")
        else:
            yield path, Path()


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES["image"] | SUFFIXES["video"]


def _is_source(path: Path) -> bool:
    """Whether a file found in a folder is to be colorized: not hidden, and no earlier result."""
    return (
        path.is_file()
        and _is_known(path)
        and not path.name.startswith(".")
        and not path.stem.endswith("-color")
    )


def _suffix(source: Path, format: str) -> str:
    if not is_video(source):
        return source.suffix
    from ..pipeline import find_format

    entry = find_format(format)
    return source.suffix if source.suffix.lower() in entry.containers else entry.suffix


def _colorize_photo(
    source: Path, target: Path, network: Network, color: ColorOptions, overwrite: bool
) -> None:
    from ..pipeline import colorize_photo

    host = current()
    with host.progress(1, source.name) as progress:
        colorize_photo(
            source,
            target,
            network,
            color,
            device=host.device(),
            overwrite=overwrite,
            on_progress=progress.report,
        )


def _colorize_clip(
    source: Path,
    target: Path,
    network: Network,
    color: ColorOptions,
    film: FilmOptions,
    encode: EncodeOptions,
    args: argparse.Namespace,
) -> None:
    from ..pipeline import colorize_film, probe
    from .keyframes import read_references

    host = current()
    clip = probe(source)
    shots, keyframes = read_references(args.keyframes, clip) if args.keyframes else (None, None)
    confidence: list[float] = []
    with host.progress(clip.frame_count, source.name) as progress:
        colorize_film(
            clip,
            target,
            network,
            color,
            film,
            encode,
            frames=clip.frames(args.start, args.duration),
            shots=shots,
            keyframes=keyframes,
            device=host.device(),
            on_progress=progress.report,
            on_confidence=lambda _, known: confidence.append(round(float(known.mean()), 4)),
        )
    if confidence:
        mean = sum(confidence) / len(confidence)
        logging.info("%s: %.0f %% of its colours known from keyframes.", source.name, 100 * mean)
    if args.confidence:
        with AtomicOutput(args.confidence, overwrite=args.overwrite) as part:
            part.write_text(json.dumps({"clip": source.name, "confidence": confidence}))
