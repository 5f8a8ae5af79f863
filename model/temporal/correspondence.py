"""Where the surfaces of a frame are seen in other pictures of the same scene, far apart in time.

Two ways propose a field of correspondence for each picture: the last frame's field, carried along
the motion, and a full search for like patches on a coarse grid, as after something hid the surface
(propagation and search as in Barnes et al. 2009, "PatchMatch", with motion for the neighbours).
Lucas-Kanade steps refine both against the picture itself, so that errors do not add up over time;
the one whose patches differ less is taken. A field is ``(n, 2, h, w)``, (dx, dy) in pixels to where
each pixel of the frame lies in the picture.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad, unfold

from ..resize import resize, scaled, short_side_scale
from .motion import (
    FLOW_PRIOR,
    FLOW_SMOOTHING,
    FLOW_WINDOW,
    gradient,
    noise_variance,
    resize_flow,
    solve,
    unit_texture,
)
from .operations import box_mean, warp

GRID_SIDE = 20  # cells on the short side of the grid that is searched in full
PATCH = 5  # pixels of a side of a patch
LUMA_SCALE = 8  # of a difference in luma, to count beside one in texture (unit variance)
GRID_LUMA, GRID_TEXTURE = 2.0, 0.15  # the same in the descriptors of the grid's cells
DISTANCE_COST = 0.3  # cost of a shift by the short side, in squared differences of descriptors
OUTSIDE_COST = 4  # mismatch of what lies outside of the picture
SEARCH_STEPS, STEPS = 3, 2  # of Lucas-Kanade at half the size, after a search, and at full size
SWITCH_RATIO = 0.8  # of the carried field's mismatch to that of the one searched for, at most


class Level(NamedTuple):
    """One size of ``n`` pictures, ``(n, c, h, w)`` each."""

    luma: Tensor
    texture: Tensor  # of unit variance, whatever the exposure
    gradient: Tensor  # of the texture: (dx, dy)
    tensor: Tensor  # the structure tensor with Lucas-Kanade's prior: (xx, xy, yy)


class Features(NamedTuple):
    """What pictures are matched by."""

    fine: Level
    half: Level
    descriptors: Tensor  # of the patches around the grid's cells: (n, d, cells)


def features(luma: Tensor) -> Features:
    """The features of small ``luma`` ``(n, 1, h, w)`` in [0, 1]."""
    half = avg_pool2d(luma, 2, ceil_mode=True, count_include_pad=False)
    return Features(_level(luma), _level(half), _descriptors(luma))


def join(parts: list[Features]) -> Features:
    """The features of all the pictures together."""
    fine, half, descriptors = zip(*parts, strict=True)
    fines, halves = (Level(*map(torch.cat, zip(*level, strict=True))) for level in (fine, half))
    return Features(fines, halves, torch.cat(descriptors))


def propagate(field: Tensor, flow: Tensor) -> Tensor:
    """The last frame's ``field`` carried to this one, whose pixels lay at ``flow`` in it."""
    return flow + warp(field, flow.expand_as(field))


def search(frame: Features, pictures: Features) -> Tensor:
    """The field of one frame in each of the pictures, from nothing; still to `refine`."""
    height, width = frame.fine.luma.shape[2:]
    rows, columns = _grid_size(height, width)
    keys = pictures.descriptors
    queries = frame.descriptors.transpose(1, 2).expand(len(keys), -1, -1)
    cells, apart = _cells(rows, columns)
    # The squared difference without what is the same for all keys, in one pass.
    own = keys.square().sum(1, keepdim=True)
    cost = torch.baddbmm(apart.expand(len(keys), -1, -1), queries, keys, alpha=-2).add_(own)
    field = (cells[:, cost.argmin(2)] - cells[:, None]).transpose(0, 1)
    field = resize_flow(field.unflatten(2, (rows, columns)), frame.half.luma.shape[2:])
    field = refine(frame.half, pictures.half, field, SEARCH_STEPS)
    return resize_flow(field, torch.Size((height, width)))


