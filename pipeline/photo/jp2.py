"""What a JPEG 2000 file says beside its pixels, in the boxes of JP2 (ISO/IEC 15444-1, annex I)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .metadata import Metadata

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"  # a file without it is a bare codestream
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP specification, part 3
_EXIF = b"JpgTiffExif->JP2"  # as ExifTool and others write it
_MOST_BYTES = 1 << 26


def read_boxes(path: Path, metadata: Metadata) -> bytes | None:
    """Take XMP and EXIF from a JP2 file, and give its colour profile."""
    profile = None
    with path.open("rb") as file:
        if file.read(12) != _SIGNATURE:
            return None
        for name, start, end in _boxes(file, 0, path.stat().st_size):
            if name == b"jp2h":
                for inner, at, to in _boxes(file, start, end):
                    if inner == b"colr" and (data := _read(file, at, to))[:1] in (b"\2", b"\3"):
                        profile = profile or data[3:]
            elif name == b"uuid":
                data = _read(file, start, end)
                if data[:16] == _XMP:
                    metadata.xmp = data[16:]
                elif data[:16] == _EXIF:
                    metadata.exif = data[16:].removeprefix(b"Exif\0\0")
    return profile


def add_boxes(path: Path, metadata: Metadata, profile: bytes | None) -> None:
    """Give XMP, EXIF and ``profile`` to a JP2 file that names its colour space."""
    if not (metadata.xmp or metadata.exif or profile):
        return
    with path.open("rb") as file:
        if file.read(12) != _SIGNATURE:
            return
        boxes = list(_boxes(file, 0, path.stat().st_size))
        header = next(box for box in boxes if box[0] == b"jp2h")
        inner = b""
        for name, start, end in _boxes(file, *header[1:]):
            data = _read(file, start, end)
            inner += _box(name, b"\2\0\0" + profile if profile and name == b"colr" else data)
        file.seek(header[2])
        rest = file.read()
        file.seek(0)
        before = file.read(header[1] - 8)
    with path.open("wb") as file:
        file.write(before + _box(b"jp2h", inner))
        file.write(rest)
        for kind, block in ((_XMP, metadata.xmp), (_EXIF, metadata.exif)):
            if block:
                file.write(_box(b"uuid", kind + block))


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, name) + data


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(min(end - start, _MOST_BYTES))


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes from ``at`` to ``end``: the name of each, and from where to where its content is.

    It ends where one is damaged.
    """
    while at + 8 <= end:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if size == 1:
            size, start = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0], at + 16
        to = at + size if size else end
        if not start <= to <= end:
            return
        yield name, start, to
        at = to
