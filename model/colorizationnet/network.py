"""The network: grey in, RGB out, four convolutions."""

import torch
from torch import Tensor, nn


class ColorizationNet(nn.Module):
    """Four 5x5 convolutions with dilation 2 that guess the colours of a grey picture.

    Takes Rec. 601 luma of the encoded values, ``(batch, 1, height, width)`` in [0, 1], and gives
    RGB, ``(batch, 3, height, width)`` in [0, 1]. 318,659 parameters. Each output pixel depends on
    the 33x33 input pixels around it (``halo`` = 16 to each side); beyond the border the input
    counts as zero. ``metadata`` holds what the weights' file says about them.
    """

    halo = 16

    def __init__(self) -> None:
        super().__init__()
        self.metadata: dict[str, str] = {}
        self.conv1 = nn.Conv2d(1, 64, 5, padding=4, dilation=2)
        self.conv2 = nn.Conv2d(64, 64, 5, padding=4, dilation=2)
        self.conv3 = nn.Conv2d(64, 128, 5, padding=4, dilation=2)
        self.conv4 = nn.Conv2d(128, 3, 5, padding=4, dilation=2)

    def features(self, luma: Tensor) -> Tensor:
        """The third layer's output, ``(batch, 128, height, width)``: what the last layer reads."""
        x = torch.relu(self.conv1(luma))
        x = torch.relu(self.conv2(x))
        return torch.relu(self.conv3(x))

    def forward(self, luma: Tensor) -> Tensor:
        return torch.sigmoid(self.conv4(self.features(luma)))
