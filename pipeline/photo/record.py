"""What made a photo, in its own metadata: texts in PNG, private tags of EXIF and TIFF elsewhere.

ComfyUI's editor reads both: PNG's texts ``prompt`` and ``workflow``, and of WebP and AVIF every
text among the first directory's tags that begins with ``prompt:`` or ``workflow:``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from . import jpeg
from .formats import AVIF, HEIF, JPEG, MPO, PNG, TIFF, WEBP
from .metadata import Metadata, directory_entries
from .png import keyword
from .tiff import ASCII, Directory, Tag

OURS = "colorizationnet"
KEYS = ("prompt", "workflow", OURS)
FIRST_TAG = 65000  # TIFF 6.0, page 8: from here on anybody may use them as they like
_NUMBERS = range(FIRST_TAG, FIRST_TAG + len(KEYS))
_EXIF_FORMATS = {TIFF, JPEG, MPO, WEBP, AVIF, HEIF}
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)  # an EXIF block with no tags


def with_record(
    metadata: Metadata, record: Mapping[str, str], format: str, losses: list[str]
) -> Metadata:
    """``metadata`` with ``record`` (of `KEYS`) for a file of ``format``.

    An earlier record of the pack's own is left out. What another program wrote under the same
    keywords of a PNG is kept as ``source_prompt`` and ``source_workflow``.
    """
    chunks = metadata.chunks
    if chunks is not None:
        chunks = _without_record(chunks, bool(record))
        if format == PNG:
            chunks += [(b"tEXt", key.encode() + b"\0" + text.encode()) for key, text in
                       record.items()]  # fmt: skip
    elif format == PNG:
        metadata = replace(metadata, texts=dict(record))
    texts = {
        number: f"{key}:{record[key]}".encode() + b"\0"
        for number, key in zip(_NUMBERS, KEYS, strict=True)
        if key in record and format in _EXIF_FORMATS
    }
    exif = _with_texts(metadata.exif, texts)
    if texts and format in (JPEG, MPO) and exif and len(exif) + 6 > jpeg.MOST_BYTES:
        losses.append("what made it beside so much EXIF")
        exif = _with_texts(metadata.exif, {})
    directory = metadata.directory
    if directory is not None:
        kept = {number: tag for number, tag in directory.tags.items() if not _is_ours(number, tag)}
        kept |= {number: Tag(ASCII, len(text), text) for number, text in texts.items()}
        directory = Directory(directory.order, kept)
    return replace(metadata, chunks=chunks, exif=exif, directory=directory)


def _without_record(
    chunks: list[tuple[bytes, bytes]], is_replaced: bool
) -> list[tuple[bytes, bytes]]:
    texts = (b"tEXt", b"zTXt", b"iTXt")
    names = {keyword(data) for name, data in chunks if name in texts}
    keys = {key.encode() for key in KEYS}
    kept = []
    for name, data in chunks:
        word = keyword(data) if name in texts else b""
        if word in keys:
            if OURS.encode() in names:
                continue
            if is_replaced:
                if b"source_" + word in names:
                    continue
                data = b"source_" + data
        kept.append((name, data))
    return kept


def _with_texts(block: bytes | None, texts: Mapping[int, bytes]) -> bytes | None:
    """An EXIF block with ``texts`` in the place of those that it has.

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
        if _is_ours(number, Tag(kind, count, data[at : at + count])):
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


def _is_ours(number: int, tag: Tag) -> bool:
    if number not in _NUMBERS or tag.type != ASCII:
        return False
    return tag.data.startswith(f"{KEYS[number - FIRST_TAG]}:".encode())
