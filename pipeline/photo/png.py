"""PNG's chunks as they are, and PNG written in bands at 8 or 16 bits (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
# Of the chunks that hang on the pixels (with a capital at their ends, 5.4 there), those that are
# still true of the same picture in colour. A tIME tells when it was scanned, as TIFF's DateTime.
_STILL_TRUE = {b"cHRM", b"cICP", b"gAMA", b"iCCP", b"mDCV", b"sRGB", b"tIME"}
_MOST_BYTES = 1 << 26


def read_chunks(path: Path) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The header ``IHDR``, and in their order the chunks that are true of other pixels as well."""
    header, chunks = b"", []
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name == b"IHDR":
                header = file.read(min(size, 13))
                file.seek(size - len(header) + 4, 1)
            elif not _outlives_pixels(name) or size > _MOST_BYTES:
                file.seek(size + 4, 1)
            else:
                data, check = file.read(size), file.read(4)
                if len(check) == 4 and struct.unpack(">I", check)[0] == zlib.crc32(name + data):
                    chunks.append((name, data))
    return header, chunks


def pixels_only(path: Path) -> Iterator[bytes]:
    """The file without what stands beside the pixels, which may be broken, chunk by chunk."""
    whole = path.stat().st_size
    with path.open("rb") as file:
        yield file.read(8)
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name[:1].isupper() or name == b"tRNS":
                yield head + file.read(min(size + 4, whole))
            else:
                file.seek(size + 4, 1)


def _outlives_pixels(name: bytes) -> bool:
    is_ancillary, is_safe_to_copy = name[:1].islower(), name[3:].islower()
    return name in _STILL_TRUE or (is_ancillary and is_safe_to_copy)


def sideways_chunks(chunks: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """``chunks`` with the resolutions across and down in each other's place."""
    return [
        (name, data[4:8] + data[:4] + data[8:] if name == b"pHYs" else data)
        for name, data in chunks
    ]


def xmp_chunk(packet: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + packet


def keyword(data: bytes) -> bytes:
    """The keyword of a text chunk."""
    return data.split(b"\0", 1)[0]


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile, 9)


class PngWriter:
    """Writes a PNG of RGB or RGBA: `pack` bands, in any thread; `put` them in their order."""

    def __init__(
        self,
        file: BinaryIO,
        size: tuple[int, int],
        channels: int,
        bits: int,
        chunks: list[tuple[bytes, bytes]],
    ) -> None:
        self._file, (height, width) = file, size
        self._bits, self._step = bits, channels * bits // 8
        self._check = zlib.adler32(b"")
        file.write(SIGNATURE)
        self._chunk(
            b"IHDR", struct.pack(">IIBBBBB", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, 0)
        )
        for name, data in chunks:
            self._chunk(name, data)
        self._chunk(b"IDAT", b"\x78\x9c")  # zlib's header; each band is a run of its own

    def pack(self, levels: np.ndarray) -> tuple[bytes, bytes, None]:
        """A band ``(n, W, C)`` of levels, filtered and deflated."""
        rows = levels.astype(">u2") if self._bits == 16 else levels
        data = _filtered(np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1),
                         self._step)  # fmt: skip
        packer = zlib.compressobj(3, zlib.DEFLATED, -15, 9)
        packed = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
        return packed, data, None

    def put(self, packed: tuple[bytes, bytes, None]) -> None:
        self._check = zlib.adler32(packed[1], self._check)
        self._chunk(b"IDAT", packed[0])

    def close(self) -> None:
        self._chunk(b"IDAT", b"\x03\0" + struct.pack(">I", self._check))  # an empty last block
        self._chunk(b"IEND", b"")

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I4s", len(data), name))
        self._file.write(data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _filtered(rows: np.ndarray, step: int) -> bytes:
    """Rows of bytes, each with the filter whose sum of absolute differences is least.

    The first row has nothing above it here, so that bands know nothing of each other.
    """
    count, size = rows.shape
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    best, least = rows, _cost(rows)
    filters = np.zeros(count, np.uint8)

    def offer(number: int, candidate: np.ndarray, first: int = 0) -> None:
        nonlocal best, least
        cost = _cost(candidate)
        cost[:first] = np.iinfo(cost.dtype).max
        better = cost < least
        best = np.where(better[:, None], candidate, best)
        least = np.where(better, cost, least)
        filters[better] = number

    offer(1, rows - left)
    if count > 1:
        above = np.zeros_like(rows)
        above[1:] = rows[:-1]
        offer(2, rows - above, 1)
        corner = np.zeros_like(rows)
        corner[1:, step:] = rows[:-1, :-step]
        offer(4, rows - _paeth(left, above, corner), 1)
    result = np.empty((count, size + 1), np.uint8)
    result[:, 0], result[:, 1:] = filters, best
    return result.tobytes()


def _cost(rows: np.ndarray) -> np.ndarray:
    return np.abs(rows.view(np.int8), dtype=np.int16).sum(1, dtype=np.int64)


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest_left = (to_left <= to_above) & (to_left <= to_corner)
    return np.where(nearest_left, left, np.where(to_above <= to_corner, above, corner))
