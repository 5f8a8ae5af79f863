"""Restraint: less of the colour that a picture has everywhere, which is mostly a guess."""

from __future__ import annotations

import torch
from torch import Tensor


def restrain(chroma: Tensor, tint: float) -> Tensor:
    """Chroma ``(B, 2, h, w)`` with ``tint`` (0 to 1) of each picture's mean chroma.

    What the network is least sure of is a picture's common tone: indoors, at night, before plain
    walls it paints the warm mean of all that it has seen. How colours differ within the picture it
    knows better, so only the mean is reduced. Pixels paler than the mean lose in proportion to
    their own chroma, so that grey stays grey and never turns to the opposite hue.
    """
    mean = chroma.mean((2, 3), keepdim=True)
    length = torch.linalg.vector_norm(mean, dim=1, keepdim=True).clamp_min_(1e-6)
    share = torch.linalg.vector_norm(chroma, dim=1, keepdim=True).div_(length).clamp_(max=1)
    return chroma - share * mean * (1 - tint)
