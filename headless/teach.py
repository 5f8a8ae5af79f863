"""`colorizationnet teach`: coloured frames in, a model that colours their shot out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from ..files import AtomicOutput
from ..host import current
from ..options import SHIPPED_WEIGHTS, TeachOptions
from . import signals
from .importing import import_torch


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "teach",
        help="teach the network the colours of a shot",
        description="Teach the network the colours of one or a few coloured frames, and print the "
        "model written; colorize --model then colours the whole shot with it.",
    )
    parser.add_argument(
        "frames", nargs="+", type=Path, metavar="FRAME", help="a frame of the shot, in colour"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the model's name, .safetensors"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--model", type=Path, help="where to start (default: the shipped weights)")
    counts = parser.add_mutually_exclusive_group()
    counts.add_argument(
        "--strokes",
        action="store_true",
        help="the frames are grey with colour painted on them, and only that counts",
    )
    counts.add_argument(
        "--mask",
        action="append",
        type=Path,
        metavar="PICTURE",
        help="white where a frame counts; once for each frame, in their order",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=TeachOptions.steps,
        help="how long to learn (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=TeachOptions.seed, help="of what is drawn by chance"
    )
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> Iterator[Path]:
    """Teach, and yield the file written."""
    if args.output.suffix != ".safetensors":
        raise ValueError(f"{args.output} is no name for a model; end it in .safetensors.")
    if os.path.lexists(args.output) and not (args.overwrite and args.output.is_file()):
        advice = "name another with -o" + ("." if args.overwrite else ", or add --overwrite.")
        raise FileExistsError(f"{args.output} is there already; {advice}")
    options = TeachOptions(args.steps, seed=args.seed)
    # Deferred: `--help` needs no torch.
    import_torch()
    from ..pipeline import load_model, save_model, teach

    host = current()
    references = [_read(path) for path in args.frames]
    masks = None if args.mask is None else [_read(path)[..., 0] for path in args.mask]
    base = load_model(args.model)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    AtomicOutput(args.output, overwrite=args.overwrite).discard()  # a bad name is told at once
    with host.progress(options.steps, args.output.name) as progress:
        taught = teach(
            base,
            references,
            options,
            masks=masks,
            strokes=args.strokes,
            device=host.device(),
            on_progress=progress.report,
            check=signals.check,
        )
    base_name = SHIPPED_WEIGHTS.name if args.model is None else args.model.name
    metadata = {**taught.metadata, "base": base_name}
    save_model(taught, args.output, metadata, overwrite=args.overwrite)
    yield args.output


def _read(path: Path):
    from ..pipeline.photo import read_photo

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check the name.")
    return read_photo(path).image
