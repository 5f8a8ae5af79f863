"""The networks that can be loaded, told apart by the names of their tensors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from ..options import SHIPPED_WEIGHTS
from . import colorizationnet, ddcolor
from .chroma_model import Network
from .weights_file import WeightsError, WeightsFile, short


class Architecture(NamedTuple):
    """A network that files may be for."""

    name: str
    detect: Callable[[Iterable[str]], bool]
    """Whether a file with tensors of these names is meant for it."""
    load: Callable[[WeightsFile], Network]


ARCHITECTURES = [
    Architecture("ColorizationNet", colorizationnet.detect, colorizationnet.load),
    Architecture("DDColor", ddcolor.detect, ddcolor.load),
]
"""Asked in this order; a new one is a folder beside this file and a line here."""


def load_model(path: str | os.PathLike | None = None) -> Network:
    """Load a network in eval mode on the CPU; ``None`` loads the weights shipped with the pack.

    Which network it is, its tensors' names say. The file's metadata (recipe, licence, best
    settings, as strings) becomes ``network.metadata``. Tensors may be stored in any floating-point
    type and are read as float32.

    Raises ``FileNotFoundError`` when there is no such file and `WeightsError` when it is not
    safetensors or not of a known network, before a tensor is read, or when a tensor is missing,
    unknown, of another shape, or not finite.
    """
    file = WeightsFile(SHIPPED_WEIGHTS if path is None else path)
    for architecture in ARCHITECTURES:
        if architecture.detect(file.shapes):
            return architecture.load(file)
    few = ", ".join(short(name) for name in islice(file.shapes, 3)) or "none"
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise WeightsError(
        f"{file.path} holds the weights of another network ({len(file.shapes)} tensors: {few} "
        f"...); choose a file made for {known}."
    )
