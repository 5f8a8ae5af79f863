"""Box means, warping and robust statistics: what motion, exposure and filter are computed with."""

from functools import lru_cache, reduce

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

MEDIAN_SAMPLES = 4096  # pixels of which a median is taken, at most
MEAN_WINDOW = 9  # pixels of a side of the neighbourhood whose weighted mean is taken
WIDE_MEAN_SCALE = 4  # times as far reaches the wider neighbourhood
PRIOR_WEIGHT = 0.05  # mean weight of the neighbourhood that counts as much as the prior


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean over the ``size`` x ``size`` pixels around each pixel; the border's are repeated."""
    x = pad(x, (size // 2,) * 4, mode="replicate")
    return _running_sum(_running_sum(x, size, -1), size, -2).div_(size * size)


def _running_sum(x: Tensor, size: int, dim: int) -> Tensor:
    """Sums of ``size`` neighbours, from those of 2, 4, 8...: several times faster than pooling."""
    count = x.shape[dim] - size + 1
    parts: list[Tensor] = []
    start, length = 0, 1
    while True:
        if size & length:
            parts.append(x.narrow(dim, start, count))
            start += length
        if 2 * length > size:
            return reduce(torch.add, parts)
        pairs = x.shape[dim] - length
        x = x.narrow(dim, 0, pairs) + x.narrow(dim, length, pairs)
        length *= 2


def weighted_local_mean(x: Tensor, weight: Tensor, *, wide_prior: bool) -> Tensor:
    """The mean of ``x`` ``(n, c, h, w)`` around each pixel by its ``weight`` ``(n, 1, h, w)``.

    The less weight there is around, the more the mean tends to a prior: zero, or with
    ``wide_prior`` the mean of a neighbourhood `WIDE_MEAN_SCALE` times as wide, and that to zero.
    """
    sums = torch.cat((weight, weight * x), dim=1)
    prior: Tensor | float = 0.0
    if wide_prior:
        wide = avg_pool2d(sums, WIDE_MEAN_SCALE, ceil_mode=True, count_include_pad=False)
        prior = interpolate(_mean_towards(0.0, wide), x.shape[2:], mode="bilinear")
    return _mean_towards(prior, sums)


def _mean_towards(prior: Tensor | float, sums: Tensor) -> Tensor:
    near = box_mean(sums, MEAN_WINDOW)
    return (near[:, 1:] + PRIOR_WEIGHT * prior) / (near[:, :1] + PRIOR_WEIGHT)


def warp(x: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """``x`` ``(n, c, h, w)`` read at each pixel plus its ``flow`` ``(n, 2, h, w)`` (dx, dy)."""
    height, width = x.shape[2:]
    grid, scale = _sampling_grid(height, width, x.device)
    grid = torch.addcmul(grid, flow, scale).permute(0, 2, 3, 1)
    return grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _sampling_grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    columns, rows = (torch.linspace(-1, 1, size, device=device) for size in (width, height))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy")).unsqueeze(0)
    scale = torch.tensor((2 / max(width - 1, 1), 2 / max(height - 1, 1)), device=device)
    return grid, scale.view(1, 2, 1, 1)


def noise_deviation(luma: Tensor) -> Tensor:
    """Standard deviation of the noise in ``luma`` ``(n, 1, h, w)``: ``(n, 1, 1, 1)``.

    Immerkaer 1996, "Fast noise variance estimation", with the median for the mean, which edges
    disturb less (Donoho and Johnstone 1994).
    """
    luma = pad(luma, (1, 1, 1, 1), mode="replicate")
    rows = luma[..., 2:, :] - 2 * luma[..., 1:-1, :] + luma[..., :-2, :]
    laplacian = rows[..., 2:] - 2 * rows[..., 1:-1] + rows[..., :-2]
    # The mask's norm is 6; half of a Gaussian's deviates lie within 0.6745 standard deviations.
    return median(laplacian.abs()) / (6 * 0.6745)


def median(x: Tensor) -> Tensor:
    """The median of each picture in ``x`` ``(n, 1, h, w)``, of a sample of its pixels.

    Returns ``(n, 1, 1, 1)``.
    """
    x = x.flatten(1)
    x = x[:, :: -(-x.shape[1] // MEDIAN_SAMPLES)]
    # Several times faster on a CPU than torch's median:
    return x.kthvalue((x.shape[1] + 1) // 2, dim=1).values.view(-1, 1, 1, 1)
