"""Muon: momentum whose steps are orthogonalized."""

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Moves every filter bank along its momentum, made (nearly) orthogonal.

    All directions of the momentum matrix then move by the same amount, not only the few that
    dominate the gradient. For convolution weights, read as ``(out, in * height * width)``.
    Method: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024),
    kellerjordan.github.io/posts/muon.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.9) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure is ever given
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["average"] = torch.zeros_like(parameter)
                average = state["average"]
                average.lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(average, group["momentum"])
                direction = orthogonalize(ahead.flatten(1)).view_as(parameter)
                parameter.add_(direction, alpha=-group["lr"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix with all singular values near 1 (0.7 to 1.2), by five Newton-Schulz steps.

    For matrices that are wider than tall; the quintic's coefficients are the paper's.
    """
    x = matrix / matrix.norm().clamp_min(1e-12)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x
