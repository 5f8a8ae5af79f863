"""What a photo's file says beside its pixels, carried from one format to another.

Blocks are kept to the byte where the format is the same. Only what would be wrong afterwards is
changed: the orientation becomes upright, and grey thumbnails are left out.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from ...exif import directory_entries
from .errors import PhotoError
from .tiff import BYTE, RATIONAL, SHORT, UNDEFINED, Directory, Tag, pack_block, read_directories

XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
_RESOLUTION_RESOURCE, _IPTC_RESOURCE, _THUMBNAILS = 1005, 1028, (1033, 1036)

# What belongs to the width, and to the height: sizes and resolutions in TIFF's directory, and in
# EXIF's, which tag 34665 points to.
_EXIF_POINTER = 34665
_ACROSS_AND_DOWN = ((256, 257), (282, 283))
_ACROSS_AND_DOWN_IN_EXIF = ((40962, 40963), (41486, 41487))
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height

# Tags that tell how a TIFF's pixels are stored, or that hold other pictures; all others are kept.
_STRUCTURE = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284,
    288, 289, 290, 291, 292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332,
    333, 334, 336, 337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521,
    529, 530, 531, 532, 34675, 37724,
}  # fmt: skip
_LAYERS = 37724
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([2-8])")
_XMP_SIDES = (
    (rb"\b(exif:Pixel|exif:FocalPlane|tiff:)(X|Y)(?=Dimension\b|Resolution\b)", b"X", b"Y"),
    (rb"\b(tiff:Image)(Width|Length)\b", b"Width", b"Length"),
)


@dataclass
class Metadata:
    """All that is kept of a file; a missing block is None.

    ``exif`` is a TIFF block without the ``Exif`` mark, ``photoshop`` a row of image resources
    (IPTC among them), ``chunks`` a PNG's own. ``icc`` is the profile that fits the result.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: list[bytes] = field(default_factory=list)
    photoshop: bytes | None = None
    comment: bytes | None = None
    dpi: tuple[float, float] | None = None
    chunks: list[tuple[bytes, bytes]] | None = None
    directory: Directory | None = None
    encoding: dict = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """For a PNG of what had no chunks: more text, by keyword."""

    def names(self) -> list[str]:
        """What there is, in words."""
        there = {
            "a colour profile": self.icc,
            "EXIF": self.exif,
            "XMP": self.xmp,
            "IPTC": self.photoshop,
            "a comment": self.comment,
            "the resolution": self.dpi,
            "PNG text": any(name in (b"tEXt", b"zTXt", b"iTXt") for name, _ in self.chunks or ()),
        }
        return [name for name, value in there.items() if value]


def orientation_of(directory: Directory, xmp: bytes | None) -> int:
    """From 1, upright, to 8: by TIFF's or EXIF's tag, and where there is none by XMP's."""
    found = directory.number(274)
    if not 1 <= found <= 8 and (match := _XMP_ORIENTATION.search(xmp or b"")):
        found = int(match[2])
    return found if 1 <= found <= 8 else 1


def exif_directory(block: bytes | None) -> Directory:
    """The first directory of an EXIF block; empty where that is missing or damaged."""
    with suppress(PhotoError):
        return read_directories(io.BytesIO(block or b""))[0]
    return Directory("<")


def upright_exif(block: bytes, sideways: bool) -> bytes | None:
    """An EXIF block with orientation 1, without its thumbnail; None when it is damaged.

    ``sideways``: whether width and height have changed places. It is changed in place, so that
    makers' notes, which point to themselves, stay right.
    """

    def exchange(entries: dict[int, int], pairs: tuple[tuple[int, int], ...]) -> None:
        for pair in pairs:
            if all(number in entries for number in pair):
                across, down = (entries[number] + 2 for number in pair)
                data[across : across + 10] = block[down : down + 10]
                data[down : down + 10] = block[across : across + 10]

    block = block.removeprefix(b"Exif\0\0")
    data = bytearray(block)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    try:
        entries, following = directory_entries(
            block, struct.unpack_from(order + "I", block, 4)[0], order
        )
        if 274 in entries:
            struct.pack_into(order + "HIHH", data, entries[274] + 2, SHORT, 1, 1, 0)
        data[following : following + 4] = bytes(4)
        if sideways:
            exchange(entries, _ACROSS_AND_DOWN)
        if sideways and _EXIF_POINTER in entries:
            at = struct.unpack_from(order + "I", block, entries[_EXIF_POINTER] + 8)[0]
            exchange(directory_entries(block, at, order)[0], _ACROSS_AND_DOWN_IN_EXIF)
    except struct.error:
        return None
    return bytes(data)


def _sideways(directory: Directory, pairs: tuple[tuple[int, int], ...]) -> Directory:
    """A directory in which what belongs to width and height has changed places."""
    tags = dict(directory.tags)
    for across, down in pairs:
        if across in tags and down in tags:
            tags[across], tags[down] = tags[down], tags[across]
    pointer = tags.get(_EXIF_POINTER)
    if pointer is not None and pointer.child is not None:
        child = _sideways(pointer.child, _ACROSS_AND_DOWN_IN_EXIF)
        tags[_EXIF_POINTER] = replace(pointer, child=child)
    return Directory(directory.order, tags)


