"""TIFF of RGB or RGBA at 8 or 16 bits, written in bands."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

from .errors import PhotoError
from .tiff import LONG, LONG8, SHORT, Directory, pack_directory
from .tiff_pixels import DEFLATE, FAX, JPEG, LZW, PILLOW_NAMES, RAW, RGB, packer

_JPEG_TABLES = 347
_MOST_OF_CLASSIC = (1 << 32) - 1  # bytes of a TIFF 6.0


class TiffWriter:
    """Writes a TIFF with a strip for each band, and the directories of all pages at its end.

    It is a TIFF 6.0 if that can hold it, and a BigTIFF (``is_big``) if it cannot.
    """

    def __init__(self, file: BinaryIO, order: str) -> None:
        self._file, self._order = file, order
        self._pages: list[tuple[Directory, list[int]]] = []  # and the offsets of their strips
        self.is_big = False
        file.write(bytes(16))  # for the header of either

    def begin(
        self, size: tuple[int, int], channels: int, bits: int, encoding: dict, directory: Directory
    ) -> None:
        if directory.order != self._order:
            raise PhotoError("Pages of both byte orders do not go into one TIFF.")
        compression = encoding.get("compression", RAW) if isinstance(
            encoding.get("compression", RAW), int
        ) else RAW  # fmt: skip
        if compression in (*FAX, 32946):
            compression = DEFLATE
        if compression == JPEG and (bits > 8 or channels > 3):
            compression = DEFLATE
        if compression not in (RAW, DEFLATE, *PILLOW_NAMES):
            compression = DEFLATE
        self._compression = compression
        self._predicted = compression in (LZW, DEFLATE, 50000, 34925)
        self._libtiff: Any = packer(compression) if compression in PILLOW_NAMES else None
        self._size, self._channels, self._bits = size, channels, bits
        self._directory = directory
        self._tables: Directory | None = None
        self._rows: list[int] = []
        self._offsets: list[int] = []
        self._lengths: list[int] = []

    def pack(self, levels: np.ndarray) -> tuple[bytes, int, Any]:
        rows = len(levels)
        if self._compression == JPEG:
            packed, directory = self._libtiff(levels)
            return packed, rows, directory
        if self._predicted:
            levels = levels.copy()
            levels[:, 1:] -= levels[:, :-1].copy()
        stored = levels.astype(f"{self._order}u{self._bits // 8}").reshape(rows, -1).view(np.uint8)
        if self._compression == RAW:
            return stored.tobytes(), rows, None
        if self._libtiff is None:
            return zlib.compress(stored.tobytes(), 6), rows, None
        return self._libtiff(stored)[0], rows, None

    def put(self, packed: tuple[bytes, int, Any]) -> None:
        data, rows, directory = packed
        self._tables = directory or self._tables
        self._offsets.append(self._file.tell())
        self._lengths.append(len(data))
        self._rows.append(rows)
        self._file.write(data + bytes(len(data) % 2))

    def end_page(self) -> None:
        tags, (height, width) = self._directory, self._size
        short = [(258, (self._bits,) * self._channels), (259, (self._compression,)),
                 (262, (RGB,)), (277, (self._channels,)), (284, (1,))]  # fmt: skip
        if self._predicted:
            short.append((317, (2,)))
        if self._channels == 4:
            short.append((338, (2,)))
        for number, values in short:
            tags.put(number, SHORT, *values)
        for number, values in (
            (256, (width,)), (257, (height,)), (278, (self._rows[0],)), (279, tuple(self._lengths)),
        ):  # fmt: skip
            tags.put(number, LONG, *values)
        if self._tables is not None:
            tags.put(262, SHORT, self._tables.number(262))
            tags.tags[_JPEG_TABLES] = self._tables.tags[_JPEG_TABLES]
        self._pages.append((tags, self._offsets))

    def close(self) -> None:
        at = self._file.tell()
        size = sum(
            len(pack_directory(tags, 0)) + 12 + 4 * len(offsets) for tags, offsets in self._pages
        )
        self.is_big = at + size > _MOST_OF_CLASSIC
        for number, (tags, offsets) in enumerate(self._pages, 1):
            tags.put(273, LONG8 if self.is_big else LONG, *offsets)
            more = number < len(self._pages)
            self._file.write(pack_directory(tags, self._file.tell(), more=more, big=self.is_big))
        mark = b"II" if self._order == "<" else b"MM"
        form, header = ("HHHQ", (43, 8, 0, at)) if self.is_big else ("HI", (42, at))
        self._file.seek(0)
        self._file.write(mark + struct.pack(self._order + form, *header))
