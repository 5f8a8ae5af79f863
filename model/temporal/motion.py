"""Motion between small pictures that survives grain, flicker and changes of exposure.

Block matching (full search, overlapped windows) on the coarsest level of a pyramid finds large
motion; a few Lucas-Kanade steps (Lucas and Kanade 1981, pyramids after Bouguet 2000) on each level
refine it below a pixel. Both see the luma with its local mean taken away and its local contrast
divided out, so a change of exposure is no motion. Besides each pixel's own motion, the one shift
that most of the picture shares (the camera's: a pan, or gate weave) is fitted, robustly as in
Black and Anandan 1996; a pixel's own motion counts where it explains much more.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from .operations import box_mean, noise_deviation, warp

# The pyramid. Sides are short sides, in pixels.
FINEST_SIDE = 128  # of the finest level, at most
COARSEST_SIDE = 32  # of the coarsest level, at most
CONTRAST_WINDOW = 9  # pixels of a side of the window that is brought to one mean and contrast
MIN_NOISE = 0.004  # standard deviation of luma: a clean picture has this much, at least
CONTRAST_NOISE = 3  # noise variances in the contrast, so that grain on flat ground stays small
NOISE_FALL = 3  # times less noise variance on each coarser level; 4 if grain were white
# The search on the coarsest level.
SEARCH_RADIUS = 2  # pixels to each side
SEARCH_WINDOW = 5  # pixels of a side of a block
SHIFT_COST = 0.01  # cost of a pixel of shift, in squared errors of the texture (unit variance)
# Lucas-Kanade's steps.
FLOW_WINDOW = 7  # pixels of a side of the window whose motion is taken as one
FLOW_PRIOR = 0.02  # weight of no step, in squared gradients of the texture
FLOW_SMOOTHING = 3  # pixels of a side over which a step's result is averaged
MAX_STEP = 1  # pixel
# The camera's shift and the motion apart from it.
CAMERA_STEPS = 2
CAMERA_PRIOR = 1  # weight of no step, in squared gradients, summed over the picture
OUTLIER_SCALE = 3  # a squared error of 1 / OUTLIER_SCALE of the texture's variance counts half
CAMERA_MAX_ERROR_RATIO = 0.95  # robust error of the camera's shift to that of none, at most
LOCAL_MOTION_MAX_ERROR_RATIO = 0.5  # squared error of a pixel's own motion to the camera's, at most
LOCAL_MOTION_NOISE = 0.5  # of the noise's share in the error that must be gained besides


def estimate_motion(luma: Tensor) -> Tensor:
    """Where each pixel of a frame lies in the frame before: (dx, dy) in pixels.

    ``luma`` of ``n + 1`` consecutive frames ``(n + 1, 1, h, w)``; returns ``(n, 2, h, w)``, exactly
    zero where nothing moved by more than the noise explains.
    """
    *finer_levels, level = _pyramid(luma)
    flow = _block_match(level)
    camera = flow.flatten(2).mode(2).values[..., None, None]
    for _ in range(CAMERA_STEPS):
        camera = _refine_camera(level, camera)
        flow = _refine(level, flow)
    local_mask = _local_motion_mask(level, flow, camera)
    for level in reversed(finer_levels):
        size = level.current.shape[2:]
        flow = resize_flow(torch.where(local_mask, flow, camera), size)
        camera = camera * (size[1] / local_mask.shape[3])
        flow = _refine(level, flow)
        # A little beyond where it was found, so that objects keep their edges.
        nearby = box_mean(interpolate(local_mask.float(), size), 3) > 0
        local_mask = nearby & _local_motion_mask(level, flow, camera)
    flow = torch.where(local_mask, flow, _camera_or_zero(level, camera))
    return flow if flow.shape[2:] == luma.shape[2:] else resize_flow(flow, luma.shape[2:])


class _Level(NamedTuple):
    """One size of the frames, as texture of unit variance, ``(n, c, h, w)`` each."""

    current: Tensor
    previous: Tensor
    gradient: Tensor  # of current: (n, 2, h, w)
    noise_fraction: Tensor  # of the variance of current


def _pyramid(luma: Tensor) -> list[_Level]:
    """Fine to coarse, each level half the size of the last."""
    levels = []
    noise = noise_variance(luma)
    while True:
        short_side = min(luma.shape[2:])
        if short_side <= FINEST_SIDE:
            texture, variance = unit_texture(luma, noise)
            current, previous = texture[1:], texture[:-1]
            noise_fraction = noise[1:] / variance[1:]
            levels.append(_Level(current, previous, gradient(current), noise_fraction))
        if short_side <= COARSEST_SIDE:
            return levels
        luma = avg_pool2d(luma, 2, ceil_mode=True, count_include_pad=False)
        noise = noise / NOISE_FALL


def noise_variance(luma: Tensor) -> Tensor:
    """That of the noise in ``luma`` ``(n, 1, h, w)``, and a little more: ``(n, 1, 1, 1)``."""
    return noise_deviation(luma).square() + MIN_NOISE**2


def unit_texture(luma: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """``luma`` ``(n, 1, h, w)`` of mean 0 and variance 1 around each pixel, and its own variance.

    Both as large as ``luma``. The variance ``noise`` ``(n, 1, 1, 1)`` keeps grain on flat ground
    small.
    """
    detail = luma - box_mean(luma, CONTRAST_WINDOW)
    variance = box_mean(detail.square(), CONTRAST_WINDOW) + CONTRAST_NOISE * noise
    return detail * variance.rsqrt(), variance


def _block_match(level: _Level) -> Tensor:
    """Full search: of all shifts up to `SEARCH_RADIUS` the one with the least squared error."""
    current, previous, _, noise_fraction = level
    height, width = current.shape[2:]
    side = 2 * SEARCH_RADIUS + 1
    shifted = pad(previous, (SEARCH_RADIUS,) * 4, mode="replicate")[:, 0]
    shifted = shifted.unfold(1, height, 1).unfold(2, width, 1)  # side x side views of the picture
    errors = (shifted - current.unsqueeze(1)).square_().flatten(1, 2)
    cost = box_mean(errors, SEARCH_WINDOW)
    steps = torch.arange(
        -SEARCH_RADIUS, SEARCH_RADIUS + 1, device=current.device, dtype=current.dtype
    )
    shifts = torch.stack(torch.meshgrid(steps, steps, indexing="xy")).flatten(1)
    # Otherwise grain on flat ground would seem to move.
    cost += SHIFT_COST * shifts.norm(dim=0)[:, None, None]
    cost[:, side * side // 2] -= noise_fraction[:, 0]
    # The mean of the (one) cheapest shift: on a CPU ten times faster than argmin.
    is_best = (cost == cost.amin(1, keepdim=True)).to(current.dtype).flatten(2)
    weights = torch.cat((shifts, torch.ones_like(shifts[:1])))
    dx, dy, count = (weights @ is_best).split(1, 1)
    return torch.cat((dx, dy), dim=1).div_(count).unflatten(2, (height, width))


def _refine_camera(level: _Level, shift: Tensor) -> Tensor:
    """``shift`` ``(n, 2, 1, 1)`` of the whole picture after a step of robust Lucas-Kanade."""
    error = level.current - warp(level.previous, shift.expand(-1, -1, *level.current.shape[2:]))
    weight = 1 / (1 + OUTLIER_SCALE * error.square())
    products = _products(level.gradient, error) * weight
    xx, xy, yy, xe, ye = products.sum((2, 3), keepdim=True).split(1, 1)
    return shift + solve(xx + CAMERA_PRIOR, xy, yy + CAMERA_PRIOR, xe, ye)


def _camera_or_zero(level: _Level, shift: Tensor) -> Tensor:
    """``shift``, or zero where it does not explain most of the picture better."""
    moved = warp(level.previous, shift.expand(-1, -1, *level.current.shape[2:]))
    errors = torch.cat((level.current - level.previous, level.current - moved), dim=1).square()
    robust = errors / (1 + OUTLIER_SCALE * errors)  # Geman and McClure's
    still, shifted = robust.mean((2, 3), keepdim=True).split(1, 1)
    return shift * (shifted < CAMERA_MAX_ERROR_RATIO * still)


def _refine(level: _Level, flow: Tensor) -> Tensor:
    """``flow`` after a step of Lucas-Kanade."""
    error = level.current - warp(level.previous, flow)
    xx, xy, yy, xe, ye = box_mean(_products(level.gradient, error), FLOW_WINDOW).split(1, 1)
    noise = level.noise_fraction
    step = solve(xx + FLOW_PRIOR + noise, xy, yy + FLOW_PRIOR + noise, xe, ye)
    return box_mean(flow + step, FLOW_SMOOTHING)


def _local_motion_mask(level: _Level, flow: Tensor, camera: Tensor) -> Tensor:
    """Where ``flow`` explains the picture much better than the camera's shift."""
    flows = camera.expand_as(flow), flow
    errors = torch.cat([level.current - warp(level.previous, f) for f in flows], dim=1).square()
    camera_error, local_error = box_mean(errors, FLOW_WINDOW).split(1, 1)
    allowed = LOCAL_MOTION_MAX_ERROR_RATIO * camera_error
    return local_error < allowed - LOCAL_MOTION_NOISE * level.noise_fraction


def _products(gradient: Tensor, error: Tensor) -> Tensor:
    """The terms of Lucas-Kanade's normal equations for each pixel: ``(n, 5, h, w)``."""
    dx, dy = gradient.split(1, 1)
    return torch.cat((dx * dx, dx * dy, dy * dy, dx * error, dy * error), dim=1)


def solve(xx: Tensor, xy: Tensor, yy: Tensor, xe: Tensor, ye: Tensor) -> Tensor:
    """The step (dx, dy) that Lucas-Kanade's normal equations give, of a pixel at most."""
    step = torch.cat((yy * xe - xy * ye, xx * ye - xy * xe), dim=1) / (xx * yy - xy * xy)
    return step.clamp_(-MAX_STEP, MAX_STEP)


def gradient(x: Tensor) -> Tensor:
    """Central differences (dx, dy)."""
    wide = pad(x, (1, 1, 1, 1), mode="replicate")
    dx = wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]
    dy = wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]
    return torch.cat((dx, dy), dim=1) / 2


def resize_flow(flow: Tensor, size: torch.Size) -> Tensor:
    """``flow`` of pictures of another ``size``, in pixels of theirs."""
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2]))
    return interpolate(flow, size, mode="bilinear") * scale.view(1, 2, 1, 1)
