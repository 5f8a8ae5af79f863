"""Bicubic resizing as matrix products, one axis at a time, so that a picture can go in bands.

The kernel is Keys' (1981) with a = -1/2, widened for shrinking, as in Pillow and in torch's
``interpolate(mode="bicubic", antialias=True)``.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

LONGEST = 16  # times the short side: the longest picture that is worked on at its short side
BLOCK = 128  # the longer side of a block of results; a block reads only the pixels near to it


def scaled(size: Sequence[int], scale: float) -> tuple[int, int]:
    """Height and width ``scale`` times ``size``, 1 px at least."""
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def short_side_scale(size: Sequence[int], side: float) -> float:
    """What brings ``size``, height and width, to a short side of ``side`` px.

    A picture more than `LONGEST` times as long as wide (a strip, or a damaged header) gets no more
    pixels than one of that aspect has.
    """
    height, width = size
    return min(side / min(height, width), side * math.sqrt(LONGEST / (height * width)))


def resize(planes: Tensor, size: Sequence[int]) -> Tensor:
    """``planes`` ``(..., H, W)`` at ``size``, height and width, float32."""
    return resize_columns(resize_rows(planes, size[0]), size[1])


def resize_rows(planes: Tensor, height: int) -> Tensor:
    """``planes`` ``(..., H, W)`` as ``(..., height, W)`` float32."""
    if planes.shape[-2] == height:
        return planes.float()
    flat = planes.reshape(-1, *planes.shape[-2:])
    result = torch.empty(len(flat), height, planes.shape[-1], device=planes.device)
    for source, target, matrix in _blocks(planes.shape[-2], height, planes.device):
        for plane, resized in zip(flat, result, strict=True):
            torch.mm(matrix, plane[source].float(), out=resized[target])
    return result.view(*planes.shape[:-2], height, planes.shape[-1])


def resize_columns(planes: Tensor, width: int) -> Tensor:
    """``planes`` ``(..., H, W)`` float32 as ``(..., H, width)``."""
    if planes.shape[-1] == width:
        return planes
    rows = planes.reshape(-1, planes.shape[-1])
    result = rows.new_empty(len(rows), width)
    for source, target, matrix in _blocks(planes.shape[-1], width, planes.device):
        torch.mm(rows[:, source], matrix.t(), out=result[:, target])
    return result.view(*planes.shape[:-1], width)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _blocks(source: int, target: int, device: torch.device) -> list[tuple[slice, slice, Tensor]]:
    """Which pixels make which results, and with what weights ``(results, pixels)``."""
    ratio = source / target
    scale = max(ratio, 1.0)
    # Elsewhere than on the CPU one large product is sooner than many small ones.
    block = max(8, int(BLOCK / scale)) if device.type == "cpu" else target
    blocks = []
    for start in range(0, target, block):
        stop = min(start + block, target)
        centers = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * ratio
        first = max(0, math.floor(centers[0].item() - 2 * scale))
        last = min(source, math.ceil(centers[-1].item() + 2 * scale))
        pixels = torch.arange(first, last, dtype=torch.float64) + 0.5
        weights = _keys((pixels - centers[:, None]).abs() / scale)
        weights /= weights.sum(1, keepdim=True)
        blocks.append((slice(first, last), slice(start, stop), weights.float().to(device)))
    return blocks


def _keys(x: Tensor) -> Tensor:
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))
