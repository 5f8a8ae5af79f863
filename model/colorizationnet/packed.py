"""Convolutions whose weights are laid out for the CPU once, where `conv2d` does it at each call.

They are oneDNN's, by the operations to which torch compiles graphs. torch's own products are MKL's,
which stays with AVX2 on AMD's processors and leaves half of each core unused.
"""

import platform
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

_ONE = [1, 1]


def has_packed_convolutions() -> bool:
    """Whether this torch has them and this processor is of the kind that they are quick on."""
    return (
        torch.backends.mkldnn.is_available()
        and platform.machine() in ("x86_64", "AMD64")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
    )


class PackedConvolution:
    """``conv2d(x, weight, bias, padding=padding, groups=groups)`` of pictures laid out by pixels.

    ``size``: of the pictures, about, for which the weights are laid out. Where there is no such
    layout, it is `conv2d`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        size: Sequence[int],
        *,
        padding: Sequence[int] = (0, 0),
        groups: int = 1,
    ) -> None:
        self._bias, self._padding, self._groups = bias, list(padding), groups
        self._is_packed = has_packed_convolutions()
        self._weight = weight
        if self._is_packed:
            shape = [1, groups * weight.shape[1], *size]
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight.contiguous(), self._padding, _ONE, _ONE, groups, shape
            )

    def __call__(self, pixels: Tensor) -> Tensor:
        """``(height, width, features)`` of ``pixels`` ``(height, width, channels)``."""
        x = pixels.permute(2, 0, 1).unsqueeze(0)
        if self._is_packed:
            result = torch.ops.mkldnn._convolution_pointwise(
                x, self._weight, self._bias, self._padding, _ONE, _ONE, self._groups, "none", [], ""
            )
        else:
            result = conv2d(x, self._weight, self._bias, padding=self._padding, groups=self._groups)
        return result[0].permute(1, 2, 0)
