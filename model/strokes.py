"""Colours that are known of a part of a picture's pixels only, as where strokes are painted."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def shrink_painted(painted: Tensor, weight: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The chroma ``(2, h, w)`` and the weight of what is known of a picture, at a smaller ``size``.

    ``painted`` is its chroma times ``weight`` ``(1, H, W)``, 0 to 1. It is averaged over the
    painted part of a pixel alone, so that a thin stroke keeps its colour; bicubic weights, partly
    negative, could not be divided by.
    """
    planes = torch.cat((painted, weight))[None]
    (planes,) = interpolate(planes, size, mode="bilinear", antialias=True)
    return planes[:2] / planes[2:].clamp_min(1e-6), planes[2:]
