"""Coloured photos to disk, page by page and band by band, with what their sources held."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...files import AtomicOutput
from ...model import row_bands
from . import jp2, jpeg, png
from .color_management import srgb_profile
from .errors import PhotoError
from .formats import (
    ALPHA_FORMATS,
    AVIF,
    BMP,
    DEEP_FORMATS,
    HEIF,
    JPEG,
    JPEG2000,
    MPO,
    PNG,
    PPM,
    RESULT_SUFFIXES,
    SUFFIX_FORMATS,
    TGA,
    TIFF,
    WEBP,
    result_suffix,
)
from .heif import save_heif
from .metadata import Metadata, exif_directory, resolution_of, to_directory
from .png import PngWriter
from .raster import BAND_PIXELS
from .read import Photo
from .record import with_record
from .tiff_writer import TiffWriter

_LOSSY_ALIKE = {"quality": 95, "subsampling": 0}
# What each format holds, in the words of `Metadata.names`.
_BLOCKS = {"a colour profile", "EXIF", "XMP"}
_HELD: dict[str, set[str]] = {
    PNG: _BLOCKS | {"PNG text", "a comment", "the resolution"},
    TIFF: _BLOCKS | {"IPTC", "the resolution"},
    JPEG: _BLOCKS | {"IPTC", "a comment", "the resolution"},
    WEBP: _BLOCKS,
    AVIF: _BLOCKS,
    HEIF: _BLOCKS,
    BMP: {"the resolution"},
    JPEG2000: _BLOCKS | {"a comment"},
}


def result_format(path: Path) -> str:
    """The format that the suffix of ``path`` names. Raises ``PhotoError`` for another."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIX_FORMATS:
        raise PhotoError(f"{path} is no name for a photo; end it in .png, .tif or .jpg.")
    if suffix not in RESULT_SUFFIXES:
        better, why = result_suffix(path)
        raise PhotoError(f"{path} cannot be a coloured photo, because {why}; end it in {better}.")
    return SUFFIX_FORMATS[suffix]


def result_bits(format: str, source_bits: int, wanted: int | None) -> int:
    """8 or 16: as many as the source has, unless other is ``wanted`` or the format has no more."""
    if wanted not in (None, 8, 16):
        raise PhotoError(f"The bit depth is {wanted}; choose 8 or 16.")
    return 16 if (wanted or source_bits) > 8 and format in DEEP_FORMATS else 8


