"""Motion between two small pictures that survives grain, flicker and changes of exposure.

Block matching (full search, overlapped windows) on the coarsest level of a pyramid finds large
motion; a few Lucas-Kanade steps (Lucas and Kanade 1981, pyramids after Bouguet 2000) on each finer
level refine it below a pixel. Both see only what is left of the luma once its local mean is taken
away and its local contrast divided out, so a change of exposure is no motion.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

COARSEST = 32  # pixels on the short side of the level that is searched
REACH = 4  # pixels that the search goes to each side there
FINEST = 128  # motion is estimated at no more than this short side
NOISE = 0.01  # local contrast (standard deviation of luma) below which texture counts as noise


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
    columns = torch.arange(width, device=x.device, dtype=x.dtype)
    rows = torch.arange(height, device=x.device, dtype=x.dtype).unsqueeze(1)
    grid = torch.stack(
        (
            (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1,
            (rows + flow[:, 1]) * (2 / max(height - 1, 1)) - 1,
        ),
        dim=-1,
    )
    return grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


def estimate_motion(luma: Tensor, reference: Tensor) -> Tensor:
    """Where each pixel of ``luma`` lies in ``reference``: ``(1, 2, h, w)``, (dx, dy) in pixels.

    Both are ``(1, 1, h, w)``. Exactly zero where nothing moved.
    """
    size = luma.shape[2:]
    pyramid = _pyramid(torch.cat((luma, reference)))
    now, before = pyramid.pop().split(1)
    flow = _search(now, before)
    flow = _refine(now, before, flow)
    while pyramid:
        now, before = pyramid.pop().split(1)
        flow = _refine(now, before, _resize_flow(flow, now.shape[2:]))
    return flow if flow.shape[2:] == size else _resize_flow(flow, size)


def _pyramid(luma: Tensor) -> list[Tensor]:
    """Normalised texture of ``luma``, fine to coarse, each level half the size of the last."""
    levels = []
    while True:
        short = min(luma.shape[2:])
        if short <= FINEST:
            detail = luma - box(luma, 9)
            contrast = box(detail.square(), 9).add_(NOISE**2).sqrt_()
            levels.append(detail.div_(contrast))
        if short <= COARSEST * 1.5:
            return levels
        luma = avg_pool2d(luma, 2, ceil_mode=True, count_include_pad=False)


def _search(now: Tensor, before: Tensor) -> Tensor:
    height, width = now.shape[2:]
    side = 2 * REACH + 1
    shifted = pad(before, (REACH,) * 4, mode="replicate")[0, 0]
    shifted = shifted.unfold(0, height, 1).unfold(1, width, 1)  # side x side views of the picture
    cost = box((shifted - now).square_().flatten(0, 1).unsqueeze(1), 5).squeeze(1)
    steps = torch.arange(-REACH, REACH + 1, device=now.device, dtype=now.dtype)
    dy, dx = (t.flatten() for t in torch.meshgrid(steps, steps, indexing="ij"))
    # Motion has to earn its length, or grain on flat ground would move it about.
    cost += (0.01 * (dx.square() + dy.square()).sqrt() + 0.1 * ((dx != 0) | (dy != 0)))[:, None, None]
    best = cost.argmin(0)
    return torch.stack((dx[best], dy[best])).unsqueeze(0).reshape(1, 2, height, width)


def _refine(now: Tensor, before: Tensor, flow: Tensor, steps: int = 2) -> Tensor:
    still = box((now - before).square(), 5)
    for _ in range(steps):
        moved = warp(before, flow)
        error = now - moved
        dx, dy = _gradient(moved)
        xx, xy, yy, xe, ye = box(
            torch.cat((dx * dx, dx * dy, dy * dy, dx * error, dy * error), dim=1), 7
        ).split(1, 1)
        xx, yy = xx + 0.02, yy + 0.02
        determinant = xx * yy - xy * xy
        step = torch.cat((yy * xe - xy * ye, xx * ye - xy * xe), dim=1) / determinant
        flow = box(flow + step.clamp_(-1, 1), 3)
    error = box((now - warp(before, flow)).square(), 5)
    return flow * (error < 0.9 * still - 0.05)


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    wide = pad(x, (1, 1, 1, 1), mode="replicate")
    return (
        (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) / 2,
        (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) / 2,
    )


def _resize_flow(flow: Tensor, size: torch.Size) -> Tensor:
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2]))
    return interpolate(flow, size, mode="bilinear") * scale.view(1, 2, 1, 1)
