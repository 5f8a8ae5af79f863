"""Binary PGM and PPM of more than 8 bits, at the depth they have (Netpbm, pgm(5) and ppm(5))."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np


def deep_netpbm(path: Path) -> tuple[np.ndarray, float] | None:
    """The levels and white of a binary PGM or PPM with more than 8 bits, else None."""
    with path.open("rb") as file:
        kind = file.read(2)
        if kind not in (b"P5", b"P6"):
            return None
        width, height, white = (_number(file) for _ in range(3))
        if white < 256:
            return None
        channels = 1 if kind == b"P5" else 3
        data = file.read(2 * width * height * channels)
    if len(data) < 2 * width * height * channels:
        return None
    levels = np.frombuffer(data, ">u2").astype(np.uint16).reshape(height, width, channels)
    return levels, white


def _number(file: BinaryIO) -> int:
    token = b""
    while True:
        char = file.read(1)
        if char == b"#":
            file.readline()
        elif not char or (char.isspace() and token):
            return int(token or 0)
        elif not char.isspace():
            token += char
