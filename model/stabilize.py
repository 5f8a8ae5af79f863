"""Colours that hold still, for frames that any colorizer has coloured."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .color import merge, rgb_to_chroma, rgb_to_luma
from .steady import DEFAULT_STABILITY, Steady

SIDE = 96  # px on the short side at which chroma is steadied


class Stabilizer:
    """Takes the flicker out of a clip's colours and leaves its luma as it is.

    The frames' chroma is steadied small, and only the correction is brought back to full size, so
    that what is fine in the chroma stays. ``stability``: 0 (frames untouched) to 1.
    """

    def __init__(self, stability: float = DEFAULT_STABILITY) -> None:
        self.steady = Steady(stability)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """The next frames ``(n, H, W, 3)`` in [0, 1]: batches of any size, in order."""
        if self.steady.stability == 0:
            return images
        result = torch.empty_like(images)
        for target, image in zip(result, images, strict=True):
            rgb = image.float().permute(2, 0, 1).unsqueeze(0)
            luma, chroma = rgb_to_luma(rgb), rgb_to_chroma(rgb)
            small = _shrink(chroma)
            correction = self.steady(small, _shrink(luma)) - small
            correction = interpolate(correction, chroma.shape[2:], mode="bicubic")
            target.copy_(merge(luma, chroma.add_(correction))[0].permute(1, 2, 0))
        return result


def _shrink(planes: Tensor) -> Tensor:
    height, width = planes.shape[2:]
    scale = min(1.0, SIDE / min(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return interpolate(planes, size, mode="bilinear", antialias=True)
