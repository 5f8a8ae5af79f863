"""What made a picture, as texts among the tags of its EXIF. Standard library only.

ComfyUI's editor finds them there in WebP and AVIF: every text of the first directory that begins
with ``prompt:`` or ``workflow:``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

KEYS = ("prompt", "workflow", "colorizationnet")
FIRST_TAG = 65000  # TIFF 6.0, page 8: from here on anybody may use them as they like
ASCII = 2
_NUMBERS = range(FIRST_TAG, FIRST_TAG + len(KEYS))
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)  # a block with no tags


def numbered(texts: Mapping[str, str]) -> dict[int, bytes]:
    """The texts as tags by their number: `KEYS` have their own each, others follow."""
    others = [key for key in texts if key not in KEYS]
    numbers = enumerate((*KEYS, *others), FIRST_TAG)
    return {
        number: f"{key}:{texts[key]}".encode() + b"\0" for number, key in numbers if key in texts
    }


def is_ours(number: int, type: int, data: bytes) -> bool:
    """Whether a tag is one of `KEYS`, as `numbered` has them."""
    if number not in _NUMBERS or type != ASCII:
        return False
    return data.startswith(f"{KEYS[number - FIRST_TAG]}:".encode())


def with_texts(block: bytes | None, texts: Mapping[int, bytes]) -> bytes | None:
    """An EXIF block with tags of `numbered` in the place of those that it has.

    They and a new first directory go to its end; nothing else moves, as makers' notes point into
    the block.
    """
    data = block or _EMPTY
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    try:
        if not order:
            raise struct.error
        first = struct.unpack_from(order + "I", data, 4)[0]
        places, following = directory_entries(data, first, order)
        entries = {number: data[place : place + 12] for number, place in places.items()}
        after = data[following : following + 4]
    except struct.error:
        return block  # damaged
    old = []  # where each text of an earlier record begins
    for number in _NUMBERS:
        kind, count, at = struct.unpack_from(order + "HII", entries.get(number, bytes(12)), 2)
        if is_ours(number, kind, data[at : at + count]):
            old.append(at)
            del entries[number]
    if not texts and not old:
        return block
    if old and following + 4 == len(data) and first > max(old):
        data = data[: min(old)]  # where this pack put them, with nothing behind but its directory
    if not texts and not entries:
        return None
    data += bytes(len(data) % 2)
    for number, text in texts.items():
        entries[number] = struct.pack(order + "HHII", number, ASCII, len(text), len(data))
        data += text + bytes(len(text) % 2)
    directory = struct.pack(order + "H", len(entries))
    directory += b"".join(entry for _, entry in sorted(entries.items())) + after
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory


def directory_entries(block: bytes, at: int, order: str) -> tuple[dict[int, int], int]:
    """Where each tag's entry stands, and where the pointer to the next directory does.

    Raises ``struct.error`` where the block ends before.
    """
    (count,) = struct.unpack_from(order + "H", block, at)
    places = (at + 2 + 12 * index for index in range(count))
    entries = {struct.unpack_from(order + "H", block, place)[0]: place for place in places}
    struct.unpack_from(order + "I", block, at + 2 + 12 * count)
    return entries, at + 2 + 12 * count
