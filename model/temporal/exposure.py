"""The change of exposure between two pictures of one scene: a gain and an offset by region.

The model of van Roosmalen, Lagendijk and Biemond 1999, "Correction of intensity flicker in old
film sequences": luma grows by a gain and an offset that vary smoothly over the picture.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..resize import scaled, short_side_scale
from .operations import box_mean

GRID_SIDE = 12  # cells on the short side of the grid on which exposure is fitted
REGION = GRID_SIDE // 2 + 1  # cells of a side of the region that each fit sees
OUTLIER_ERROR = 0.03  # error of luma at which a cell's weight is halved
GAIN_PRIOR = 1e-3  # variance of luma for which the fit and a gain of 1 count the same
DARK = 0.02  # luma below which the ratio of two says little


class ExposureChange(NamedTuple):
    """How the light changed, ``(n, 1, h, w)`` each.

    ``gain * luma + offset`` of the one picture is near the luma of the other; ``ratio`` is that of
    their brightness, by which chroma grows when the light does.
    """

    gain: Tensor
    offset: Tensor
    ratio: Tensor


def match_exposure(reference: Tensor, luma: Tensor) -> ExposureChange:
    """What brings ``reference`` to the exposure of ``luma`` (``(n, 1, h, w)`` both).

    Least squares by region, fitted twice: what the first fit leaves as errors counts little in the
    second (Cauchy's weights), since something else is to be seen there.
    """
    size = luma.shape[2:]
    grid = scaled(size, short_side_scale(size, GRID_SIDE))
    x, y = interpolate(torch.cat((reference, luma), dim=1), grid, mode="area").split(1, 1)
    first = _fit(x, y, torch.ones_like(x))
    error = y - first.gain * x - first.offset
    fit = torch.cat(_fit(x, y, 1 / (1 + (error / OUTLIER_ERROR).square())), dim=1)
    return ExposureChange(*interpolate(fit, size, mode="bilinear").split(1, 1))


def _fit(x: Tensor, y: Tensor, weight: Tensor) -> ExposureChange:
    moments = torch.cat((weight, weight * x, weight * y, weight * x * x, weight * x * y), dim=1)
    w, wx, wy, wxx, wxy = box_mean(moments, REGION).split(1, 1)
    x, y, xx, xy = wx / w, wy / w, wxx / w, wxy / w
    gain = (xy - x * y + GAIN_PRIOR) / (xx - x * x + GAIN_PRIOR)
    return ExposureChange(gain, y - gain * x, (y + DARK) / (x + DARK))
