"""The samples of a TIFF picture at the depth they have, strip by strip or tile by tile.

Pillow reads 16-bit colour as 8 bits and refuses many depths. Its libtiff still unpacks the strips
and tiles here: each is given to it as a small TIFF of plain bytes; what the bytes mean is read
here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from .errors import PhotoError
from .tiff import LONG, SHORT, Directory, pack_directory, read_directories

# TIFF's numbers for how strips are packed.
RAW, FAX, LZW, JPEG, DEFLATE, PACKBITS = 1, (2, 3, 4), 5, 7, 8, 32773
_OLD_JPEG, _OLD_DEFLATE, _ZSTD, _LZMA = 6, 32946, 50000, 34925
BYTE_COMPRESSIONS = {RAW, LZW, DEFLATE, _OLD_DEFLATE, PACKBITS, _ZSTD, _LZMA}
PILLOW_NAMES = {LZW: "tiff_lzw", PACKBITS: "packbits", _ZSTD: "zstd", _LZMA: "lzma", JPEG: "jpeg"}
_COMPRESSIONS = {
    RAW: "not compressed", **dict.fromkeys(FAX, "compressed as a fax"), LZW: "LZW",
    _OLD_JPEG: "old-style JPEG", JPEG: "JPEG", DEFLATE: "Deflate", _OLD_DEFLATE: "Deflate",
    PACKBITS: "PackBits", _ZSTD: "Zstandard", _LZMA: "LZMA", 34661: "JBIG", 33003: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1].copy()
)


@dataclass
class Layout:
    """How a directory's samples lie in the file."""

    width: int
    height: int
    samples: int
    bits: int
    format: int
    photometric: int
    compression: int
    separate: bool
    predictor: int
    fill_order: int
    extra: tuple[int, ...]

    @classmethod
    def of(cls, directory: Directory) -> Layout:
        number, numbers = directory.number, directory.numbers
        compression = number(259, RAW)
        photometric = number(262, WHITE_IS_ZERO)
        bits = numbers(258, (1,))
        samples = number(277, len(bits))
        formats = set(numbers(339, (_UNSIGNED,)))
        layout = cls(
            width=number(256),
            height=number(257),
            samples=samples,
            bits=bits[0] if len(set(bits)) == 1 else 0,
            format=formats.pop() if len(formats) == 1 else 0,
            photometric=photometric,
            compression=compression,
            separate=number(284, 1) == 2 and samples > 1,
            predictor=number(317, 1),
            fill_order=number(266, 1),
            extra=numbers(338),
        )
        if layout.format == _UNDEFINED:
            layout.format = _UNSIGNED
        return layout

    @property
    def colors(self) -> int:
        return 3 if self.photometric == RGB else 1

    def is_plain(self) -> bool:
        """Whether the samples can be read here: grey or RGB, of one depth, packed as bytes."""
        packed = self.compression in BYTE_COMPRESSIONS or (
            self.compression in FAX and self.bits == 1 and self.samples == 1
        )
        known = {
            _UNSIGNED: self.bits in (*range(1, 17), 32),
            _SIGNED: self.bits in (8, 16, 32),
            _FLOAT: self.bits in (16, 32, 64),
        }
        return (
            packed
            and self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
            and known.get(self.format, False)
            and self.colors <= self.samples <= 64
            and self.predictor in (1, 2, 3)
            and (self.predictor == 1 or self.bits in (8, 16, 32, 64))
            and self.width > 0
            and self.height > 0
        )

    def describe(self) -> str:
        kinds = {_UNSIGNED: "", _SIGNED: "signed ", _FLOAT: "floating-point "}
        meanings = {
            0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "ink", 6: "YCbCr",
            8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw sensor",
            32844: "LogL", 32845: "LogLuv", 34892: "linear raw",
        }  # fmt: skip
        meaning = meanings.get(self.photometric, f"photometric {self.photometric}")
        packing = _COMPRESSIONS.get(self.compression, f"compression {self.compression}")
        return (
            f"{self.bits or 'mixed'}-bit {kinds.get(self.format, 'complex ')}{meaning} "
            f"of {self.samples} samples, {packing}"
        )

    def dtype(self) -> np.dtype:
        """What the samples are here: whole numbers as they are, fractions as float32."""
        if self.format == _FLOAT:
            return np.dtype(np.float32)
        size = 8 if self.bits <= 8 else 16 if self.bits <= 16 else 32
        return np.dtype(f"{'i' if self.format == _SIGNED else 'u'}{size // 8}")


def read_samples(
    file: BinaryIO, directory: Directory, layout: Layout, keep: int
) -> tuple[np.ndarray, int]:
    """The first ``keep`` samples of each pixel, ``(H, W, keep)``, and how many rows are whole.

    What is missing or damaged is 0.
    """
    result = np.zeros((layout.height, layout.width, keep), layout.dtype())
    damaged = layout.height
    for block in _blocks(directory, layout):
        samples, whole = _read_block(file, directory, layout, block)
        rows = min(block.rows, layout.height - block.top)
        columns = min(block.columns, layout.width - block.left)
        if whole < rows:
            damaged = min(damaged, block.top + whole)
        area = result[block.top : block.top + rows, block.left : block.left + columns]
        if layout.separate:
            if block.plane < keep:
                area[..., block.plane] = samples[:rows, :columns, 0]
        else:
            area[:] = samples[:rows, :columns, :keep]
    return result, damaged


@dataclass
class _Block:
    offset: int
    size: int
    top: int
    left: int
    rows: int
    columns: int
    plane: int


