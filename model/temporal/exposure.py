"""The change of exposure between two pictures of one scene: regional and smooth."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..resize import scaled
from .motion import box

THUMB = 12  # rows or columns on the short side at which exposure is matched
REGION = THUMB // 2 + 1
OUTLIER = 0.03  # error of luma from which on a pixel shows something else
DARK = 0.02  # luma so dark that it says little about a ratio


def match_exposure(reference: Tensor, luma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What brings ``reference`` to the exposure of ``luma`` (``(n, 1, h, w)`` both).

    Gives gain and offset (least squares by region, fitted again without the outliers of the first
    fit), so that ``gain * reference + offset`` is near ``luma``, and the ratio of their brightness,
    by which chroma grows when the light does; ``(n, 1, h, w)`` each.
    """
    size = luma.shape[2:]
    thumb = scaled(size, THUMB / min(size))
    x, y = interpolate(torch.cat((reference, luma), dim=1), thumb, mode="area").split(1, 1)
    gain, offset, _ = _fit(x, y, torch.ones_like(x))
    error = y - gain * x - offset
    fit = torch.cat(_fit(x, y, 1 / (1 + (error / OUTLIER).square())), dim=1)
    return interpolate(fit, size, mode="bilinear").split(1, 1)


def _fit(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    moments = torch.cat((weight, weight * x, weight * y, weight * x * x, weight * x * y), dim=1)
    w, wx, wy, wxx, wxy = box(moments, REGION).split(1, 1)
    x, y, xx, xy = wx / w, wy / w, wxx / w, wxy / w
    # Little contrast says little about gain: lean towards 1.
    gain = (xy - x * y + 1e-3) / (xx - x * x + 1e-3)
    return gain, y - gain * x, (y + DARK) / (x + DARK)
