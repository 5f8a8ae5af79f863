"""TIFF directories: read from files and EXIF blocks, and written (TIFF 6.0 and BigTIFF).

Values stay the bytes they are in the file, so that what nothing here knows is kept to the letter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from .errors import PhotoError

# Bytes a value, by type: BYTE, ASCII, SHORT, LONG, RATIONAL, ... (TIFF 6.0, page 15; BigTIFF 16-18)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8",
            18: "u8"}  # fmt: skip
SHORT, LONG, RATIONAL, UNDEFINED, BYTE, ASCII, LONG8 = 3, 4, 5, 7, 1, 2, 16
_POINTERS = {34665, 34853, 40965}  # EXIF, GPS, interoperability
_PARTS = {False: ("H", "HHI", "I"), True: ("Q", "HHQ", "Q")}  # count, entry, pointer; BigTIFF's
_MOST_DIRECTORIES, _MOST_BYTES = 4096, 1 << 28


@dataclass
class Tag:
    """One entry: ``count`` values of ``type`` in ``data``, or a directory of its own."""

    type: int
    count: int
    data: bytes
    child: Directory | None = None


@dataclass
class Directory:
    """The tags of one picture, in byte order ``"<"`` or ``">"``."""

    order: str
    tags: dict[int, Tag] = field(default_factory=dict)

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of ``tag``."""
        found = self.tags.get(tag)
        if found is None or found.type not in _NUMBERS:
            return default
        return tuple(np.frombuffer(found.data, self.order + _NUMBERS[found.type]).tolist())

    def number(self, tag: int, default: int = 0) -> int:
        return (self.numbers(tag) or (default,))[0]

    def rational(self, tag: int) -> float | None:
        found = self.tags.get(tag)
        if found is None or found.type != RATIONAL or len(found.data) < 8:
            return None
        top, bottom = struct.unpack(self.order + "II", found.data[:8])
        return top / bottom if bottom else None

    def raw(self, tag: int) -> bytes | None:
        found = self.tags.get(tag)
        return found.data if found and found.data else None

    def put(self, tag: int, type: int, *values: int) -> None:
        """Set ``tag`` to whole numbers."""
        data = np.asarray(values, self.order + _NUMBERS[type]).tobytes()
        self.tags[tag] = Tag(type, len(values), data)

    def put_bytes(self, tag: int, type: int, data: bytes) -> None:
        self.tags[tag] = Tag(type, len(data), data)


def read_directories(file: BinaryIO) -> list[Directory]:
    """The directories of a TIFF file or EXIF block; what is damaged is left out.

    Raises ``PhotoError`` when there is none at all.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    try:
        if not order:
            raise struct.error
        (version,) = struct.unpack_from(f"{order}H", head, 2)
        big = version == 43
        (at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)
    except struct.error:
        raise PhotoError("it has no TIFF header") from None
    directories: list[Directory] = []
    seen = set()
    while at and at not in seen and len(directories) < _MOST_DIRECTORIES:
        seen.add(at)
        try:
            directory, at = _read_directory(file, at, order, big, seen)
        except (struct.error, OverflowError, OSError):
            break
        directories.append(directory)
    if not directories:
        raise PhotoError("its TIFF directory is missing")
    return directories


def _read_directory(
    file: BinaryIO, at: int, order: str, big: bool, seen: set[int]
) -> tuple[Directory, int]:
    counter, entry, pointer = _PARTS[big]
    file.seek(at)
    (count,) = _unpack(file, order + counter)
    entries = [
        (*_unpack(file, order + entry), file.read(struct.calcsize(pointer)))
        for _ in range(min(count, 65535))
    ]
    (following,) = struct.unpack(order + pointer, file.read(struct.calcsize(pointer)).ljust(
        struct.calcsize(pointer), b"\0"
    ))  # fmt: skip
    directory = Directory(order)
    for tag, type, values, field_bytes in entries:
        size = _SIZES.get(type, 0) * values
        if not size or size > _MOST_BYTES:
            continue
        if size > len(field_bytes):
            file.seek(*struct.unpack(order + pointer, field_bytes))
            data = file.read(size)
            if len(data) < size:
                continue
        else:
            data = field_bytes[:size]
        directory.tags[tag] = Tag(type, values, data)
        if tag in _POINTERS and (inner := directory.number(tag)) not in seen:
            seen.add(inner)
            try:
                child, _ = _read_directory(file, inner, order, big, seen)
            except (struct.error, OverflowError, OSError):
                del directory.tags[tag]
            else:
                directory.tags[tag].child = child
    return directory, following


def _unpack(file: BinaryIO, format: str) -> tuple:
    return struct.unpack(format, file.read(struct.calcsize(format)))


def pack_directory(
    directory: Directory, at: int, *, more: bool = False, big: bool = False
) -> bytes:
    """A directory that stands at offset ``at``, with its values behind it, an even number of bytes.

    ``more``: whether another one comes directly behind; ``big``: whether it is a BigTIFF's.
    """
    tags = sorted(
        (number, tag)
        for number, tag in directory.tags.items()
        if (tag.type < LONG8 or big) and (number not in _POINTERS or tag.child is not None)
    )
    counter, entry, pointer = (directory.order + part for part in _PARTS[big])
    room = struct.calcsize(pointer)
    entries, values = b"", b""
    start = at + struct.calcsize(counter) + (struct.calcsize(entry) + room) * len(tags) + room
    for number, tag in tags:
        where = start + len(values)
        if tag.child is not None:
            values += pack_directory(tag.child, where, big=big)
            entries += struct.pack(entry, number, LONG8 if big else LONG, 1)
            entries += struct.pack(pointer, where)
        else:
            entries += struct.pack(entry, number, tag.type, tag.count)
            if len(tag.data) <= room:
                entries += tag.data.ljust(room, b"\0")
            else:
                entries += struct.pack(pointer, where)
                values += tag.data + bytes(len(tag.data) % 2)
    link = start + len(values) if more else 0
    return struct.pack(counter, len(tags)) + entries + struct.pack(pointer, link) + values


def pack_block(directory: Directory) -> bytes:
    """A directory as an EXIF block: a TIFF header and the directory, without a picture."""
    mark = b"II" if directory.order == "<" else b"MM"
    header = mark + struct.pack(directory.order + "HI", 42, 8)
    return header + pack_directory(directory, 8)
