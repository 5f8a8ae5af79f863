"""How pictures of luma and chroma are coded in planes of integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .clip import bit_depth_of

# ffmpeg's names of the matrices whose luma is a weighted sum of R'G'B' (ITU-T H.273, table 4).
MATRICES = ("bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc")
# Luma samples to one chroma sample, down and across.
SUBSAMPLING = {
    "444": (1, 1),
    "440": (2, 1),
    "422": (1, 2),
    "420": (2, 2),
    "411": (1, 4),
    "410": (4, 4),
}


def luma_levels(depth: int, full_range: bool) -> tuple[int, int]:
    """The codes of black and of white (ITU-T H.273, 8.3)."""
    if full_range:
        return 0, (1 << depth) - 1
    return 16 << (depth - 8), 235 << (depth - 8)


@dataclass(frozen=True)
class PlaneFormat:
    """The coding of Y, U and V planes (ITU-T H.273, 8.3).

    ``pix_fmt``: ffmpeg's name, such as ``yuv420p10le``: samples of 8 bits are uint8, deeper ones
    low-aligned uint16. With ``yuva`` a plane of alpha follows, as large as that of luma.
    ``luma_size``: ``(height, width)``. ``full_range``: ffmpeg's range ``pc`` rather than ``tv``.
    ``matrix``: ffmpeg's name of the YUV matrix, one of `MATRICES`.

    Raises ``ValueError`` for a pixel format or matrix that is not known.
    """

    pix_fmt: str
    luma_size: tuple[int, int]
    full_range: bool = False
    matrix: str = "bt709"

    def __post_init__(self) -> None:
        if not self.pix_fmt.startswith("yuv") or self._subsampling not in SUBSAMPLING:
            raise ValueError(f"The pixel format {self.pix_fmt!r} has no plain Y, U and V planes.")
        if self.matrix not in MATRICES:
            raise ValueError(
                f"The colour matrix {self.matrix!r} is not known; choose one of "
                f"{', '.join(MATRICES)}."
            )

    @property
    def alpha(self) -> bool:
        """Whether there is a plane of alpha."""
        return self.pix_fmt.startswith("yuva")

    @property
    def _subsampling(self) -> str:
        return self.pix_fmt.removeprefix("yuva").removeprefix("yuv")[:3]

    @property
    def depth(self) -> int:
        """Bits a sample, 8 to 16."""
        return bit_depth_of(self.pix_fmt)

    @property
    def chroma_size(self) -> tuple[int, int]:
        """``(height, width)`` of the U and of the V plane."""
        down, across = SUBSAMPLING[self._subsampling]
        return -(-self.luma_size[0] // down), -(-self.luma_size[1] // across)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    @property
    def luma(self) -> tuple[int, int]:
        """The codes of black and of white."""
        return luma_levels(self.depth, self.full_range)

    @property
    def chroma(self) -> tuple[int, int]:
        """The code of no colour, and how many codes a chroma of 1 spans."""
        span = (1 << self.depth) - 1 if self.full_range else 224 << (self.depth - 8)
        return 1 << (self.depth - 1), span

    @property
    def luma_count(self) -> int:
        """Samples of a Y plane."""
        return self.luma_size[0] * self.luma_size[1]

    @property
    def count(self) -> int:
        """Samples of all planes."""
        return self.luma_count * (1 + self.alpha) + 2 * self.chroma_count

    @property
    def chroma_count(self) -> int:
        """Samples of the U or of the V plane."""
        return self.chroma_size[0] * self.chroma_size[1]
