"""Running the network: folded by parity, in the device's best precision, in exact tiles."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .network import ColorizationNet

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Engine:
    """The same numbers as ``network(luma)``, sooner.

    Stride 1 and dilation 2 everywhere mean that the four pixel parities of a picture never meet:
    each is a picture of its own under four plain 5x5 convolutions without dilation.
    """

    def __init__(
        self,
        network: ColorizationNet,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        tile: int = 1024,
    ) -> None:
        self.device, self.dtype, self.tile = torch.device(device), dtype, tile
        self.halo = network.halo
        self.layers = [
            (
                conv.weight.detach().to(self.device, dtype, memory_format=torch.channels_last),
                conv.bias.detach().to(self.device, dtype),
            )
            for conv in (network.conv1, network.conv2, network.conv3, network.conv4)
        ]

    def full(self, luma: Tensor) -> Tensor:
        """RGB ``(B, 3, H, W)`` float32 of ``luma`` ``(B, 1, H, W)``, as the network defines it."""
        rgb = luma.new_empty(luma.shape[0], 3, *luma.shape[2:], dtype=torch.float32)
        for rows, columns, inner in _tiles(*luma.shape[2:], self.tile, self.halo):
            tile = luma[..., rows, columns]
            out = torch.empty_like(tile, dtype=torch.float32).repeat(1, 3, 1, 1)
            for top in (0, 1):
                for left in (0, 1):
                    parity = tile[..., top::2, left::2]
                    if parity.numel():
                        out[..., top::2, left::2] = self.parity(parity)
            target_rows, target_columns, keep = inner
            rgb[..., target_rows, target_columns] = out[..., keep[0], keep[1]]
        return rgb

    def parity(self, luma: Tensor) -> Tensor:
        """RGB of one parity alone: the network without dilation, float32 ``(B, 3, H, W)``."""
        x = luma.to(self.dtype, memory_format=torch.channels_last)
        for weight, bias in self.layers[:-1]:
            x = conv2d(x, weight, bias, padding=2).relu_()
        return torch.sigmoid(conv2d(x, *self.layers[-1], padding=2).float())


def _tiles(height: int, width: int, tile: int, halo: int) -> Iterator[tuple]:
    """Tiles with their halo, and where their inner part goes.

    Zero padding belongs to the true border only; what it spoils at a tile's other edges lies
    within the halo and is cut off. Tiles start on even pixels, so parities keep their names.
    """
    for top in range(0, height, tile):
        bottom = min(top + tile, height)
        y0, y1 = max(top - halo, 0), min(bottom + halo, height)
        for left in range(0, width, tile):
            right = min(left + tile, width)
            x0, x1 = max(left - halo, 0), min(right + halo, width)
            keep = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
            yield slice(y0, y1), slice(x0, x1), (slice(top, bottom), slice(left, right), keep)
