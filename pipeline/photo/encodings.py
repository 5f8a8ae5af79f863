"""How pictures were stored, as far as Pillow does not tell."""

from __future__ import annotations

from pathlib import Path


def is_lossless_webp(path: Path) -> bool:
    """Whether the picture is in a ``VP8L`` chunk (RFC 9649)."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = head[:4], int.from_bytes(head[4:], "little")
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8L"
            file.seek(size + size % 2, 1)
    return False


def _jp2_marker(path: Path, marker: bytes, length: int) -> bytes:
    with path.open("rb") as file:
        head = file.read(1 << 16)
    start = head.find(b"\xff\x4f\xff\x51")
    at = head.find(marker, start) if start >= 0 else -1
    return head[at : at + length] if at >= 0 else b""


def is_irreversible_jp2(path: Path) -> bool:
    """Whether a JPEG 2000 has the lossy 9-7 wavelet, by its coding style marker (COD)."""
    style = _jp2_marker(path, b"\xff\x52", 14)
    return len(style) == 14 and style[13] == 0


def is_deep_jp2(path: Path) -> bool:
    """By the component sizes of its size marker (SIZ)."""
    size = _jp2_marker(path, b"\xff\x51", 41)
    return len(size) == 41 and (size[40] & 0x7F) + 1 > 8


def is_deep_avif(path: Path) -> bool:
    """By ``high_bitdepth`` of the first AV1 configuration (AV1-ISOBMFF, 2.3.3)."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    at = head.find(b"av1C")
    return at >= 0 and len(head) > at + 6 and bool(head[at + 6] & 0x40)
