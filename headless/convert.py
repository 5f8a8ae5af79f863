"""`colorizationnet convert`: pickled weights of another network as safetensors, safely."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..files import AtomicOutput


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert",
        help="write pickled weights (.pth, .pt, .bin) as .safetensors",
        description="Write the tensors of a .pth, .pt or .bin file as .safetensors. Nothing "
        "else of the file is loaded, and none of its code is run.",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS.pth")
    parser.add_argument("-o", "--output", type=Path, help="default: beside it, .safetensors")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> Iterator[Path]:
    """Convert, and yield the file written."""
    target = args.output or args.weights.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise ValueError(f"{target} is no name for weights; end it in .safetensors.")
    if not args.weights.is_file():
        raise FileNotFoundError(f"There is no file {args.weights}; check the name.")
    # Deferred: `--help` needs no torch.
    import torch
    from safetensors.torch import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    with AtomicOutput(target, overwrite=args.overwrite) as part:
        try:
            loaded = torch.load(args.weights, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the unpickler meets in a stranger's file
            raise ValueError(
                f"{args.weights} is not a file of plain tensors, and nothing else is loaded."
            ) from error
        tensors = _tensors(loaded)
        if not tensors:
            raise ValueError(f"{args.weights} holds no tensors.")
        save_file(tensors, part, metadata={"format": "pt"})
    yield target


def _tensors(loaded: object) -> dict:
    """The state dict in what was saved: by itself, or under one of the usual names."""
    import torch

    if not isinstance(loaded, dict):
        return {}
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    return {
        str(key): value.contiguous().clone()
        for key, value in loaded.items()
        if isinstance(value, torch.Tensor)
    }
