"""Clean in space: one surface, one colour. Small chroma is smoothed along the luma."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

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
    height, width = chroma.shape[2:]
    side = min(height, width)
    fidelity = (REACH * side) ** -2
    across = (luma[..., 1:] - luma[..., :-1]).abs_().div_(-EDGE).exp_()
    down = (luma[..., 1:, :] - luma[..., :-1, :]).abs_().div_(-EDGE).exp_()
    # The weights of the neighbours to the left, right, above and below; none beyond the border.
    weights = [pad(across, (1, 0)), pad(across, (0, 1)), pad(down, (0, 0, 1, 0))]
    weights.append(pad(down, (0, 0, 0, 1)))
    diagonal = sum(weights) + fidelity
    weights = [weight / diagonal for weight in weights]
    own = chroma * (fidelity / diagonal)
    framed = pad(chroma, (1, 1, 1, 1))
    x = framed[..., 1:-1, 1:-1]
    rows, columns = slice(1, 1 + height), slice(1, 1 + width)
    neighbours = [
        framed[..., rows, :width],
        framed[..., rows, 2:],
        framed[..., :height, columns],
        framed[..., 2:, columns],
    ]

    def residual() -> Tensor:
        """Of the system divided by its diagonal, at ``x``."""
        result = own - x
        for weight, neighbour in zip(weights, neighbours, strict=True):
            result.addcmul_(weight, neighbour)
        return result

    # The eigenvalues of the system divided by its diagonal lie between 0 and 2. Between the bounds
    # the error shrinks to 1 / cosh(4); below are waves too long for so few steps.
    steps = min(MOST_STEPS, max(FEWEST_STEPS, side))
    low, high = 8 / steps**2, 2.0
    center, radius = (high + low) / 2, (high - low) / 2
    rho = radius / center
    move = residual().div_(center)
    for _ in range(steps - 1):
        x += move
        rho, before = 1 / (2 * center / radius - rho), rho
        move.mul_(rho * before).add_(residual(), alpha=2 * rho / radius)
    return x.add_(move).contiguous()
