"""The pictures of a TIFF file: which there are, and their levels in black-is-zero order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import tiff_pixels
from .errors import PhotoError
from .formats import TIFF
from .metadata import Metadata, from_directory, has_layers, orientation_of
from .pillow_files import check_size
from .raster import Raster
from .tiff import Directory, read_directories
from .tiff_pixels import BLACK_IS_ZERO, JPEG, RGB, WHITE_IS_ZERO, Layout, read_samples

_REDUCED, _MASK = 1, 4  # of NewSubfileType
_DNG_VERSION, _SUB_DIRECTORIES = 50706, 330
_PREMULTIPLIED, _OPACITY = 1, (1, 2)
_DIFFERENTLY_STORED = {5: "CMYK", 6: "YCbCr", 8: "L*a*b*"}


class TiffFile:
    """The true pictures of ``path``: thumbnails and masks among its pages do not count.

    Raises ``PhotoError`` for a file without one, and for a camera's raw file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            try:
                directories = read_directories(file)
            except PhotoError as error:
                raise PhotoError(f"{path} cannot be read as a picture: {error}.") from None
        if _DNG_VERSION in directories[0].tags or (
            _is_reduced(directories[0]) and _SUB_DIRECTORIES in directories[0].tags
        ):
            raise PhotoError(f"{path} is a camera's raw file; develop it to TIFF or JPEG first.")
        pages = [(index, page) for index, page in enumerate(directories) if not _is_side(page)]
        pages = [
            (index, page)
            for index, page in pages
            if index == pages[0][0] or not _looks_like_thumbnail(page, pages[0][1])
        ]
        if not pages:
            raise PhotoError(f"{path} holds only a thumbnail; it has no picture to colour.")
        self._pages = pages
        for _, page in pages:
            check_size(path, (page.number(256), page.number(257)))

    @property
    def count(self) -> int:
        return len(self._pages)

    def frame(self, index: int) -> int:
        """Where the page stands in the file, thumbnails counted, as Pillow counts."""
        return self._pages[index][0]

    def profile(self, index: int) -> bytes | None:
        return self._pages[index][1].raw(34675)

    def metadata(self, index: int, notes: list[str]) -> Metadata:
        directory = self._pages[index][1]
        metadata = from_directory(directory)
        metadata.encoding["compression"] = directory.number(259, tiff_pixels.RAW)
        if has_layers(directory):
            notes.append("its Photoshop layers are left out; the flat picture is coloured.")
        return metadata

    def refusal(self, index: int) -> PhotoError:
        """What is said of a page that cannot be read."""
        return PhotoError(
            f"{self.path} is {Layout.of(self._pages[index][1]).describe()}, which cannot be read; "
            f"save it as 8- or 16-bit grey or RGB {TIFF}."
        )

    def loss(self, index: int) -> list[str]:
        """What Pillow, which reads the page, makes less of it than it is."""
        layout = Layout.of(self._pages[index][1])
        if layout.bits > 8 and layout.photometric in _DIFFERENTLY_STORED:
            kind = _DIFFERENTLY_STORED[layout.photometric]
            return [f"its {layout.bits}-bit {kind} is read with 8 bits."]
        return []

    def read(self, index: int, notes: list[str]) -> tuple[Raster, int] | None:
        """The page upright, and its bits a level; None when Pillow reads all that there is of it.

        Raises ``PhotoError`` for what neither can.
        """
        directory = self._pages[index][1]
        layout = Layout.of(directory)
        if not layout.is_plain():
            is_grey_or_rgb = layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
            if (is_grey_or_rgb and layout.compression != JPEG) or (
                layout.photometric not in (0, 1, 2, 3, 5, 6, 8)
            ):
                raise self.refusal(index)
            return None
        alpha_at = next(
            (layout.colors + i for i, kind in enumerate(layout.extra) if kind in _OPACITY), None
        )
        if layout.samples == layout.colors + 1 and not layout.extra and layout.colors == 3:
            alpha_at = 3  # as Pillow and others take a fourth channel that is not explained
        if alpha_at is not None and alpha_at >= layout.samples:
            alpha_at = None
        keep = layout.colors if alpha_at is None else alpha_at + 1
        with self.path.open("rb") as file:
            try:
                samples, whole = read_samples(file, directory, layout, keep)
            except PhotoError as error:
                raise PhotoError(f"{self.path} cannot be read as a picture: {error}.") from None
        if whole == 0 and not samples.any():
            raise PhotoError(f"{self.path} cannot be read as a picture: its pixels are missing.")
        if whole < layout.height:
            notes.append(
                f"damaged: from row {whole} of {layout.height} on, pixels are missing; what could "
                "be read is kept."
            )
        samples, white = _unsigned(samples, layout, notes)
        if layout.photometric == WHITE_IS_ZERO:
            colors = samples[..., : layout.colors]
            np.subtract(samples.dtype.type(white), colors, out=colors)
        alpha = None if alpha_at is None else samples[..., alpha_at]
        levels = samples[..., : layout.colors]
        if alpha is not None and layout.extra[:1] == (_PREMULTIPLIED,):
            levels = _unmultiplied(levels, alpha, white)
        raster = Raster(levels, white, alpha=alpha, alpha_white=white)
        raster.turn(orientation_of(directory, directory.raw(700)))
        bits = layout.bits
        return raster, 1 if bits == 1 else 8 if bits <= 8 else 16 if bits <= 16 else 32