def _blocks(directory: Directory, layout: Layout) -> Iterator[_Block]:
    tiled = 322 in directory.tags
    columns = directory.number(322) if tiled else layout.width
    rows = directory.number(323) if tiled else directory.number(278, layout.height)
    rows = min(rows or layout.height, layout.height) if not tiled else rows
    if not rows or not columns:
        raise PhotoError("its tiles have no size")
    offsets = directory.numbers(324 if tiled else 273)
    sizes = directory.numbers(325 if tiled else 279)
    planes = layout.samples if layout.separate else 1
    down, across = -(-layout.height // rows), -(-layout.width // columns)
    if not offsets:
        raise PhotoError("it says nowhere where its pixels are")
    for index in range(planes * down * across):
        plane, place = divmod(index, down * across)
        top, left = (place // across) * rows, (place % across) * columns
        offset = offsets[index] if index < len(offsets) else 0
        high = rows if tiled else min(rows, layout.height - top)
        size = sizes[index] if index < len(sizes) else -1
        yield _Block(offset, size, top, left, high, columns, plane)


def _read_block(
    file: BinaryIO, directory: Directory, layout: Layout, block: _Block
) -> tuple[np.ndarray, int]:
    """The samples ``(rows, columns, samples)`` of a strip or tile, and how many rows are whole."""
    samples = 1 if layout.separate else layout.samples
    row_bytes = -(-block.columns * samples * layout.bits // 8)
    packed = b""
    if block.offset:
        file.seek(block.offset)
        packed = file.read(block.size if block.size >= 0 else -1)
    if layout.compression == RAW:
        data, whole = packed, len(packed) // row_bytes
        if layout.fill_order == 2:
            data = _REVERSED[np.frombuffer(data, np.uint8)].tobytes()
    elif layout.compression in FAX:
        data, whole = _unpack(packed, block.columns, block.rows, 1, directory)
    else:
        data, whole = _unpack(packed, row_bytes, block.rows, 8, directory)
    rows = np.frombuffer(data[: row_bytes * block.rows].ljust(row_bytes * block.rows, b"\0"), "u1")
    rows = rows.reshape(block.rows, row_bytes)
    values = _values(rows, layout, directory.order, block.columns, samples)
    return values.reshape(block.rows, block.columns, samples), min(whole, block.rows)


def _unpack(
    packed: bytes, width: int, height: int, bits: int, directory: Directory
) -> tuple[bytes, int]:
    """The bytes of a packed strip, by libtiff, and how many of its rows are whole."""
    small = Directory(directory.order)
    for tag in (259, 266, 292, 293):  # compression, fill order, fax options
        if tag in directory.tags:
            small.tags[tag] = directory.tags[tag]
    for tag, value in ((256, width), (257, height), (278, height), (279, len(packed))):
        small.put(tag, LONG, value)
    for tag, value in ((258, bits), (262, BLACK_IS_ZERO), (277, 1)):
        small.put(tag, SHORT, value)
    if bits == 1:
        small.put(262, SHORT, directory.number(262))
    small.put(273, LONG, 0)
    header = (b"II" if small.order == "<" else b"MM") + struct.pack(small.order + "HI", 42, 8)
    small.put(273, LONG, 8 + len(pack_directory(small, 8)))
    file = TiffImagePlugin.TiffImageFile(io.BytesIO(header + pack_directory(small, 8) + packed))
    # A place for the pixels, which Pillow would refuse to make for a very large strip.
    canvas = Image.new(file.mode, (width, height))
    file.im = canvas.im
    whole = height
    try:
        file.load()
    except OSError:
        box = canvas.getbbox()
        whole = max(0, box[3] - 1) if box else 0
    if bits == 1 and directory.number(262) == WHITE_IS_ZERO:
        return (~np.frombuffer(canvas.tobytes(), np.uint8)).tobytes(), whole
    return canvas.tobytes(), whole


def _values(rows: np.ndarray, layout: Layout, order: str, columns: int, samples: int) -> np.ndarray:
    """What the bytes ``(n, row_bytes)`` of rows mean, ``(n, columns * samples)``."""
    count = columns * samples
    if layout.format == _FLOAT:
        size = layout.bits // 8
        if layout.predictor == 3:  # Adobe's technical note 3: bytes apart, most significant first
            rows = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8)
            rows = rows.reshape(len(rows), size, count).transpose(0, 2, 1)
            return rows.copy().view(f">f{size}")[..., 0].astype(np.float32)
        return rows.view(f"{order}f{size}").astype(np.float32)
    kind = "i" if layout.format == _SIGNED else "u"
    if layout.bits in (8, 16, 32):
        values = rows.view(f"{order}{kind}{layout.bits // 8}")
        if layout.predictor == 2:
            values = values.reshape(len(rows), columns, samples)
            values = np.cumsum(values, axis=1, dtype=values.dtype.newbyteorder("="))
            values = values.reshape(len(rows), count)
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    bits = np.unpackbits(rows, axis=1)[:, : count * layout.bits]
    bits = bits.reshape(len(rows), count, layout.bits)
    values = np.zeros((len(rows), count), layout.dtype())
    for bit in range(layout.bits):
        values = (values << 1) | bits[..., bit]
    return values


def packer(compression: int) -> Callable[[np.ndarray], tuple[bytes, Directory]]:
    """How libtiff packs rows of bytes ``(n, row_bytes)``, or of RGB ``(n, W, 3)`` for JPEG."""

    def pack(rows: np.ndarray) -> tuple[bytes, Directory]:
        image = Image.fromarray(np.ascontiguousarray(rows))
        options = {"quality": 95} if compression == JPEG else {}
        target = io.BytesIO()
        image.save(
            target,
            "TIFF",
            compression=PILLOW_NAMES[compression],
            tiffinfo={278: image.height},
            **options,
        )
        directory = read_directories(target)[0]
        start = directory.number(273)
        return target.getvalue()[start : start + directory.number(279)], directory

    return pack
