"""Masks that say where colour goes."""

from __future__ import annotations

from torch import Tensor
from torchvision.transforms.v2.functional import resize


def check_mask(mask: Tensor, count: int) -> Tensor:
    """``mask`` as ``(1 or count, h, w)``; ``ValueError`` when there are not so many."""
    mask = mask.reshape(-1, *mask.shape[-2:])
    if len(mask) not in (1, count):
        raise ValueError(
            f"There are {len(mask)} masks for {count} images; give one for all or one each."
        )
    return mask


def stretched(mask: Tensor, height: int, width: int) -> Tensor:
    """``mask`` ``(h, w)`` at another size, in [0, 1]."""
    if mask.shape != (height, width):
        mask = resize(mask[None], [height, width])[0]
    return mask.clamp(0, 1)
