"""The creation time in the headers of MP4 and MOV, where everybody looks for it.

ffmpeg's muxer writes it there only together with a tag of that name, if it writes tags of any name;
readers then find it twice.
"""

import struct
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

EPOCH = datetime(1904, 1, 1, tzinfo=timezone.utc)
_PARENTS = (b"moov", b"trak", b"mdia")
_TIMED = (b"mvhd", b"tkhd", b"mdhd")


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 time as ffmpeg writes it, of which no zone means UTC."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def set_creation_time(path: Path, time: datetime) -> None:
    """Write ``time`` into the movie's and the tracks' headers (ISO/IEC 14496-12, 8.2.2)."""
    seconds = int((time - EPOCH).total_seconds())
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for offset in _headers(file, 0, size):
            file.seek(offset)
            version = file.read(1)[0]
            if version == 0 and not 0 <= seconds < 1 << 32:
                continue
            file.seek(offset + 4)
            file.write(struct.pack(">QQ" if version else ">II", seconds, seconds))


def _headers(file: BinaryIO, at: int, end: int) -> Iterator[int]:
    """Where the content of each header with times begins."""
    while at + 8 <= end:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        if size < head:
            return
        if name in _TIMED:
            yield at + head
        elif name in _PARENTS:
            yield from _headers(file, at + head, at + size)
        at += size
