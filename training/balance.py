"""How often each photo is shown."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import rgb_to_chroma, rgb_to_luma

GRID = 24, 32  # height and width at which a picture is judged
SKY_ROWS = 10  # of the grid, from the top
ENOUGH = torch.tensor([0.2, 0.3, 0.2])  # shares from which a photo counts in full
# Standard deviations of luma over neighbours on the grid.
ROUGH_FOLIAGE, SMOOTH_SKY, SMOOTH_SKIN = 0.05, 0.03, 0.06


def weigh(pictures: list[Tensor], emphasis: tuple[float, float, float]) -> Tensor:
    """A weight ``(len(pictures),)`` for each picture ``(3, H, W)`` uint8, 1 or more.

    Most photos in free collections are of things and people indoors; a network that sees few
    lawns paints every lawn brown. A picture with enough foliage weighs 1 + the first of
    ``emphasis``, one with enough sky 1 + the second, one with enough skin 1 + the third; what
    shows several of them weighs 1 + their sum.
    """
    found = torch.stack([shares(picture) for picture in pictures])
    return 1 + (found / ENOUGH).clamp(max=1) @ found.new_tensor(emphasis)


def shares(picture: Tensor) -> Tensor:
    """Shares of foliage, sky (of the top) and skin in a picture ``(3, H, W)`` uint8, ``(3,)``."""
    small = F.interpolate(picture[None].float() / 255, GRID, mode="area")
    cb, cr = rgb_to_chroma(small)[0]
    luma = rgb_to_luma(small)
    mean, power = (F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) for x in (luma, luma.square()))
    luma, variance = luma[0, 0], (power - mean.square())[0, 0]
    # Smooth green (walls, wallpapers, blurred leaves) does not count: shown much of it, the
    # network paints faces olive.
    foliage = (cb < -0.02) & (cr < -0.01) & (variance > ROUGH_FOLIAGE**2)
    sky = (cb > 0.03) & (cr < 0) & (luma > 0.3) & (variance < SMOOTH_SKY**2)
    # Where green is shown oftener and skin is not, faces turn olive too.
    skin = (cb > -0.2) & (cb < -0.02) & (cr > 0.03) & (cr < 0.17) & (variance < SMOOTH_SKIN**2)
    skin &= (luma > 0.25) & (luma < 0.9)
    return torch.stack([kind.float().mean() for kind in (foliage, sky[:SKY_ROWS], skin)])
