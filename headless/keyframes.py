"""`colorizationnet keyframes`: a film's keyframes as PNGs to colour."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import AtomicOutput
from ..host import current
from ..options import ShotOptions
from . import signals
from .colorize_options import add_part_options, check_part
from .importing import import_torch
from .references import LIST, check_folder, read_references, shot_options, write_list

if TYPE_CHECKING:
    from ..pipeline import Clip

log = logging.getLogger(__name__)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "keyframes",
        help="write a clip's keyframes as pictures to colour",
        description="Find a clip's shots and write the frames that stand best for each as PNGs. "
        "Colour them under their names, then: colorizationnet colorize CLIP --keyframes DIR",
    )
    parser.add_argument("clip", type=Path, metavar="CLIP")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder"
    )
    parser.add_argument(
        "--per-shot",
        type=int,
        metavar="N",
        help=f"keyframes a shot (default: {ShotOptions.keyframes})",
    )
    parser.add_argument(
        "--sensitivity",
        type=float,
        help=f"0 to 1: more cuts (default: {ShotOptions.sensitivity:g})",
    )
    parser.add_argument(
        "--more",
        type=int,
        metavar="N",
        help="write the N frames that help most beside those of --keyframes, best first",
    )
    parser.add_argument("--keyframes", type=Path, metavar="DIR", help="the frames coloured so far")
    add_part_options(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> Iterator[Path]:
    """Find the shots, and yield each keyframe once all are written."""
    options = _options(args)
    check_part(args)
    if args.output.exists() and any(args.output.iterdir()):
        raise FileExistsError(f"{args.output} is not empty; name a new folder with -o.")
    from ..pipeline import find_shots, keyframe_images, probe, write_photo
    from ..pipeline.photo import is_photo

    if is_photo(args.clip):
        raise ValueError(f"{args.clip} is a photo; keyframes are those of a clip.")
    import_torch()
    host = current()
    clip = probe(args.clip, signals.check)
    frames = clip.frames(args.start, args.duration)
    if args.more is not None:
        yield from _more(clip, frames, options, args)
        return
    with host.progress(len(frames), args.clip.name) as progress:
        shots = find_shots(
            clip, options, frames=frames, on_progress=progress.report, check=signals.check
        )
    names = [
        f"shot_{number:04}_frame_{frames[frame]:06}.png"
        for number, shot in enumerate(shots.shots, 1)
        for frame in shot.keyframes
    ]
    with _filled(args.output) as folder:
        images = keyframe_images(clip, shots, frames=frames, check=signals.check)
        for name, image in zip(names, images, strict=True):
            write_photo(folder / name, image)
        write_list(folder, clip, frames, shots)
    yield from (args.output / name for name in names)


def _options(args: argparse.Namespace) -> ShotOptions:
    """How shots are found; raises ``ValueError`` for options that do not go together."""
    if not args.clip.is_file():
        raise FileNotFoundError(f"There is no file {args.clip}; check the name.")
    if (args.more is None) != (args.keyframes is None):
        raise ValueError("--more and --keyframes belong together; give both, or none of them.")
    if args.more is not None:
        check_folder(args.keyframes)
        if args.more < 1:
            raise ValueError(f"--more is {args.more}; choose 1 or more.")
        if args.per_shot is not None:
            raise ValueError("--per-shot tells of each shot, --more of the whole film; choose one.")
        return shot_options(args.keyframes, args.sensitivity)
    if args.per_shot is not None and args.per_shot < 1:
        raise ValueError(f"--per-shot is {args.per_shot}; a shot needs at least 1 keyframe.")
    given = {"keyframes": args.per_shot, "sensitivity": args.sensitivity}
    return ShotOptions(**{key: value for key, value in given.items() if value is not None})


@contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    """A folder to fill, which is as it was after an exception: not there, or empty."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with AtomicOutput(folder) as part:
            part.mkdir()
            yield part
        return
    try:
        yield folder
    except BaseException:
        for path in [*folder.glob("*frame_*.png"), folder / LIST]:
            path.unlink(missing_ok=True)
        raise


def _more(
    clip: Clip, frames: range, options: ShotOptions, args: argparse.Namespace
) -> Iterator[Path]:
    from ..pipeline import keyframe_images, suggest_keyframes, with_keyframes, write_photo

    host = current()
    shots, keyframes = read_references(args.keyframes, clip, frames, options=options)
    with host.progress(len(frames), clip.path.name) as progress:
        found = suggest_keyframes(
            clip,
            shots,
            keyframes,
            args.more,
            frames=frames,
            on_progress=progress.report,
            check=signals.check,
        )
    names = []
    with _filled(args.output) as filled:
        for suggestion in found:
            frame = frames[suggestion.frame]
            log.info("frame %d: %.0f %% of what is unknown", frame, 100 * suggestion.gain)
            (image,) = keyframe_images(
                clip, with_keyframes(shots, [suggestion.frame]), frames=frames
            )
            names.append(f"frame_{frame:06}.png")
            write_photo(filled / names[-1], image)
    yield from (args.output / name for name in names)
