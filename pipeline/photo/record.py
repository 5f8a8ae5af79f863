"""What made a photo, in its own metadata: texts in PNG, private tags of EXIF and TIFF elsewhere.

ComfyUI's editor reads both: PNG's texts ``prompt`` and ``workflow``, and those of `exif`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...exif import ASCII, KEYS, is_ours, numbered, with_texts
from . import jpeg
from .formats import AVIF, HEIF, JPEG, MPO, PNG, TIFF, WEBP
from .metadata import Metadata
from .png import keyword
from .tiff import Directory, Tag

*_, OURS = KEYS
_EXIF_FORMATS = {TIFF, JPEG, MPO, WEBP, AVIF, HEIF}


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
    texts = numbered(record if format in _EXIF_FORMATS else {})
    exif = with_texts(metadata.exif, texts)
    if texts and format in (JPEG, MPO) and exif and len(exif) + 6 > jpeg.MOST_BYTES:
        losses.append("what made it beside so much EXIF")
        exif = with_texts(metadata.exif, {})
    directory = metadata.directory
    if directory is not None:
        kept = {
            number: tag
            for number, tag in directory.tags.items()
            if not is_ours(number, tag.type, tag.data)
        }
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
