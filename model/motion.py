"""Motion between two small pictures that survives grain, flicker and changes of exposure.

Block matching (full search, overlapped windows) on the coarsest level of a pyramid finds large
motion; a few Lucas-Kanade steps (Lucas and Kanade 1981, pyramids after Bouguet 2000) on each finer
level refine it below a pixel. Both see only what is left of the luma once its local mean is taken
away and its local contrast divided out, so a change of exposure is no motion.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

COARSEST = 32  # pixels on the short side of the level that is searched
REACH = 4  # pixels that the search goes to each side there
FINEST = 128  # motion is estimated at no more than this short side
NOISE = 0.004  # standard deviation of luma: a clean picture has this much, at least
EARNED = 0.5  # share of the error that motion apart from the camera's must fall below


def box(x: Tensor, size: int) -> Tensor:
    """Mean over the ``size`` x ``size`` pixels around each pixel; the border's are repeated."""
    half = size // 2
    # Shifted sums: on a CPU several times faster than average pooling with stride 1.
    height, width = x.shape[-2:]
    wide = pad(x, (half, half, half, half), mode="replicate")
    total = wide[..., :width].clone()
    for shift in range(1, size):
        total += wide[..., shift : shift + width]
    mean = total[..., :height, :].clone()
    for shift in range(1, size):
        mean += total[..., shift : shift + height, :]
    return mean.div_(size * size)


def warp(x: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """``x`` ``(1, c, h, w)`` read at each pixel plus its ``flow`` ``(1, 2, h, w)`` (dx, dy)."""
    height, width = x.shape[2:]
    scale = flow.new_tensor((2 / max(width - 1, 1), 2 / max(height - 1, 1)))
    grid = torch.addcmul(_grid(height, width, x.device), flow.permute(0, 2, 3, 1), scale)
    return grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _grid(height: int, width: int, device: torch.device) -> Tensor:
    columns, rows = (torch.linspace(-1, 1, size, device=device) for size in (width, height))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).unsqueeze(0)


def estimate_motion(luma: Tensor, reference: Tensor) -> Tensor:
    """Where each pixel of ``luma`` lies in ``reference``: ``(1, 2, h, w)``, (dx, dy) in pixels.

    Both are ``(1, 1, h, w)``. Exactly zero where nothing moved by more than the grain explains.
    """
    size = luma.shape[2:]
    pyramid = _pyramid(torch.cat((luma, reference)))
    now, before, doubt = pyramid.pop()
    flow = _search(now, before, doubt)
    camera = _camera(now, before, flow.flatten(2).mode(2).values.view(1, 2, 1, 1), 3)
    flow = _refine(now, before, doubt, flow, camera, 2)
    while pyramid:
        scale = pyramid[-1][0].shape[3] / now.shape[3]
        now, before, doubt = pyramid.pop()
        steps = 2 if pyramid else 1
        camera = _camera(now, before, camera * scale, steps)
        flow = _refine(now, before, doubt, _resize_flow(flow, now.shape[2:]), camera, steps)
    return flow if flow.shape[2:] == size else _resize_flow(flow, size)


def grain(luma: Tensor) -> Tensor:
    """Standard deviation of the noise in ``luma`` ``(1, 1, h, w)`` (Immerkaer 1996, by median)."""
    luma = pad(luma, (1, 1, 1, 1), mode="replicate")
    rows = luma[..., 2:, :] - 2 * luma[..., 1:-1, :] + luma[..., :-2, :]
    both = rows[..., 2:] - 2 * rows[..., 1:-1] + rows[..., :-2]
    return both.abs().median() / (6 * 0.6745)


def _pyramid(luma: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Normalised texture of both pictures, fine to coarse, each level half the size of the last.

    With each level comes the part of the texture's variance that is noise.
    """
    levels = []
    noise = grain(luma[:1]).square() + NOISE**2
    while True:
        short = min(luma.shape[2:])
        if short <= FINEST:
            detail = luma - box(luma, 9)
            variance = box(detail.square(), 9) + 3 * noise
            now, before = (detail * variance.rsqrt()).split(1)
            levels.append((now, before, noise / variance[:1]))
        if short <= COARSEST * 1.5:
            return levels
        luma = avg_pool2d(luma, 2, ceil_mode=True, count_include_pad=False)
        noise = noise / 3  # 4 if grain were white


def _search(now: Tensor, before: Tensor, doubt: Tensor) -> Tensor:
    height, width = now.shape[2:]
    side = 2 * REACH + 1
    shifted = pad(before, (REACH,) * 4, mode="replicate")[0, 0]
    shifted = shifted.unfold(0, height, 1).unfold(1, width, 1)  # side x side views of the picture
    cost = box((shifted - now).square_().flatten(0, 1).unsqueeze(1), 5).squeeze(1)
    steps = torch.arange(-REACH, REACH + 1, device=now.device, dtype=now.dtype)
    dy, dx = (t.flatten() for t in torch.meshgrid(steps, steps, indexing="ij"))
    # Motion has to earn its length, or grain on flat ground would move it about.
    cost += 0.01 * torch.hypot(dx, dy)[:, None, None]
    cost[side * side // 2] -= doubt[0, 0]
    best = cost.argmin(0)
    return torch.stack((dx[best], dy[best])).unsqueeze(0).reshape(1, 2, height, width)


def _camera(now: Tensor, before: Tensor, shift: Tensor, steps: int) -> Tensor:
    """The shift ``(1, 2, 1, 1)`` that most of the picture shares: a pan, or gate weave."""
    for _ in range(steps):
        moved = warp(before, shift.expand(1, 2, *now.shape[2:]))
        error = now - moved
        dx, dy = _gradient(moved)
        weight = 1 / (1 + 3 * error.square())
        wx, wy = dx * weight, dy * weight
        xx, xy, yy = (dx * wx).sum() + 1, (dx * wy).sum(), (dy * wy).sum() + 1
        xe, ye = (wx * error).sum(), (wy * error).sum()
        step = torch.stack((yy * xe - xy * ye, xx * ye - xy * xe)) / (xx * yy - xy * xy)
        shift = shift + step.clamp(-1, 1).view(1, 2, 1, 1)
    return shift * (shift.square().sum() > 0.03**2)


def _refine(
    now: Tensor, before: Tensor, doubt: Tensor, flow: Tensor, camera: Tensor, steps: int
) -> Tensor:
    """``flow`` made exact by Lucas-Kanade, or the ``camera``'s where it is hardly better."""
    for _ in range(steps):
        moved = warp(before, flow)
        error = now - moved
        dx, dy = _gradient(moved)
        xx, xy, yy, xe, ye = box(
            torch.cat((dx * dx, dx * dy, dy * dy, dx * error, dy * error), dim=1), 7
        ).split(1, 1)
        xx, yy = xx + 0.02 + doubt, yy + 0.02 + doubt
        step = torch.cat((yy * xe - xy * ye, xx * ye - xy * xe), dim=1) / (xx * yy - xy * xy)
        flow = box(flow + step.clamp_(-1, 1), 3)
    still = camera.expand_as(flow)
    errors = torch.cat((now - warp(before, still), now - warp(before, flow)), dim=1).square()
    shared, own = box(errors, 7).split(1, 1)
    return torch.where(own < EARNED * shared - 0.5 * doubt, flow, still)


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    wide = pad(x, (1, 1, 1, 1), mode="replicate")
    return (
        (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) / 2,
        (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) / 2,
    )


def _resize_flow(flow: Tensor, size: torch.Size) -> Tensor:
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2]))
    return interpolate(flow, size, mode="bilinear") * scale.view(1, 2, 1, 1)