def _is_reduced(directory: Directory) -> bool:
    return bool(directory.number(254) & _REDUCED) or directory.number(255) == 2


def _is_side(directory: Directory) -> bool:
    """Whether the page is a thumbnail or a mask of another, or no picture at all."""
    return (
        _is_reduced(directory)
        or bool(directory.number(254) & _MASK)
        or not (directory.number(256) and directory.number(257))
    )


def _looks_like_thumbnail(page: Directory, first: Directory) -> bool:
    """A far smaller page of the same shape, which scanning programs forget to mark as reduced."""
    width, height = page.number(256), page.number(257)
    scale = first.number(256) / width
    same_shape = abs(first.number(257) / scale - height) <= 1.5
    return max(width, height) <= 256 and scale >= 4 and same_shape


def _unsigned(samples: np.ndarray, layout: Layout, notes: list[str]) -> tuple[np.ndarray, float]:
    """Levels from 0 to the white that comes with them, and a note where the file leaves it open."""
    if samples.dtype.kind == "f":
        return fractions(samples, notes), 1.0
    if samples.dtype.kind == "i":
        half = 1 << (layout.bits - 1)
        if samples.min() < 0:
            notes.append(f"its levels are signed; they are taken from {-half} to {half - 1}.")
            unsigned = samples.view(samples.dtype.str.replace("i", "u"))
            return unsigned ^ unsigned.dtype.type(half), 2 * half - 1
        notes.append(f"its levels are signed; they are taken from 0 to {half - 1}.")
        return samples.view(samples.dtype.str.replace("i", "u")), half - 1
    white = (1 << layout.bits) - 1
    most = int(samples.max())
    if layout.bits == 32 and most <= 65535:
        notes.append("its 32-bit levels end at 65535, which is taken for white.")
        white = 65535
    elif layout.bits == 16 and 255 < most < 16384:
        notes.append(
            f"its levels use {most.bit_length()} of 16 bits, so it is as dark as it is stored; "
            "if that is not meant, stretch its levels first."
        )
    elif layout.bits == 16 and 0 < most <= 255:
        notes.append(
            "its levels use 8 of 16 bits, so it is all but black as it is stored; if that is not "
            "meant, stretch its levels first."
        )
    return samples, white


def fractions(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Floating-point levels in [0, 1]; what goes up to 255, 65535 or elsewhere is divided by that.

    Single overshoots over 1 (one pixel in a hundred at the most) are clipped.
    """
    if not np.isfinite(values).all():
        notes.append("some of its levels are no numbers; they are black.")
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    most = float(values.max())
    if most > 1 and (values > 1).mean() > 0.01:
        white = next((white for white in (255.0, 65535.0) if most <= white), most)
        notes.append(f"its levels go up to {most:g}; {white:g} is taken for white.")
        values = values / np.float32(white)
    return np.clip(values, 0, 1)


def _unmultiplied(levels: np.ndarray, alpha: np.ndarray, white: float) -> np.ndarray:
    share = np.maximum(alpha, 1 if alpha.dtype.kind == "u" else 1e-6)[..., None]
    full = levels.astype(np.float64) * white / share
    full = np.minimum(full, white)
    return full.round().astype(levels.dtype) if levels.dtype.kind == "u" else full.astype("f4")
