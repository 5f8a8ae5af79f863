"""Luma, chroma and their merge inside the RGB gamut (Rec. ITU-R BT.601, encoded values).

Chroma is ``(Cb, Cr)`` in [-0.5, 0.5] as in BT.601 (without offset), channels first.
"""

import torch
from torch import Tensor

KR, KG, KB = 0.299, 0.587, 0.114
CB_SCALE = 2 * (1 - KB)  # B - Y = 1.772 Cb
CR_SCALE = 2 * (1 - KR)  # R - Y = 1.402 Cr


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """Luma ``(..., 1, H, W)`` of ``rgb`` ``(..., 3, H, W)``."""
    red, green, blue = rgb.unbind(-3)
    return (KR * red + KG * green + KB * blue).unsqueeze(-3)


def rgb_to_chroma(rgb: Tensor) -> Tensor:
    """Chroma ``(..., 2, H, W)`` of ``rgb`` ``(..., 3, H, W)``."""
    luma = rgb_to_luma(rgb).squeeze(-3)
    return torch.stack(
        ((rgb[..., 2, :, :] - luma) / CB_SCALE, (rgb[..., 0, :, :] - luma) / CR_SCALE), dim=-3
    )


def merge(luma: Tensor, chroma: Tensor) -> Tensor:
    """RGB ``(..., 3, H, W)`` in [0, 1] with exactly this luma and as much of this chroma as fits.

    A colour outside the gamut keeps its hue and its luma: the chroma vector is scaled towards
    grey until the last channel is in range. Clipping channels would change the luminance.
    """
    luma = luma.squeeze(-3)
    blue = chroma[..., 0, :, :] * CB_SCALE
    red = chroma[..., 1, :, :] * CR_SCALE
    green = (KR * red + KB * blue) / -KG
    offsets = torch.stack((red, green, blue), dim=-3)
    # The largest positive offset may use the room above the luma, the largest negative one
    # the room below it.
    above = (1 - luma) / offsets.amax(-3).clamp_min_(1e-12)
    below = luma / offsets.amin(-3).neg_().clamp_min_(1e-12)
    scale = torch.minimum(above, below).clamp_(0, 1)
    return torch.addcmul(luma.unsqueeze(-3), offsets, scale.unsqueeze(-3))
