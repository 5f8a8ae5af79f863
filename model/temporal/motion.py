"""Motion between small pictures that survives grain, flicker and changes of exposure.

Block matching (full search, overlapped windows) on the coarsest level of a pyramid finds large
motion; a few Lucas-Kanade steps (Lucas and Kanade 1981, pyramids after Bouguet 2000) on each level
refine it below a pixel. Both see only what is left of the luma once its local mean is taken away
and its local contrast divided out, so a change of exposure is no motion.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

COARSEST = 32  # pixels on the short side of the level that is searched, at most
REACH = 2  # pixels that the search goes to each side there
FINEST = 128
NOISE = 0.004  # standard deviation of luma: a clean picture has this much, at least
SAMPLED = 4096  # pixels that tell a picture's median, at most
BETTER = 0.95
EARNED = 0.5  # share of the error that motion apart from the camera's must fall below


def box(x: Tensor, size: int) -> Tensor:
    """Mean over the ``size`` x ``size`` pixels around each pixel; the border's are repeated."""
    x = pad(x, (size // 2,) * 4, mode="replicate")
    return _sums(_sums(x, size, -1), size, -2).div_(size * size)


def _sums(x: Tensor, size: int, dim: int) -> Tensor:
    """Sums of ``size`` neighbours, from those of 2, 4, 8...: several times faster than pooling."""
    count = x.shape[dim] - size + 1
    total, start, length = None, 0, 1
    while True:
        if size & length:
            part = x.narrow(dim, start, count)
            total = part if total is None else total + part
            start += length
        if 2 * length > size:
            return total
        pairs = x.shape[dim] - length
        x = x.narrow(dim, 0, pairs) + x.narrow(dim, length, pairs)
        length *= 2


def warp(x: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """``x`` ``(n, c, h, w)`` read at each pixel plus its ``flow`` ``(n, 2, h, w)`` (dx, dy)."""
    height, width = x.shape[2:]
    grid, scale = _grid(height, width, x.device)
    grid = torch.addcmul(grid, flow, scale).permute(0, 2, 3, 1)
    return grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    columns, rows = (torch.linspace(-1, 1, size, device=device) for size in (width, height))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy")).unsqueeze(0)
    scale = torch.tensor((2 / max(width - 1, 1), 2 / max(height - 1, 1)), device=device)
    return grid, scale.view(1, 2, 1, 1)


def estimate_motion(film: Tensor) -> Tensor:
    """Where each pixel of a frame lies in the frame before: (dx, dy) in pixels.

    ``film``: luma of ``n + 1`` frames ``(n + 1, 1, h, w)``; returns ``(n, 2, h, w)``, exactly zero
    where nothing moved by more than the grain explains.
    """
    *finer, level = _pyramid(film)
    flow = _search(level)
    camera = flow.flatten(2).mode(2).values[..., None, None]
    for _ in range(2):
        camera = _camera(level, camera)
        flow = _refine(level, flow)
    own = _earned(level, flow, camera)
    for level in reversed(finer):
        size = level.now.shape[2:]
        flow = _resize_flow(torch.where(own, flow, camera), size)
        camera = camera * (size[1] / own.shape[3])
        flow = _refine(level, flow)
        # A little beyond where it was found, so that objects keep their edges.
        near = box(interpolate(own.float(), size), 3) > 0
        own = near & _earned(level, flow, camera)
    flow = torch.where(own, flow, _or_still(level, camera))
    return flow if flow.shape[2:] == film.shape[2:] else _resize_flow(flow, film.shape[2:])


def grain(luma: Tensor) -> Tensor:
    """Standard deviation of the noise in ``luma`` ``(n, 1, h, w)`` (Immerkaer 1996, by median).

    Returns ``(n, 1, 1, 1)``.
    """
    luma = pad(luma, (1, 1, 1, 1), mode="replicate")
    rows = luma[..., 2:, :] - 2 * luma[..., 1:-1, :] + luma[..., :-2, :]
    both = rows[..., 2:] - 2 * rows[..., 1:-1] + rows[..., :-2]
    return median(both.abs()) / (6 * 0.6745)


def median(x: Tensor) -> Tensor:
    """The median of each picture in ``x`` ``(n, 1, h, w)``, about: ``(n, 1, 1, 1)``."""
    x = x.flatten(1)
    x = x[:, :: -(-x.shape[1] // SAMPLED)]
    # Several times faster on a CPU than torch's median:
    return x.kthvalue((x.shape[1] + 1) // 2, dim=1).values.view(-1, 1, 1, 1)


class Level(NamedTuple):
    """One size of the frames, as texture of unit variance."""

    now: Tensor
    before: Tensor
    slope: Tensor  # of now: (n, 2, h, w)
    doubt: Tensor  # share of the variance of now that is noise


def _pyramid(film: Tensor) -> list[Level]:
    """Fine to coarse, each level half the size of the last."""
    levels = []
    noise = grain(film).square() + NOISE**2
    while True:
        short = min(film.shape[2:])
        if short <= FINEST:
            detail = film - box(film, 9)
            variance = box(detail.square(), 9) + 3 * noise
            texture = detail * variance.rsqrt()
            now, before = texture[1:], texture[:-1]
            levels.append(Level(now, before, _gradient(now), noise[1:] / variance[1:]))
        if short <= COARSEST:
            return levels
        film = avg_pool2d(film, 2, ceil_mode=True, count_include_pad=False)
        noise = noise / 3  # 4 if grain were white


def _search(level: Level) -> Tensor:
    now, before, _, doubt = level
    height, width = now.shape[2:]
    side = 2 * REACH + 1
    shifted = pad(before, (REACH,) * 4, mode="replicate")[:, 0]
    shifted = shifted.unfold(1, height, 1).unfold(2, width, 1)  # side x side views of the picture
    cost = box((shifted - now.unsqueeze(1)).square_().flatten(1, 2), 5)
    steps = torch.arange(-REACH, REACH + 1, device=now.device, dtype=now.dtype)
    shifts = torch.stack(torch.meshgrid(steps, steps, indexing="xy")).flatten(1)
    # Motion has to earn its length, or grain on flat ground would move it about.
    cost += 0.01 * shifts.norm(dim=0)[:, None, None]
    cost[:, side * side // 2] -= doubt[:, 0]
    # The sum over the (one) cheapest shift: on a CPU ten times faster than argmin.
    best = (cost == cost.amin(1, keepdim=True)).to(now.dtype).flatten(2)
    weights = torch.cat((shifts, torch.ones_like(shifts[:1])))
    dx, dy, count = (weights @ best).split(1, 1)
    return torch.cat((dx, dy), dim=1).div_(count).unflatten(2, (height, width))


def _camera(level: Level, shift: Tensor) -> Tensor:
    """The shift ``(n, 2, 1, 1)`` that most of the picture shares: a pan, or gate weave."""
    error = level.now - warp(level.before, shift.expand(-1, -1, *level.now.shape[2:]))
    weight = 1 / (1 + 3 * error.square())
    products = _products(level.slope, error) * weight
    xx, xy, yy, xe, ye = products.sum((2, 3), keepdim=True).split(1, 1)
    return shift + _solve(xx + 1, xy, yy + 1, xe, ye)


def _or_still(level: Level, shift: Tensor) -> Tensor:
    """``shift``, or zero where it does not explain most of the picture better."""
    moved = warp(level.before, shift.expand(-1, -1, *level.now.shape[2:]))
    errors = torch.cat((level.now - level.before, level.now - moved), dim=1).square()
    still, shifted = (errors / (1 + 3 * errors)).mean((2, 3), keepdim=True).split(1, 1)
    return shift * (shifted < BETTER * still)


def _refine(level: Level, flow: Tensor) -> Tensor:
    """``flow`` after a step of Lucas-Kanade."""
    error = level.now - warp(level.before, flow)
    xx, xy, yy, xe, ye = box(_products(level.slope, error), 7).split(1, 1)
    return box(flow + _solve(xx + 0.02 + level.doubt, xy, yy + 0.02 + level.doubt, xe, ye), 3)


def _earned(level: Level, flow: Tensor, camera: Tensor) -> Tensor:
    """Where ``flow`` explains the picture much better than the camera's."""
    still = camera.expand_as(flow)
    errors = [level.now - warp(level.before, f) for f in (still, flow)]
    shared, own = box(torch.cat(errors, dim=1).square(), 7).split(1, 1)
    return own < EARNED * shared - 0.5 * level.doubt


def _products(slope: Tensor, error: Tensor) -> Tensor:
    dx, dy = slope.split(1, 1)
    return torch.cat((dx * dx, dx * dy, dy * dy, dx * error, dy * error), dim=1)


def _solve(xx: Tensor, xy: Tensor, yy: Tensor, xe: Tensor, ye: Tensor) -> Tensor:
    step = torch.cat((yy * xe - xy * ye, xx * ye - xy * xe), dim=1) / (xx * yy - xy * xy)
    return step.clamp_(-1, 1)


def _gradient(x: Tensor) -> Tensor:
    wide = pad(x, (1, 1, 1, 1), mode="replicate")
    dx = wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]
    dy = wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]
    return torch.cat((dx, dy), dim=1) / 2


def _resize_flow(flow: Tensor, size: torch.Size) -> Tensor:
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2]))
    return interpolate(flow, size, mode="bilinear") * scale.view(1, 2, 1, 1)
