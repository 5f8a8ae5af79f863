"""Clean in space: one surface, one colour. Small chroma is smoothed along the luma."""

from __future__ import annotations

import torch
from torch import Tensor

EDGE = 0.01  # luma step at which neighbours hold together e times less
REACH = 0.5  # of the short side: how far a flat surface shares its colour
FEWEST_STEPS, MOST_STEPS = 20, 64


def clean(chroma: Tensor, luma: Tensor) -> Tensor:
    """Chroma ``(B, 2, h, w)`` smoothed where the luma ``(B, 1, h, w)`` in [0, 1] is smooth.

    Weighted least squares (Farbman, Fattal, Lischinski and Szeliski, "Edge-preserving
    decompositions for multi-scale tone and detail manipulation", 2008; Levin, Lischinski and Weiss,
    "Colorization using optimization", 2004, for chroma along luma): the x with the least sum of
    ``|x - chroma|^2 / (REACH * short side)^2`` over the pixels and ``exp(-|luma step| / EDGE)
    |chroma step|^2`` over neighbours. It is neared by a fixed number of Chebyshev steps (Golub and
    Varga, 1961), which need no sum over the picture: a batch gives the same numbers as its pictures
    one by one.
    """
    side = min(chroma.shape[2:])
    fidelity = (REACH * side) ** -2
    across = (luma[..., 1:] - luma[..., :-1]).abs_().div_(-EDGE).exp_()
    down = (luma[..., 1:, :] - luma[..., :-1, :]).abs_().div_(-EDGE).exp_()
    diagonal = torch.full_like(luma, fidelity)
    diagonal[..., 1:] += across
    diagonal[..., :-1] += across
    diagonal[..., 1:, :] += down
    diagonal[..., :-1, :] += down

    def residual(x: Tensor) -> Tensor:
        result = (chroma - x).mul_(fidelity)
        flow = across * (x[..., 1:] - x[..., :-1])
        result[..., 1:] -= flow
        result[..., :-1] += flow
        flow = down * (x[..., 1:, :] - x[..., :-1, :])
        result[..., 1:, :] -= flow
        result[..., :-1, :] += flow
        return result.div_(diagonal)

    # The eigenvalues of the system divided by its diagonal lie between 0 and 2. Between the bounds
    # the error shrinks to 1 / cosh(4); below are waves too long for so few steps.
    steps = min(MOST_STEPS, max(FEWEST_STEPS, side))
    low, high = 8 / steps**2, 2.0
    center, radius = (high + low) / 2, (high - low) / 2
    rho = radius / center
    x, move = chroma.clone(), residual(chroma).div_(center)
    for _ in range(steps - 1):
        x += move
        rho, before = 1 / (2 * center / radius - rho), rho
        move.mul_(rho * before).add_(residual(x), alpha=2 * rho / radius)
    return x.add_(move)