def upright_xmp(packet: bytes, sideways: bool) -> bytes:
    """An XMP packet in which tiff:Orientation, where there is one, is 1."""
    packet = _XMP_ORIENTATION.sub(rb"\g<1>1", packet)
    for pattern, across, down in _XMP_SIDES if sideways else ():
        packet = re.sub(pattern, partial(_exchanged, {across: down, down: across}), packet)
    return packet


def _exchanged(others: dict[bytes, bytes], match: re.Match[bytes]) -> bytes:
    return match[1] + others[match[2]]


def _resources(block: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Photoshop's image resources, as far as they can be parsed: the kind of each, where it begins,
    and from where to where its data is."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        kind = struct.unpack_from(">H", block, at + 4)[0]
        start = at + 10 + (block[at + 6] + 2) // 2 * 2
        if start > len(block):
            return
        size = struct.unpack_from(">I", block, start - 4)[0]
        yield kind, at, start, start + size
        at = start + size + size % 2


def without_thumbnails(resources: bytes) -> bytes:
    """Photoshop's image resources but for the thumbnails; what cannot be parsed stays."""
    kept, done = b"", 0
    for kind, at, _, end in _resources(resources):
        done = end + end % 2
        if kind not in _THUMBNAILS:
            kept += resources[at:done]
    return kept + resources[done:]


def sideways_resources(resources: bytes) -> bytes:
    """Photoshop's image resources with the resolutions across and down in each other's place."""
    for kind, _, start, end in _resources(resources):
        if kind == _RESOLUTION_RESOURCE and end - start == 16 and end <= len(resources):
            across, down = resources[start : start + 8], resources[start + 8 : end]
            resources = resources[:start] + down + across + resources[end:]
    return resources


def iptc_of(resources: bytes | None) -> bytes | None:
    """The IPTC records among Photoshop's image resources."""
    for kind, _, start, end in _resources(resources or b""):
        if kind == _IPTC_RESOURCE:
            return (resources or b"")[start:end]
    return None


def from_directory(directory: Directory) -> Metadata:
    """What a TIFF's directory says of the picture once it stands upright, with the tags of a grey
    picture's storage left out."""
    sideways = orientation_of(directory, directory.raw(700)) in SIDEWAYS
    if sideways:
        directory = _sideways(directory, _ACROSS_AND_DOWN)
    kept = {
        number: tag
        for number, tag in directory.tags.items()
        if number not in _STRUCTURE and not 50706 <= number <= 51200  # Adobe's DNG
    }
    inner = Directory(directory.order, kept)
    rest = Directory(
        directory.order, {n: tag for n, tag in kept.items() if n not in (700, 33723, 34377)}
    )
    photoshop = directory.raw(34377)
    if photoshop:
        photoshop = without_thumbnails(photoshop)
        photoshop = sideways_resources(photoshop) if sideways else photoshop
        inner.tags[34377] = Tag(BYTE, len(photoshop), photoshop)
    elif iptc := directory.raw(33723):
        photoshop = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc
        photoshop += bytes(len(iptc) % 2)
    xmp = directory.raw(700)
    if xmp:
        xmp = upright_xmp(xmp, sideways)
        inner.tags[700] = Tag(directory.tags[700].type, len(xmp), xmp)
    return Metadata(
        exif=pack_block(rest) if rest.tags else None,
        xmp=xmp,
        photoshop=photoshop,
        dpi=_resolution(directory),
        directory=inner,
    )


def has_layers(directory: Directory) -> bool:
    return _LAYERS in directory.tags


def _resolution(directory: Directory) -> tuple[float, float] | None:
    across, down = directory.rational(282), directory.rational(283)
    unit = {2: 1.0, 3: 2.54}.get(directory.number(296, 2))
    return (across * unit, down * unit) if across and down and unit else None


def to_directory(metadata: Metadata) -> Directory:
    """The tags of a TIFF that hold ``metadata``, whatever format it comes from."""
    if metadata.directory is not None:
        directory = Directory(metadata.directory.order, dict(metadata.directory.tags))
    else:
        directory = Directory("<")
        if metadata.exif:
            directory = from_directory(exif_directory(metadata.exif)).directory or directory
        if metadata.xmp:
            directory.put_bytes(700, BYTE, metadata.xmp)
        if metadata.photoshop:
            directory.put_bytes(34377, BYTE, metadata.photoshop)
            if iptc := iptc_of(metadata.photoshop):
                directory.put_bytes(33723, UNDEFINED, iptc)
        if metadata.dpi:
            for number, value in zip((282, 283), metadata.dpi, strict=True):
                pair = struct.pack(directory.order + "II", round(value * 1000), 1000)
                directory.tags[number] = Tag(RATIONAL, 1, pair)
            directory.put(296, SHORT, 2)
        else:
            for number in (282, 283, 296):
                directory.tags.pop(number, None)
    if metadata.icc:
        directory.put_bytes(34675, UNDEFINED, metadata.icc)
    return directory
