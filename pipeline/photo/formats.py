"""Which files are photos, by what is in them, and what a coloured photo can be stored as."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

PNG, TIFF, JPEG, WEBP, AVIF, JPEG2000, BMP, TGA, PPM, GIF, HEIF, MPO = (
    "PNG", "TIFF", "JPEG", "WEBP", "AVIF", "JPEG2000", "BMP", "TGA", "PPM", "GIF", "HEIF", "MPO",
)  # fmt: skip

SUFFIX_FORMATS = {
    ".png": PNG, ".tif": TIFF, ".tiff": TIFF,
    ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".jfif": JPEG, ".mpo": MPO,
    ".webp": WEBP, ".avif": AVIF, ".heic": HEIF, ".heif": HEIF, ".hif": HEIF,
    ".jp2": JPEG2000, ".j2k": JPEG2000, ".j2c": JPEG2000, ".jpc": JPEG2000, ".jpf": JPEG2000,
    ".jpx": JPEG2000, ".bmp": BMP, ".dib": BMP, ".gif": GIF,
    ".tga": TGA, ".icb": TGA, ".vda": TGA, ".vst": TGA,
    ".pgm": PPM, ".ppm": PPM, ".pnm": PPM, ".pbm": PPM,
}  # fmt: skip
PHOTO_SUFFIXES = frozenset(SUFFIX_FORMATS)
RESULT_SUFFIXES = PHOTO_SUFFIXES - {".gif", ".pgm", ".pbm", ".mpo"}
DEEP_FORMATS = {PNG, TIFF, PPM}  # 16 bits a channel
ALPHA_FORMATS = {PNG, TIFF, WEBP, AVIF, JPEG2000, TGA, HEIF}

UNKNOWN = "its content is of no kind of photo or clip known here"

# Results that need another suffix than their source, and why.
_OTHER_SUFFIXES = {
    ".pgm": (".ppm", "PGM holds no colour"),
    ".pbm": (".ppm", "PBM holds no colour"),
    ".gif": (".png", "GIF holds 256 colours"),
    ".mpo": (".jpg", "MPO is for several pictures"),
}
_DEFAULT_SUFFIXES = {
    PNG: ".png", TIFF: ".tif", JPEG: ".jpg", MPO: ".jpg", WEBP: ".webp", AVIF: ".avif",
    JPEG2000: ".jp2", BMP: ".bmp", TGA: ".tga", PPM: ".ppm", GIF: ".png", HEIF: ".heic",
}  # fmt: skip
_PHOTO_MAGIC = {
    b"\x89PNG\r\n\x1a\n": PNG, b"II*\0": TIFF, b"MM\0*": TIFF, b"II+\0": TIFF, b"MM\0+": TIFF,
    b"\xff\xd8\xff": JPEG, b"\0\0\0\x0cjP  \r\n\x87\n": JPEG2000, b"\xff\x4f\xff\x51": JPEG2000,
    b"BM": BMP, b"GIF87a": GIF, b"GIF89a": GIF,
}  # fmt: skip
_CLIP_MAGIC = (
    b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"OggS", b"\0\0\x01\xba",
    b"\0\0\x01\xb3", b"\x06\x0e+4", b"YUV4MPEG2", b"\x1f\x07\0", b"\0\0\0\x01", b".RMF",
    b"nut/multimedia",
    # H.264 and H.265 that begin with a short start code: parameter sets and delimiters.
    b"\0\0\x01\x09", b"\0\0\x01\x27", b"\0\0\x01\x67", b"\0\0\x01\x40", b"\0\0\x01\x46",
)  # fmt: skip
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class FileKind(NamedTuple):
    """What a file is: ``kind`` is ``"photo"``, ``"clip"`` or ``"neither"`` for a ``reason``.

    ``format`` of a photo is its name in Pillow.
    """

    kind: str
    format: str = ""
    reason: str = ""


def kind_of(path: Path) -> FileKind:
    """Whether ``path`` is a photo or a clip, by its content; its suffix decides only TGA and DIB.

    A moving GIF is a clip; other moving pictures (APNG, WebP, AVIF) are neither. Whether the
    rest of the file is whole is not asked. Raises ``OSError`` when it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return FileKind("neither", reason="it is empty")
    for magic, name in _PHOTO_MAGIC.items():
        if head.startswith(magic):
            if name in (GIF, PNG) and _is_animated(path, name):
                if name == GIF:
                    return FileKind("clip", name)
                return FileKind("neither", name, "it is a moving picture; make it a clip first")
            return FileKind("photo", name)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        if head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2:
            return FileKind("neither", WEBP, "it is a moving picture; make it a clip first")
        return FileKind("photo", WEBP)
    if head[4:8] == b"ftyp":
        size = struct.unpack(">I", head[:4])[0]
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))}
        if head[8:12] == b"avis":
            return FileKind("neither", AVIF, "it is a moving picture; make it a clip first")
        if b"avif" in brands:
            return FileKind("photo", AVIF)
        if brands & _HEIF_BRANDS:
            return FileKind("photo", HEIF)
        return FileKind("clip")
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return FileKind("photo", PPM)
    if head.startswith(_CLIP_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return FileKind("clip")
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return FileKind("clip")
    for start, step in ((0, 188), (4, 192)):  # MPEG-TS, and with time codes as in M2TS
        if len(head) > start + 4 * step and set(head[start : start + 5 * step : step]) == {0x47}:
            return FileKind("clip")
    if SUFFIX_FORMATS.get(path.suffix.lower()) == TGA and _looks_like_tga(head):
        return FileKind("photo", TGA)
    if path.suffix.lower() == ".dib" and head[:4] in (b"\x28\0\0\0", b"\x7c\0\0\0"):
        return FileKind("photo", "DIB")
    return FileKind("neither", reason=UNKNOWN)


def is_photo(path: Path) -> bool:
    return kind_of(path).kind == "photo"


def result_suffix(path: Path) -> tuple[str, str]:
    """The suffix of a coloured ``path``, and why it is another than the source's, or ``""``."""
    suffix = Path(path).suffix.lower()
    if suffix in _OTHER_SUFFIXES:
        return _OTHER_SUFFIXES[suffix]
    if suffix in PHOTO_SUFFIXES:
        return Path(path).suffix, ""
    name = kind_of(path).format
    return _DEFAULT_SUFFIXES.get(name, ".png"), f"its content is {name or 'unknown'}"


def _looks_like_tga(head: bytes) -> bool:
    return len(head) >= 18 and head[1] in (0, 1) and head[2] in (1, 2, 3, 9, 10, 11)


def _is_animated(path: Path, name: str) -> bool:
    return _gif_frames(path) > 1 if name == GIF else _has_animation_chunk(path)


def _has_animation_chunk(path: Path) -> bool:
    """Whether a PNG has an ``acTL`` chunk of more than one frame, which stands before ``IDAT``."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name == b"acTL":
                frames = file.read(4)
                return len(frames) == 4 and struct.unpack(">I", frames)[0] > 1
            if name in (b"IDAT", b"IEND"):
                return False
            file.seek(size + 4, 1)
    return False


def _gif_frames(path: Path) -> int:
    """How many pictures a GIF has, up to 2: its blocks are skipped, not unpacked."""
    frames = 0
    with path.open("rb") as file:
        head = file.read(13)
        if len(head) == 13 and head[10] & 0x80:
            file.seek(3 << (head[10] & 7) + 1, 1)
        while frames < 2 and (mark := file.read(1)) in (b"!", b","):
            if mark == b"!":
                file.seek(1, 1)
            else:
                frames += 1
                place = file.read(9)
                if len(place) < 9:
                    break
                if place[8] & 0x80:
                    file.seek(3 << (place[8] & 7) + 1, 1)
                file.seek(1, 1)
            while (length := file.read(1)) and length != b"\0":
                file.seek(length[0], 1)
    return frames
