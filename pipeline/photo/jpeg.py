"""What a JPEG file says beside its pixels, and how finely it was stored."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image, JpegImagePlugin

from .metadata import (
    EXTENDED_XMP_HEADER,
    PHOTOSHOP_HEADER,
    XMP_HEADER,
    Metadata,
    without_thumbnails,
)

MOST_BYTES = 65533  # of a segment
# Quantization tables of ITU-T T.81, K.1 and K.2, which quality scales as libjpeg does.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip


def read_segments(picture: Image.Image, metadata: Metadata) -> None:
    """Take XMP, Photoshop's resources, the comment and the encoding from an open JPEG."""
    resources = b""
    for name, data in getattr(picture, "applist", ()):
        if name == "APP1" and data.startswith(XMP_HEADER):
            metadata.xmp = data[len(XMP_HEADER) :]
        elif name == "APP1" and data.startswith(EXTENDED_XMP_HEADER):
            metadata.extended_xmp.append(data)
        elif name == "APP13" and data.startswith(PHOTOSHOP_HEADER):
            resources += data[len(PHOTOSHOP_HEADER) :]
    metadata.photoshop = without_thumbnails(resources) or None
    metadata.comment = picture.info.get("comment")
    tables = [list(table) for _, table in sorted(getattr(picture, "quantization", {}).items())]
    grey = picture.mode == "L"
    subsampling = 0 if grey else JpegImagePlugin.get_sampling(picture)
    metadata.encoding |= {
        "progressive": bool(picture.info.get("progressive")),
        "subsampling": subsampling if subsampling >= 0 else 0,
        "qtables": _for_color(tables[0]) if grey or len(tables) == 1 else tables,
    }
    if picture.mode == "CMYK":
        metadata.encoding["qtables"] = _for_color(tables[0])


def _for_color(luma: list[int]) -> list[list[int]]:
    """A grey picture's own table for the luma, and one of no lower class for the chroma."""
    scale = float(np.median(np.array(luma) / np.array(_LUMA)))
    chroma = np.clip(np.array(_CHROMA) * min(scale, 0.5), 1, 255)  # 0.5 is quality 75
    return [luma, [int(value) for value in chroma.round()]]


def segments(metadata: Metadata, losses: list[str]) -> bytes:
    """XMP and Photoshop's resources as JPEG's application segments."""
    parts = []
    if metadata.xmp:
        parts.append((0xE1, XMP_HEADER + metadata.xmp))
    parts += [(0xE1, data) for data in metadata.extended_xmp]
    if metadata.photoshop:
        room = MOST_BYTES - len(PHOTOSHOP_HEADER)
        blocks = [
            metadata.photoshop[at : at + room] for at in range(0, len(metadata.photoshop), room)
        ]
        parts += [(0xED, PHOTOSHOP_HEADER + block) for block in blocks]
    result = b""
    for code, data in parts:
        if len(data) > MOST_BYTES:
            losses.append("XMP of more than 64 KB")
        else:
            result += struct.pack(">BBH", 0xFF, code, len(data) + 2) + data
    return result
