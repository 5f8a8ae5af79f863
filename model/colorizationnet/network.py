"""The network: grey in, RGB out, four convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...options import ColorOptions
from .predictor import Predictor, memory_required


class ColorizationNet(nn.Module):
    """Four 5x5 convolutions with dilation 2 that guess the colours of a grey picture.

    Takes Rec. 601 luma of the encoded values, ``(batch, 1, height, width)`` in [0, 1], and gives
    RGB, ``(batch, 3, height, width)`` in [0, 1]. 318,659 parameters. Each output pixel depends on
    the 33x33 input pixels around it (``halo`` = 16 to each side); beyond the border the input
    counts as zero. ``metadata`` holds what the weights' file says about them.
    """

    halo = 16
    teachable = True
    detailed = False

    def __init__(self) -> None:
        super().__init__()
        self.metadata: dict[str, str] = {}
        self.conv1 = nn.Conv2d(1, 64, 5, padding=4, dilation=2)
        self.conv2 = nn.Conv2d(64, 64, 5, padding=4, dilation=2)
        self.conv3 = nn.Conv2d(64, 128, 5, padding=4, dilation=2)
        self.conv4 = nn.Conv2d(128, 3, 5, padding=4, dilation=2)

    @property
    def layers(self) -> tuple[nn.Conv2d, ...]:
        """The convolutions, first to last."""
        return self.conv1, self.conv2, self.conv3, self.conv4

    def forward(self, luma: Tensor) -> Tensor:
        x = torch.relu(self.conv1(luma))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.conv3(x))
        return torch.sigmoid(self.conv4(x))

    def chroma_model(
        self, options: ColorOptions, device: torch.device | str = "cpu", *, film: bool = False
    ) -> Predictor:
        """The network as ``options`` say, on ``device``; ``film``: for many frames in order."""
        return Predictor(self.layers, self.metadata, options, torch.device(device), film)

    def memory_required(
        self, options: ColorOptions, count: int, height: int, width: int, *, film: bool = False
    ) -> int:
        """Bytes that a device needs for ``count`` pictures of ``height`` x ``width`` at a time."""
        return memory_required(self.metadata, options, count, height, width, film)
