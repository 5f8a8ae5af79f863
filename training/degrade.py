"""Old material: what emulsions, lenses, time and scanners do to a picture's luma."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..model import KB, KG, KR

PANCHROMATIC = (KR, KG, KB)
# Emulsions before about 1930 are nearly blind to red: lips go dark and skies white.
ORTHOCHROMATIC = (0.04, 0.52, 0.44)


def degrade(rgb: Tensor, share: float, generator: Generator) -> Tensor:
    """Luma ``(B, 1, H, W)`` of ``rgb``, a random ``share`` of the batch aged, the rest clean.

    ``rgb`` is ``(B, 3, H, W)`` in [0, 1], and so is the result. Each aged picture gets its own
    amounts of: a shift of the emulsion's response towards orthochromatic, blur, contrast and
    gamma, fading (raised blacks, lowered whites), vignette, film grain and scan lines.
    """
    count, _, height, width = rgb.shape
    aged = torch.rand(count, generator=generator) < share

    def amount(low: float, high: float, probability: float) -> Tensor:
        """A random number a picture, 0 where the fault is absent: ``(B, 1, 1, 1)``."""
        value = low + (high - low) * torch.rand(count, generator=generator)
        present = aged & (torch.rand(count, generator=generator) < probability)
        return (value * present).view(-1, 1, 1, 1).to(rgb.device)

    def noise(*shape: int) -> Tensor:
        return torch.randn(count, 1, *shape, generator=generator).to(rgb.device)

    response = amount(0.2, 1.0, 0.35)
    luma = sum(
        (p + (o - p) * response) * channel
        for p, o, channel in zip(PANCHROMATIC, ORTHOCHROMATIC, rgb.split(1, dim=1), strict=True)
    )
    luma = luma + (_soften(luma) - luma) * amount(0.3, 1.0, 0.4)
    luma = luma.clamp(0, 1) ** amount(-0.6, 0.6, 0.5).exp()
    luma = 0.5 + (luma - 0.5) * (1 + amount(-0.3, 0.4, 0.5))
    blacks, whites = amount(0, 0.2, 0.3), 1 - amount(0, 0.2, 0.3)
    luma = blacks + (whites - blacks) * luma.clamp(0, 1)
    down = torch.linspace(-1, 1, height, device=rgb.device).view(-1, 1)
    across = torch.linspace(-1, 1, width, device=rgb.device)
    luma = luma * (1 - amount(0.1, 0.5, 0.3) * (down.square() + across.square()) / 2)
    # Grain shows most in the midtones, where the emulsion's density changes fastest.
    luma = luma + noise(height, width) * amount(0.01, 0.08, 0.5) * (0.4 + 2.4 * luma * (1 - luma))
    luma = luma + noise(height, 1) * amount(0.005, 0.02, 0.15)
    return luma.clamp_(0, 1)


def _soften(luma: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=luma.device) / 16
    luma = F.conv2d(F.pad(luma, (2, 2, 0, 0), mode="replicate"), kernel.view(1, 1, 1, 5))
    return F.conv2d(F.pad(luma, (0, 0, 2, 2), mode="replicate"), kernel.view(1, 1, 5, 1))
