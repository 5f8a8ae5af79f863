"""From a photo to a coloured photo in bands, so that a large scan never is in memory as floats."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...callbacks import Check, OnProgress
from ...files import AtomicOutput
from ...model import (
    ChromaModel,
    Network,
    in_pieces,
    interleaved_luma,
    merge,
    parallel_map,
    resize_columns,
    resize_rows,
    row_bands,
)
from ...options import ColorOptions
from .errors import PhotoError
from .formats import ALPHA_FORMATS, TIFF
from .page import Page
from .raster import Raster
from .read import read_photo
from .write import PhotoOutput, result_bits, result_format, tell, to_levels

_TOGETHER = 8  # bands in work at a time
_IN_CACHE = 1 << 17  # pixels of a band in work in a thread


class Bands(Protocol):
    """A picture that is read band by band."""

    height: int
    width: int

    def read(self, rows: slice) -> Tensor:
        """Grey or RGB ``(n, W, 1 or 3)`` float32 in [0, 1] of these rows."""
        ...

    def slices(self) -> Iterable[slice]:
        """The rows of each band, from the top to the bottom."""
        ...


Paint = Callable[[slice, Tensor], Tensor]
"""The coloured rows ``(n, W, 3)`` of rows as `Bands.read` gives them; called from many threads."""

Colorize = Callable[[Bands], Paint]
"""Sees a whole picture once, band by band, and says how its bands are painted."""


@dataclass(frozen=True)
class PhotoResult:
    """What became of a photo.

    ``path`` is what was written, None where it was left. ``has_color``: it is in colour already;
    ``is_bilevel``: only black and white, so that it was copied as it is. ``notes``: the warnings.
    """

    path: Path | None
    pages: int = 1
    has_color: bool = False
    is_bilevel: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def is_damaged(self) -> bool:
        """Whether not all of the source could be read."""
        return any(note.startswith("damaged") for note in self.notes)


DEFAULTS = ColorOptions()


@in_pieces()
def colorize_photo(
    source: Path,
    target: Path,
    network: Network,
    color: ColorOptions = DEFAULTS,
    *,
    bit_depth: int | None = None,
    overwrite: bool = False,
    skip_color: bool = False,
    compare: bool = False,
    record: Mapping[str, str] | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> PhotoResult:
    """Colour the photo ``source`` into ``target``, every page of it, and keep all else.

    Tones, depth, profile, metadata, alpha and compression are the source's as far as the format of
    ``target`` has them; luma is kept within half a level. ``bit_depth``: 8 or 16 bits a channel;
    ``None`` is what the source has. A photo that is in colour already is judged by its luma, or
    left with ``skip_color``. ``compare`` leaves the left half as it was. ``on_progress`` counts
    rows. Large scans are coloured in bands.
    ``record`` goes into the result's metadata, see `PhotoOutput`.

    Raises `PhotoError` for what cannot be read or written, and ``FileExistsError`` when ``target``
    is there and ``overwrite`` is off.
    """
    return paint_photo(
        source,
        target,
        photo_colorizer(network, color, compare=compare, device=device, check=check),
        bit_depth=bit_depth,
        overwrite=overwrite,
        skip_color=skip_color,
        record=record,
        on_progress=on_progress,
        check=check,
    )


def photo_colorizer(
    network: Network,
    color: ColorOptions = DEFAULTS,
    *,
    compare: bool = False,
    device: torch.device | str = "cpu",
    check: Check | None = None,
) -> Colorize:
    """What `colorize_photo` colours by, for `paint_photo`: made once, it serves many photos.

    It is of ``network`` as that is now: after its weights have changed, another is needed.
    """
    model = network.chroma_model(color, device)
    return colorize_bands(model, strength=color.strength, compare=compare, check=check)


def colorize_bands(
    model: ChromaModel,
    *,
    strength: float = 1.0,
    compare: bool = False,
    check: Check | None = None,
) -> Colorize:
    """Colours pictures by ``model``, which sees them small, and keeps their luma.

    ``strength`` from 0 (as they are) to 1; ``compare`` leaves their left halves as they are.
    ``check`` is called often, and ends the work by raising.
    """

    @torch.no_grad()
    def colorize(bands: Bands) -> Paint:
        if strength == 0:
            return lambda rows, own: own.expand(-1, -1, 3)
        height, width = model.input_size(bands.height, bands.width)
        luma = small_luma_of(bands, (height, width), model.device, check)
        chroma = model.chroma(luma[None], check)
        narrow = resize_rows(chroma[0], bands.height)

        @torch.no_grad()
        def paint(rows: slice, own: Tensor) -> Tensor:
            own = own.to(model.device)
            luma, chroma = interleaved_luma(own), resize_columns(narrow[:, rows], bands.width)
            colored = merge(luma[None], chroma).permute(1, 2, 0)
            if strength < 1:
                colored = torch.lerp(own, colored, strength)
            if compare:
                left = bands.width // 2
                colored[:, :left] = own[:, :left]
            return colored.cpu()

        return paint

    return colorize


def small_luma_of(
    bands: Bands, size: tuple[int, int], device: torch.device | str, check: Check | None = None
) -> Tensor:
    """The luma ``(1, h, w)`` at ``size`` of a picture whose columns are shrunk band by band."""
    slices = list(bands.slices())
    narrow = torch.empty(1, bands.height, size[1], device=device)

    def shrink(rows: slice) -> None:
        luma = interleaved_luma(bands.read(rows).to(device))[None]
        narrow[:, rows] = resize_columns(luma, size[1])

    parallel_map(shrink, slices, check)
    return resize_rows(narrow, size[0]).clamp_(0, 1)


@in_pieces()
def paint_photo(
    source: Path,
    target: Path,
    colorize: Colorize,
    *,
    bit_depth: int | None = None,
    overwrite: bool = False,
    skip_color: bool = False,
    record: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> PhotoResult:
    """`colorize_photo`, by whatever turns the bands of a picture into coloured ones."""
    source, target = Path(source), Path(target)
    format = result_format(target)
    photo = read_photo(source)
    if photo.page_count > 1 and format != TIFF:
        raise PhotoError(
            f"{source} holds {photo.page_count} pictures; name a .tif for them, or split it."
        )
    notes = list(photo.first.notes)
    if photo.has_color:
        if skip_color:
            return PhotoResult(None, photo.page_count, has_color=True, notes=notes)
        notes.append(_warn(source, "it is in colour already; its own colours are replaced."))
    if photo.is_bilevel:
        notes.append(_warn(source, "it is only black and white, so there is nothing to colour."))
        if photo.format == format:
            with AtomicOutput(target, overwrite=overwrite) as part:
                shutil.copyfile(source, part)
            return PhotoResult(target, photo.page_count, is_bilevel=True, notes=notes)
    depths: set[tuple[int, int]] = set()
    on_white = False
    with PhotoOutput(target, overwrite=overwrite, record=record) as output:
        total, done = photo.height * photo.page_count, 0
        for index, page in enumerate(photo.pages()):
            if check:
                check()
            if index:
                notes += page.notes
            bits = result_bits(format, page.bits, bit_depth)
            depths.add((page.bits, bits))
            on_white |= page.raster.alpha is not None and format not in ALPHA_FORMATS
            for rows in _paint_page(page, output, colorize, bits, check):
                done += rows
                if on_progress:
                    on_progress(min(done, total), total)
    notes += tell(target, output, depths, bit_depth, on_white)
    return PhotoResult(target, photo.page_count, photo.has_color, photo.is_bilevel, notes)


def _paint_page(
    page: Page, output: PhotoOutput, colorize: Colorize, bits: int, check: Check | None
) -> Iterable[int]:
    """Paint one page into ``output``; yields the rows that are newly written."""
    raster, with_alpha = page.raster, page.raster.alpha is not None
    with_alpha = with_alpha and output.format in ALPHA_FORMATS
    bands = _RasterBands(raster)
    paint = colorize(bands)
    output.begin((raster.height, raster.width), page.metadata, bits=bits, alpha=with_alpha)
    slices = list(bands.slices())
    for start in range(0, len(slices), _TOGETHER):
        group = slices[start : start + _TOGETHER]
        packed: dict[int, object] = {}

        def work(rows: slice, packed: dict[int, object] = packed) -> None:
            levels = [
                to_levels(paint(part, bands.read(part)), raster.alpha_rows(part), bits, with_alpha)
                for part in row_bands(range(rows.start, rows.stop), raster.width, _IN_CACHE)
            ]
            packed[rows.start] = output.pack(np.concatenate(levels))

        parallel_map(work, group, check)
        for rows in group:
            output.put(packed.pop(rows.start))
            yield rows.stop - rows.start


class _RasterBands:
    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self.height, self.width = raster.height, raster.width

    def read(self, rows: slice) -> Tensor:
        return torch.from_numpy(self._raster.rows(rows))

    def slices(self) -> Iterable[slice]:
        return self._raster.bands()


def _warn(path: Path, note: str) -> str:
    logging.warning("%s: %s", path, note)
    return note
