"""A picture's pixels at the depth they are stored with, handed out in bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...model import parallel_map

BAND_PIXELS = 1 << 20
_TURNS = {  # by EXIF's orientation
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass
class Raster:
    """``levels``: an array ``(H, W, 1 or 3)``, or an image of mode L or RGB (4 bytes a pixel).

    ``white`` is the level that is white, ``tones`` the sRGB level in [0, 1] of each of 65,536
    levels, where the levels are not what they should be. ``alpha`` is an array ``(H, W)`` or an
    image of mode L, of the same depth.
    """

    levels: np.ndarray | Image.Image
    white: float = 255
    tones: np.ndarray | None = None
    alpha: np.ndarray | Image.Image | None = None
    alpha_white: float = 255

    @property
    def height(self) -> int:
        return self.levels.shape[0] if isinstance(self.levels, np.ndarray) else self.levels.height

    @property
    def width(self) -> int:
        return self.levels.shape[1] if isinstance(self.levels, np.ndarray) else self.levels.width

    @property
    def is_single_channel(self) -> bool:
        if isinstance(self.levels, np.ndarray):
            return self.levels.shape[2] == 1
        return self.levels.mode == "L"

    def rows(self, rows: slice) -> np.ndarray:
        """Grey or RGB ``(n, W, 1 or 3)`` float32 in [0, 1] of these rows, in memory of its own."""
        levels = _band(self.levels, rows)
        if levels.ndim == 2:
            levels = levels[..., None]
        if self.tones is not None:
            if levels.dtype == np.uint8 and self.white == 255:
                values = self.tones[::257][levels]
            else:
                index = levels.astype(np.float32) * (65535 / self.white)
                values = self.tones[np.clip(np.rint(index), 0, 65535).astype(np.uint16)]
        else:
            values = levels.astype(np.float32) / np.float32(self.white)
        if levels.dtype.kind == "f":
            values = np.clip(values, 0, 1)
        return values

    def alpha_rows(self, rows: slice) -> np.ndarray | None:
        """Opacity ``(n, W)`` float32 in [0, 1], or None for a picture without."""
        if self.alpha is None:
            return None
        return _band(self.alpha, rows).astype(np.float32) / np.float32(self.alpha_white)

    def bands(self, pixels: int = BAND_PIXELS) -> Iterator[slice]:
        rows = max(1, pixels // self.width)
        rows -= rows % 16 if rows > 16 else 0  # JPEG's blocks in a TIFF's strips
        return (slice(top, min(top + rows, self.height)) for top in range(0, self.height, rows))

    def turn(self, orientation: int) -> None:
        """Turn it upright, by an orientation of EXIF from 1 to 8."""
        if orientation != 1:
            self.levels = _turned(self.levels, orientation)
            self.alpha = None if self.alpha is None else _turned(self.alpha, orientation)


def _turned(levels: np.ndarray | Image.Image, orientation: int) -> np.ndarray | Image.Image:
    if isinstance(levels, np.ndarray):
        return _TURNS[orientation](levels)
    return levels.transpose(_TRANSPOSES[orientation])


def _band(levels: np.ndarray | Image.Image, rows: slice) -> np.ndarray:
    if isinstance(levels, np.ndarray):
        return levels[rows]
    return np.asarray(levels.crop((0, rows.start, levels.width, rows.stop)))


# Colour photos (Kodak, BSDS) have 0.019 and more, sepia, stained prints and noise 0.015 and less.
_COLOR_THRESHOLD = 0.017


def has_color(raster: Raster, threshold: float = _COLOR_THRESHOLD) -> bool:
    """Whether the picture is in colour: not grey, nor in shades of one tint as a sepia print is.

    Judged by the chroma of 64 x 64 patches, once what goes with the luma is taken from it, so
    that neither noise nor toning count.
    """
    if raster.is_single_channel:
        return False
    patches = _patches(raster, 64)
    luma = patches @ np.array([0.299, 0.587, 0.114])
    chroma = np.stack([patches[..., 2] - luma, patches[..., 0] - luma], -1).reshape(-1, 2)
    shades = np.minimum((luma.reshape(-1) * 16).astype(int), 15)
    rest = chroma.copy()
    for shade in range(16):
        if (chosen := shades == shade).any():
            rest[chosen] -= np.median(chroma[chosen], axis=0)
    return bool(np.sqrt((rest**2).sum(1).mean()) > threshold)


def _patches(raster: Raster, count: int) -> np.ndarray:
    """The mean RGB of ``count`` x ``count`` parts of the picture, fewer of a small one."""
    down, across = min(count, raster.height), min(count, raster.width)
    rows = [raster.height * i // down for i in range(down + 1)]
    columns = [raster.width * i // across for i in range(across)]
    sums = np.empty((down, across, 3))

    def work(index: int) -> None:
        total = np.zeros((raster.width, 3))
        for start in range(rows[index], rows[index + 1], 64):
            band = raster.rows(slice(start, min(rows[index + 1], start + 64)))
            total += band.sum(0, dtype=np.float32)
        sums[index] = np.add.reduceat(total, columns, axis=0) / (rows[index + 1] - rows[index])

    parallel_map(work, range(down))
    return sums / np.diff([*columns, raster.width])[None, :, None]
