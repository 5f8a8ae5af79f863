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
    return (red * KR).add_(green, alpha=KG).add_(blue, alpha=KB).unsqueeze(-3)


def interleaved_luma(images: Tensor) -> Tensor:
    """Luma ``(..., H, W)`` float32 of ``images`` ``(..., H, W, 1 or 3)``, channels last."""
    if images.shape[-1] == 1:
        return images[..., 0].float()
    return images.float() @ torch.tensor((KR, KG, KB), device=images.device)


def rgb_to_chroma(rgb: Tensor) -> Tensor:
    """Chroma ``(..., 2, H, W)`` of ``rgb`` ``(..., 3, H, W)``."""
    luma = rgb_to_luma(rgb)
    blue, red = rgb[..., 2:, :, :] - luma, rgb[..., :1, :, :] - luma
    return torch.cat((blue / CB_SCALE, red / CR_SCALE), dim=-3)


def merge(luma: Tensor, chroma: Tensor, out: Tensor | None = None) -> Tensor:
    """RGB ``(..., 3, H, W)`` in [0, 1] with exactly this luma and as much of this chroma as fits.

    A colour outside the gamut keeps its hue and its luma: the chroma vector is scaled towards
    grey until the last channel is in range. Clipping channels would change the luminance.
    ``out``: where the result goes, of any strides.
    """
    blue = chroma[..., :1, :, :] * CB_SCALE
    red = chroma[..., 1:, :, :] * CR_SCALE
    green = (red * (KR / -KG)).add_(blue, alpha=KB / -KG)
    # The largest positive offset may use the room above the luma, the largest negative one
    # the room below it.
    most = torch.maximum(red, green)
    torch.maximum(most, blue, out=most).clamp_min_(1e-12)
    least = torch.minimum(red, green)
    torch.minimum(least, blue, out=least).neg_().clamp_min_(1e-12)
    above = (1 - luma).div_(most)
    scale = torch.minimum(above, torch.div(luma, least, out=least), out=above).clamp_(0, 1)
    if out is None:
        # Not broadcast_shapes, which imports sympy: 40 MB.
        shape = torch.broadcast_tensors(luma, red)[0].shape
        out = luma.new_empty(*shape[:-3], 3, *shape[-2:])
    for channel, offset in enumerate((red, green, blue)):
        torch.addcmul(luma, offset, scale, out=out[..., channel : channel + 1, :, :])
    return out
