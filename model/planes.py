"""Film in planes: the Y plane stays as it is, and gets the two chroma planes that belong to it."""

from itertools import product
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .color import KB, KG, KR
from .parallel import parallel_map, row_bands
from .resize import resize, resize_columns, resize_rows

# (Kr, Kb) under ffmpeg's names for ITU-T H.273 matrix coefficients.
MATRICES = {
    "smpte170m": (KR, KB),
    "bt470bg": (KR, KB),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt709": (0.2126, 0.0722),
    "bt2020nc": (0.2627, 0.0593),
}
BAND = 1 << 16  # chroma samples worked on at a time


class PlaneCoding(Protocol):
    """How integers stand for Y'CbCr (ITU-T H.273, 8.3); `video.PlaneFormat` is one."""

    @property
    def depth(self) -> int:
        """Bits a sample: 8 in uint8 planes, 9 to 16 in uint16 planes (low-aligned)."""
        ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def matrix(self) -> str:
        """ffmpeg's name of the YUV matrix, one of ``MATRICES``."""
        ...

    @property
    def luma(self) -> tuple[int, int]:
        """The codes of black and of white."""
        ...

    @property
    def chroma(self) -> tuple[int, int]:
        """The code of no colour, and how many codes a chroma of 1 spans."""
        ...


def small_luma(planes: np.ndarray, size: tuple[int, int], coding: PlaneCoding) -> Tensor:
    """Y ``planes`` ``(n, H, W)`` as luma ``(n, 1, *size)`` in [0, 1]."""
    planes = _checked(planes, coding)
    black, white = coding.luma
    small = torch.empty(len(planes), 1, *size)

    def shrink(index: int) -> None:
        plane = torch.from_numpy(planes[index].astype(np.float32))
        small[index, 0] = resize(plane, size).sub_(black).div_(white - black).clamp_(0, 1)

    parallel_map(shrink, range(len(planes)))
    return small


def chroma_planes(
    chroma: Tensor, planes: np.ndarray, size: tuple[int, int], coding: PlaneCoding
) -> tuple[np.ndarray, np.ndarray]:
    """The U and V planes ``(n, *size)`` that give Y ``planes`` ``(n, H, W)`` their colour.

    ``chroma``: ``(n, 2, h, w)`` in BT.601, as models give it, at any size. ``size``: height and
    width of the output's chroma, 1, 2 or 4 times smaller than the luma to either side, rounded up.
    The planes come back in ``coding``, which is the luma's own.

    Each sample is scaled towards grey until it fits the darkest and the lightest luma that it
    covers, so that no decoder has to clip a channel (which would change the luminance) where it
    repeats the chroma sample for its pixels.
    """
    planes = _checked(planes, coding)
    if len(chroma) != len(planes):
        raise ValueError(f"There is chroma for {len(chroma)} frames and luma for {len(planes)}.")
    steps = [_step(full, part) for full, part in zip(planes.shape[1:], size, strict=True)]
    u: np.ndarray = np.empty((len(planes), *size), coding.dtype)
    v = np.empty_like(u)
    chroma = chroma.detach().float().cpu()
    narrow = torch.empty(len(chroma), 2, size[0], chroma.shape[3])

    def widen(index: int) -> None:
        frame = chroma[index : index + 1]
        narrow[index] = resize_rows(_to_matrix(frame, coding.matrix)[0], size[0])

    def paint(piece: tuple[int, slice]) -> None:
        index, rows = piece
        cb, cr = resize_columns(narrow[index, :, rows], size[1])
        covered = planes[index, rows.start * steps[0] : rows.stop * steps[0]]
        scale = _gamut_scale(cb, cr, covered, steps, coding)
        for plane, values in ((u, cb), (v, cr)):
            np.copyto(plane[piece], _quantized(values, scale, coding), casting="unsafe")

    parallel_map(widen, range(len(planes)))
    bands = row_bands(range(size[0]), size[1], BAND)
    parallel_map(paint, product(range(len(planes)), bands))
    return u, v


def _checked(planes: np.ndarray, coding: PlaneCoding) -> np.ndarray:
    planes = np.asarray(planes)
    if planes.ndim != 3 or planes.dtype != coding.dtype:
        raise ValueError(
            f"Y planes of shape {planes.shape} and type {planes.dtype} do not fit; they must be "
            f"(frames, height, width) in {coding.dtype} for {coding.depth} bits."
        )
    return planes


def _step(full: int, part: int) -> int:
    for step in (1, 2, 4):
        if -(-full // step) == part:
            return step
    raise ValueError(f"A chroma side of {part} does not belong to a luma side of {full}.")


def _to_matrix(chroma: Tensor, matrix: str) -> Tensor:
    """BT.601 chroma as that of another matrix: the same colour but for some grey."""
    kr, kb = MATRICES[matrix]
    blue = chroma[:, :1] * (2 - 2 * KB)
    red = chroma[:, 1:] * (2 - 2 * KR)
    green = (KR * red + KB * blue) / -KG
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return torch.cat(((blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)), dim=1)


def _gamut_scale(
    cb: Tensor, cr: Tensor, plane: np.ndarray, steps: list[int], coding: PlaneCoding
) -> Tensor:
    """How much of this chroma, 0 to 1, fits over the luma ``plane`` that it covers."""
    kr, kb = MATRICES[coding.matrix]
    black, white = coding.luma
    # How far R'G'B' lie from the luma, in its codes.
    blue = cb * ((2 - 2 * kb) * (white - black))
    red = cr * ((2 - 2 * kr) * (white - black))
    green = (red * (kr / (kr + kb - 1))).add_(blue, alpha=kb / (kr + kb - 1))
    most = torch.maximum(red, green)
    torch.maximum(most, blue, out=most).clamp_min_(1e-9)
    least = torch.minimum(red, green, out=green)
    torch.minimum(least, blue, out=least).clamp_max_(-1e-9)
    low = torch.from_numpy(_pooled(np.minimum, plane, steps).astype(np.float32))
    high = torch.from_numpy(_pooled(np.maximum, plane, steps).astype(np.float32))
    below = torch.sub(black, low, out=low).div_(least)
    above = torch.sub(white, high, out=high).div_(most)
    return torch.minimum(above, below, out=above).clamp_(0, 1)


def _pooled(choose: np.ufunc, plane: np.ndarray, steps: list[int]) -> np.ndarray:
    for axis, step in enumerate(steps):
        while step > 1:
            step //= 2
            even, odd = (plane[::2], plane[1::2]) if axis == 0 else (plane[:, ::2], plane[:, 1::2])
            if even.shape == odd.shape:
                plane = choose(even, odd)
            else:  # the last of them has no partner
                plane = even.copy()
                paired = plane[: odd.shape[0], : odd.shape[1]]
                choose(paired, odd, out=paired)
    return plane


def _quantized(chroma: Tensor, scale: Tensor, coding: PlaneCoding) -> np.ndarray:
    """The codes of ``scale * chroma``, in whose memory they are, as floats to be cut off."""
    neutral, span = coding.chroma
    codes = torch.addcmul(torch.tensor(neutral + 0.5), chroma, scale, value=span, out=chroma)
    return codes.clamp_(0, (1 << coding.depth) - 1).numpy()