def align(frame: Features, picture: Features) -> Tensor:
    """The field of a frame in a picture of the same moment, which may lie a few pixels off.

    Zero where that matches as well.
    """
    still = torch.zeros_like(frame.half.gradient)
    field = refine(frame.half, picture.half, still, SEARCH_STEPS)
    field = refine(frame.fine, picture.fine, resize_flow(field, frame.fine.luma.shape[2:]))
    still = torch.zeros_like(field)
    costs = (mismatch(frame.fine, picture.fine, field) for field in (still, field))
    return better(still, next(costs), field, next(costs))[0]


def refine(frame: Level, pictures: Level, field: Tensor, steps: int = STEPS) -> Tensor:
    """``field`` after steps of Lucas-Kanade."""
    xx, xy, yy = frame.tensor.split(1, 1)
    for _ in range(steps):
        error = frame.texture - warp(pictures.texture, field)
        xe, ye = box_mean(frame.gradient * error, FLOW_WINDOW).split(1, 1)
        field = box_mean(field + solve(xx, xy, yy, xe, ye), FLOW_SMOOTHING)
    return field


def mismatch(frame: Level, pictures: Level, field: Tensor) -> Tensor:
    """How much the patches at both ends of ``field`` differ, ``(n, 1, h, w)``.

    0 where they are the same, about 1 where they differ by as much as their texture varies.
    """
    found = warp(torch.cat((pictures.texture, pictures.luma), dim=1), field)
    texture, luma = found.split(1, 1)
    error = (frame.texture - texture).square_()
    error = error.add_((frame.luma - luma).mul_(LUMA_SCALE).square_())
    return box_mean(error, PATCH) + OUTSIDE_COST * box_mean(_outside(field), 3)


def better(first: Tensor, first_cost: Tensor, second: Tensor, second_cost: Tensor):
    """Of two fields the second where it matches clearly better, with what it then costs."""
    switch = box_mean((second_cost < SWITCH_RATIO * first_cost).to(first.dtype), 3) > 0.5
    return torch.where(switch, second, first), torch.where(switch, second_cost, first_cost)


def _level(luma: Tensor) -> Level:
    noise = noise_variance(luma)
    texture, variance = unit_texture(luma, noise)
    slope = gradient(texture)
    dx, dy = slope.split(1, 1)
    xx, xy, yy = box_mean(torch.cat((dx * dx, dx * dy, dy * dy), dim=1), FLOW_WINDOW).split(1, 1)
    prior = FLOW_PRIOR + noise / variance
    return Level(luma, texture, slope, torch.cat((xx + prior, xy, yy + prior), dim=1))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cells(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Where the grid's cells lie ``(2, cells)``, and what it costs to match one to another."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    cells = torch.stack((x, y)).flatten(1).float()
    apart = torch.cdist(cells.t(), cells.t()).square_()
    return cells, apart.mul_(DISTANCE_COST / min(rows, columns) ** 2)


def _grid_size(height: int, width: int) -> tuple[int, int]:
    size = height, width
    return scaled(size, min(1.0, short_side_scale(size, GRID_SIDE)))


def _descriptors(luma: Tensor) -> Tensor:
    """Patches of luma, of its texture, and of luma twice as wide around."""
    cells = resize(luma, _grid_size(*luma.shape[2:]))
    blurred = box_mean(cells, 3)
    parts = (
        _patches(cells, 1).mul_(GRID_LUMA),
        _patches(_level(cells).texture, 1).mul_(GRID_TEXTURE),
        _patches(blurred, 2).mul_(GRID_LUMA),
    )
    return torch.cat(parts, dim=1).div_(PATCH)


def _patches(x: Tensor, dilation: int) -> Tensor:
    x = pad(x, (PATCH // 2 * dilation,) * 4, mode="replicate")
    return unfold(x, PATCH, dilation=dilation)


def _outside(field: Tensor) -> Tensor:
    """1 where ``field`` leads out of the picture by more than a pixel."""
    height, width = field.shape[2:]
    x = field[:, :1] + torch.arange(width, device=field.device)
    y = field[:, 1:] + torch.arange(height, device=field.device)[:, None]
    return ((x < -1) | (y < -1) | (x > width) | (y > height)).to(field.dtype)
