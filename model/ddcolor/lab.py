"""CIELAB (D65) to RGB with the sRGB transfer function (IEC 61966-2-1), not clipped."""

from __future__ import annotations

import torch
from torch import Tensor

WHITE = (0.95047, 1.0, 1.08883)
XYZ_TO_RGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
EPSILON = 6 / 29


def grey_to_lightness(grey: Tensor) -> Tensor:
    """CIE L* in [0, 100] of encoded ``grey`` in [0, 1]."""
    linear = torch.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    cube = torch.where(
        linear > EPSILON**3, linear.clamp_min(1e-9) ** (1 / 3), linear / (3 * EPSILON**2) + 4 / 29
    )
    return 116 * cube - 16


def lab_to_rgb(lightness: Tensor, ab: Tensor) -> Tensor:
    """Encoded RGB ``(B, 3, h, w)``, beyond [0, 1] where the colour is, of L* and a*, b*."""
    fy = (lightness + 16) / 116
    f = torch.cat((fy + ab[:, :1] / 500, fy, fy - ab[:, 1:] / 200), dim=1)
    xyz = torch.where(f > EPSILON, f**3, 3 * EPSILON**2 * (f - 4 / 29))
    xyz = xyz * xyz.new_tensor(WHITE).view(1, 3, 1, 1)
    linear = torch.einsum("rx,bxhw->brhw", xyz.new_tensor(XYZ_TO_RGB), xyz)
    bright = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, bright)
