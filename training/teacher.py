"""Teachers: larger networks that see the whole picture, and what networks say about photos."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import rgb_to_chroma, rgb_to_luma


class Teacher(nn.Module):
    """A U-Net (Ronneberger et al., 2015) from luma ``(B, 1, H, W)`` to RGB ``(B, 3, H, W)``.

    1.7 million parameters, three halvings; it knows where each pixel lies. What it guesses for
    a picture that it was not trained on is nearer to what can be known from grey than the
    picture's one true colour, and so the better thing to learn from (Hinton et al., "Distilling
    the knowledge in a neural network", 2015).
    """

    def __init__(self, channels: int = 32, halvings: int = 3, dropout: float = 0.3) -> None:
        super().__init__()
        self.multiple = 1 << halvings  # of pixels that the sides should have
        widths = [channels << level for level in range(halvings + 1)]
        self.first = nn.Conv2d(3, channels, 5, padding=2)
        self.down = nn.ModuleList(
            nn.Sequential(*_layer(fine, coarse, stride=2), *_layer(coarse, coarse))
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(
            nn.Sequential(*_layer(coarse + fine, fine))
            for fine, coarse in reversed(list(zip(widths, widths[1:], strict=False)))
        )
        self.last = nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)

    def forward(self, luma: Tensor) -> Tensor:
        height, width = luma.shape[2:]
        down = torch.linspace(-1, 1, height, device=luma.device).view(1, 1, -1, 1)
        across = torch.linspace(-1, 1, width, device=luma.device).abs().view(1, 1, 1, -1)
        place = [plane.expand_as(luma) for plane in (down, across)]
        x = F.gelu(self.first(torch.cat((luma, *place), dim=1)))
        levels = []
        for layer in self.down:
            levels.append(x)
            x = layer(x)
        x = self.dropout(x)
        for layer in self.up:
            finer = levels.pop()
            x = F.interpolate(x, finer.shape[2:], mode="nearest")
            x = layer(torch.cat((x, finer), dim=1))
        return torch.sigmoid(self.last(x))


@torch.no_grad()
def soft_targets(network: nn.Module, picture: Tensor, sizes: Sequence[int]) -> Tensor:
    """Chroma ``(2, H / 2, W / 2)`` that ``network`` guesses for a photo ``(3, H, W)`` uint8.

    It is the mean over looks at the whole photo with short sides of ``sizes`` pixels, and at the
    mirrored photo; odd sides are rounded up.
    """
    luma = rgb_to_luma(picture[None].float() / 255)
    half = [(side + 1) // 2 for side in picture.shape[1:]]
    multiple = network.multiple if isinstance(network, Teacher) else 1
    looks = []
    for size in sizes:
        scale = size / min(luma.shape[2:]) / multiple
        shape = [round(scale * side) * multiple for side in luma.shape[2:]]
        small = F.interpolate(luma, shape, mode="bicubic", antialias=True).clamp_(0, 1)
        plain, mirrored = rgb_to_chroma(network(torch.cat((small, small.flip(3))))).split(1)
        looks.append(
            F.interpolate((plain + mirrored.flip(3)) / 2, half, mode="bilinear", antialias=True)
        )
    return torch.cat(looks).mean(0)


def _layer(channels: int, features: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, features, 3, stride=stride, padding=1)
    return convolution, nn.GroupNorm(8, features), nn.GELU()