class PhotoOutput:
    """Writes a photo under ``path``, whole or not at all: `begin` a page, then its bands.

    A context manager. ``losses`` says afterwards what the format could not hold. ``record`` says
    what made the photo, by ``prompt``, ``workflow`` and ``colorizationnet``; it stands in the first
    page of what can hold it: PNG, JPEG, TIFF, WebP, AVIF, HEIC.
    """

    def __init__(
        self, path: Path, *, overwrite: bool = False, record: Mapping[str, str] | None = None
    ) -> None:
        self.format = result_format(path)
        self._record = record or {}
        self.losses: list[str] = []
        self._output = AtomicOutput(path, overwrite=overwrite)
        self._writer: Any = None
        self._pages: Any = None
        self._file: Any = None

    @property
    def is_big_tiff(self) -> bool:
        """Whether what was written is a BigTIFF, as it is too large for another."""
        return self._pages is not None and self._pages.is_big

    def __enter__(self) -> PhotoOutput:
        if self.format in (PNG, TIFF, PPM):
            self._file = self._output.part.open("wb")
        return self

    def __exit__(
        self, exception_type: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        try:
            if isinstance(error, OSError) and error.errno and error.filename is None:
                raise OSError(error.errno, error.strerror, str(self._output.path)) from error
            if exception_type is None:
                self._end_page()
                if self._pages is not None:
                    self._pages.close()
                if self._file is not None:
                    self._file.close()
                self._output.commit()
        finally:
            if self._file is not None:
                self._file.close()
            self._output.discard()

    def begin(
        self, size: tuple[int, int], metadata: Metadata, *, bits: int = 8, alpha: bool = False
    ) -> None:
        """Begin a page of ``(height, width)``; ``alpha``: whether bands have four channels."""
        self._end_page()
        if self._pages is None and self._writer is not None:
            raise PhotoError(f"{self._output.path} holds one picture; name a .tif for several.")
        channels = 4 if alpha else 3
        metadata = with_record(metadata, self._record, self.format, self.losses)
        self._record = {}
        if self.format == PNG:
            chunks = _png_chunks(metadata)
            self._writer = PngWriter(self._file, size, channels, bits, chunks)
        elif self.format == TIFF:
            directory = to_directory(metadata)
            self._pages = self._pages or TiffWriter(self._file, directory.order)
            self._pages.begin(size, channels, bits, metadata.encoding, directory)
            self._writer = self._pages
        elif self.format == PPM:
            self._writer = _PpmWriter(self._file, size, bits)
        else:
            save = _saver(self._output.part, self.format, metadata, self.losses)
            self._writer = _PillowWriter(size, channels, save)
        self.losses += [
            name for name in metadata.names() if name not in _held(self._output.path, metadata)
        ]

    def pack(self, levels: np.ndarray) -> Any:
        """A band ``(n, W, 3 or 4)`` uint8 or uint16, made ready in any thread."""
        return self._writer.pack(levels)

    def put(self, packed: Any) -> None:
        """Write what `pack` has made, in the order of the rows."""
        self._writer.put(packed)

    def _end_page(self) -> None:
        if self._writer is not None:
            (self._writer.end_page if self._writer is self._pages else self._writer.close)()
            if self._writer is self._pages:
                self._writer = None


def write_photo(
    path: Path,
    image: Tensor,
    photo: Photo | None = None,
    *,
    bit_depth: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write ``image`` ``(H, W, 3)`` in [0, 1], with the alpha and all else that ``photo`` holds.

    ``bit_depth``: 8 or 16 bits a channel; None is what ``photo`` has, as far as the format of
    ``path`` does. Raises ``FileExistsError`` when it is there and ``overwrite`` is off,
    ``PhotoError`` for a name that is no photo's.
    """
    path = Path(path)
    image = image.detach().cpu()
    source_bits = photo.bits if photo else 8
    metadata = photo.first.metadata if photo else Metadata()
    raster = photo.first.raster if photo else None
    with PhotoOutput(path, overwrite=overwrite) as output:
        bits = result_bits(output.format, source_bits, bit_depth)
        has_alpha = raster is not None and raster.alpha is not None
        with_alpha = has_alpha and output.format in ALPHA_FORMATS
        height, width = image.shape[:2]
        output.begin((height, width), metadata, bits=bits, alpha=with_alpha)
        for rows in row_bands(range(height), width, BAND_PIXELS):
            band = image[rows].float()
            alpha = None if raster is None else raster.alpha_rows(rows)
            output.put(output.pack(to_levels(band, alpha, bits, with_alpha)))
    tell(path, output, {(source_bits, bits)}, bit_depth, has_alpha and not with_alpha)


def to_levels(image: Tensor, alpha: np.ndarray | None, bits: int, with_alpha: bool) -> np.ndarray:
    """A band ``(n, W, 3)`` in [0, 1] as levels; ``alpha`` becomes a channel, or a white ground."""
    white = (1 << bits) - 1
    if alpha is not None and not with_alpha:
        image = torch.lerp(torch.ones(()), image, torch.from_numpy(alpha)[..., None])
    values = image.mul(white).clamp_(0, white).round_()
    if bits == 8:
        levels = values.to(torch.uint8).contiguous().numpy()
    else:
        levels = np.ascontiguousarray(values.numpy().astype(np.uint16))
    if alpha is not None and with_alpha:
        opacity = np.rint(alpha * white).astype(levels.dtype)
        levels = np.concatenate((levels, opacity[..., None]), axis=-1)
    return levels


def tell(
    path: Path,
    output: PhotoOutput,
    depths: set[tuple[int, int]],
    wanted: int | None,
    on_white: bool,
) -> list[str]:
    """Log what became of the photo, and return it.

    ``depths``: the bits a level that its pages had, each with those that were written.
    """
    notes = []
    for source, bits in sorted(depths):
        if source > 16 and bits == 16:
            notes.append("its 32-bit levels are written with 16 bits.")
        elif source > bits and source > 8 and wanted is None:
            notes.append(f"{source}-bit levels are written with {bits} bits; {output.format} has "
                         "no more here.")  # fmt: skip
    if output.is_big_tiff:
        notes.append("it has more than 4 GB, so it is a BigTIFF, which some programs do not read.")
    if on_white:
        notes.append(f"{output.format} holds no transparency; it is put on white.")
    if output.losses:
        lost = ", ".join(dict.fromkeys(output.losses))
        notes.append(f"{output.format} cannot hold {lost}, which is left out.")
    for note in notes:
        logging.warning("%s: %s", path, note)
    return notes


def _held(path: Path, metadata: Metadata) -> set[str]:
    """The names of what a result called ``path`` will hold."""
    held = set(_HELD.get(SUFFIX_FORMATS[path.suffix.lower()], set()))
    if path.suffix.lower() == ".j2k":  # a bare codestream
        held -= _BLOCKS
    if "EXIF" in held and resolution_of(exif_directory(metadata.exif)):
        held.add("the resolution")
    if metadata.icc == srgb_profile():  # which a picture without a profile has
        held.add("a colour profile")
    return held


def _png_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    chunks = list(metadata.chunks or ())
    if metadata.chunks is None and metadata.dpi:
        dots = [round(value / 0.0254) for value in metadata.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *dots, 1)))
    if metadata.icc:
        chunks.insert(0, png.profile_chunk(metadata.icc))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(png.xmp_chunk(metadata.xmp))
    if metadata.comment and metadata.chunks is None:
        chunks.append((b"tEXt", b"Comment\0" + metadata.comment.replace(b"\0", b" ")))
    for key, text in metadata.texts.items():
        chunks.append((b"tEXt", key.encode() + b"\0" + text.encode()))
    return chunks


class _PillowWriter:
    """Gathers a picture and hands it to Pillow."""

    def __init__(
        self, size: tuple[int, int], channels: int, save: Callable[[Image.Image], None]
    ) -> None:
        self._image = Image.new("RGB" if channels == 3 else "RGBA", size[::-1], None)  # not filled
        self._save, self._top = save, 0

    def pack(self, levels: np.ndarray) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(levels))

    def put(self, band: Image.Image) -> None:
        self._image.paste(band, (0, self._top))
        self._top += band.height

    def close(self) -> None:
        self._save(self._image)


def _saver(
    part: Path, format: str, metadata: Metadata, losses: list[str]
) -> Callable[[Image.Image], None]:
    """Saves an image with Pillow as its source was stored."""
    options: dict[str, Any] = {"format": JPEG if format == MPO else format}
    encoding = metadata.encoding
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = metadata.exif
    if metadata.dpi and format in (JPEG, MPO, BMP):
        options["dpi"] = tuple(metadata.dpi)
    if format in (JPEG, MPO):
        if "qtables" in encoding:
            options |= {key: encoding[key] for key in ("qtables", "subsampling", "progressive")}
        else:
            options |= _LOSSY_ALIKE
        if metadata.exif:
            options["exif"] = b"Exif\0\0" + metadata.exif
            if len(options["exif"]) > jpeg.MOST_BYTES:
                losses.append("EXIF of more than 64 KB")
                del options["exif"]
        if metadata.comment:
            options["comment"] = metadata.comment
        options["extra"] = jpeg.segments(metadata, losses)
    elif format == WEBP:
        options |= {"quality": 95, "method": 6, "lossless": encoding.get("lossless", False)}
        options["xmp"] = metadata.xmp or b""
    elif format == AVIF:
        options |= {"quality": 90, "subsampling": "4:4:4", "xmp": metadata.xmp or b""}
    elif format == JPEG2000:
        options["comment"] = metadata.comment
        if encoding.get("irreversible"):
            options |= {"irreversible": True, "quality_mode": "dB", "quality_layers": [50]}
    elif format == TGA and encoding.get("compression"):
        options["compression"] = encoding["compression"]

    def save(image: Image.Image) -> None:
        if format == HEIF:
            save_heif(image, part, metadata)
        else:
            try:
                image.save(part, **options)
            except (ValueError, KeyError) as error:
                raise PhotoError(f"The photo cannot be written as {format}: {error}.") from error
            if format == JPEG2000:
                own = None if metadata.icc == srgb_profile() else metadata.icc
                jp2.add_boxes(part, metadata, own)

    return save


class _PpmWriter:
    def __init__(self, file: BinaryIO, size: tuple[int, int], bits: int) -> None:
        self._file = file
        file.write(b"P6\n%d %d\n%d\n" % (size[1], size[0], (1 << bits) - 1))

    def pack(self, levels: np.ndarray) -> bytes:
        return levels.astype(">u2" if levels.dtype == np.uint16 else "u1").tobytes()

    def put(self, packed: bytes) -> None:
        self._file.write(packed)

    def close(self) -> None:
        pass
