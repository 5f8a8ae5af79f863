"""What a photo's file says beside its pixels, carried from one format to another.

Blocks are kept to the byte where the format is the same. Only what would be wrong afterwards is
changed: the orientation becomes upright, and grey thumbnails are left out.
"""

from __future__ import annotations

import io
import re
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from ...exif import directory_entries
from .errors import PhotoError
from .tiff import BYTE, RATIONAL, SHORT, UNDEFINED, Directory, Tag, pack_block, read_directories

XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
_IPTC_RESOURCE, _THUMBNAILS = 1028, (1033, 1036)

# Tags that tell how a TIFF's pixels are stored, or that hold other pictures; all others are kept.
_STRUCTURE = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284,
    288, 289, 290, 291, 292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332,
    333, 334, 336, 337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521,
    529, 530, 531, 532, 34675, 37724,
}  # fmt: skip
_LAYERS = 37724
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([2-8])")


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


def upright_exif(block: bytes, swapped: bool) -> bytes | None:
    """An EXIF block with orientation 1, without its thumbnail; None when it is damaged.

    ``swapped``: whether width and height have changed places. It is changed in place, so that
    makers' notes, which point to themselves, stay right.
    """
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
        if swapped and 34665 in entries:
            at = struct.unpack_from(order + "I", block, entries[34665] + 8)[0]
            inner, _ = directory_entries(block, at, order)
            if 40962 in inner and 40963 in inner:  # PixelXDimension, PixelYDimension
                width, height = inner[40962] + 2, inner[40963] + 2
                data[width : width + 10] = block[height : height + 10]
                data[height : height + 10] = block[width : width + 10]
    except struct.error:
        return None
    return bytes(data)


def upright_xmp(packet: bytes) -> bytes:
    """An XMP packet in which tiff:Orientation, where there is one, is 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def without_thumbnails(resources: bytes) -> bytes:
    """Photoshop's image resources but for the thumbnails; what cannot be parsed stays."""
    kept, at = b"", 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        kind = struct.unpack_from(">H", resources, at + 4)[0]
        name = (resources[at + 6] + 2) // 2 * 2
        if at + 10 + name > len(resources):
            break
        size = struct.unpack_from(">I", resources, at + 6 + name)[0]
        end = at + 10 + name + size + size % 2
        if kind not in _THUMBNAILS:
            kept += resources[at:end]
        at = end
    return kept + resources[at:]


def iptc_of(resources: bytes | None) -> bytes | None:
    """The IPTC records among Photoshop's image resources."""
    at = 0
    while resources and resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        kind = struct.unpack_from(">H", resources, at + 4)[0]
        name = (resources[at + 6] + 2) // 2 * 2
        if at + 10 + name > len(resources):
            break
        size = struct.unpack_from(">I", resources, at + 6 + name)[0]
        start = at + 10 + name
        if kind == _IPTC_RESOURCE:
            return resources[start : start + size]
        at = start + size + size % 2
    return None


def from_directory(directory: Directory) -> Metadata:
    """What a TIFF's directory says, with the tags of a grey picture's storage left out."""
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
        inner.tags[34377] = Tag(BYTE, len(photoshop), photoshop)
    elif iptc := directory.raw(33723):
        photoshop = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc
        photoshop += bytes(len(iptc) % 2)
    xmp = directory.raw(700)
    if xmp:
        xmp = upright_xmp(xmp)
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
