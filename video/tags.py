"""The tags of a clip as a whole, and of the pictures that ffmpeg gives none."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..exif import numbered, with_texts
from .ffmpeg import FFmpeg, VideoError, input_file

MAX_BYTES = 64 << 20
_TAG = re.compile(r"((?:[^\\=\n]|\\.)*)=((?:[^\\\n]|\\.)*)\n", re.DOTALL)
_EXIF_FLAG = 0x08  # of VP8X, RFC 9649


def read_tags(path: str | os.PathLike, *, demuxer: str | None = None) -> dict[str, str]:
    """The tags of the clip ``path`` as a whole, by their names in lower case.

    Raises `VideoError`, whose message is ffmpeg's.
    """
    arguments = [*input_file(path, demuxer=demuxer), "-f", "ffmetadata", "pipe:1"]
    with FFmpeg(arguments, stdout=True) as process:
        listing = bytearray()
        for line in process.read_lines():
            listing += line
            if line.startswith((b"[CHAPTER]", b"[STREAM]")) or len(listing) > MAX_BYTES:
                break
        else:
            if process.wait() != 0:
                raise VideoError(process.cause())
    text = listing.decode("utf-8", "replace")
    return {
        _unescaped(tag[1]).lower(): _unescaped(tag[2])
        for tag in _TAG.finditer(text.partition("\n")[2])
    }


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def tag_pictures(path: Path, tags: Mapping[str, str]) -> None:
    """Put ``tags`` where ComfyUI's editor reads them, in a WebP or each PNG of a folder.

    ffmpeg writes none of them. Other files stay as they are.
    """
    if not tags:
        return
    if path.is_dir():
        chunks = b"".join(_png_chunk(key, value) for key, value in tags.items())
        for picture in path.iterdir():
            data = picture.read_bytes()
            end_of_header = 8 + 25
            picture.write_bytes(data[:end_of_header] + chunks + data[end_of_header:])
    elif path.suffix.lower() == ".webp":
        _tag_webp(path, tags)


def _png_chunk(key: str, value: str) -> bytes:
    body = b"iTXt" + key.encode() + b"\0\0\0\0\0" + value.encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _tag_webp(path: Path, tags: Mapping[str, str]) -> None:
    """Append an EXIF chunk of texts such as ``prompt:{...}``, and announce it in the header."""
    with path.open("r+b") as file:
        head = file.read(21)
        if head[8:16] != b"WEBPVP8X":
            return
        block = with_texts(None, numbered(tags)) or b""
        file.seek(0, 2)
        file.write(b"EXIF" + struct.pack("<I", len(block)) + block)
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))
        file.seek(20)
        file.write(bytes([head[20] | _EXIF_FLAG]))
