"""How good a colorization is: measures that a tint cannot flatter, and those that it can.

Pictures are RGB ``(3, H, W)`` in [0, 1], encoded as sRGB.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

APART, FLAT = 8, 0.02
LOUD = 0.06


@dataclass
class ChromaScore:
    """Explained variance and correlation of predicted chroma over a set of pictures.

    ``explained`` is 1 - (squared chroma error) / (squared chroma): 0 for grey, 1 for the truth.
    ``corr`` correlates predicted and true chroma vectors, each centred over the whole set, so
    that a tint alone scores 0. Every picture weighs the same.
    """

    moments: list[Tensor] = field(default_factory=list)

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Add one picture's chroma, two tensors ``(2, H, W)``."""
        predicted, truth = predicted.double(), truth.double()
        products = (predicted * truth, predicted.square(), truth.square())
        self.moments.append(
            torch.cat(
                [
                    torch.stack([p.sum(0).mean() for p in products]),
                    predicted.mean((1, 2)),
                    truth.mean((1, 2)),
                ]
            )
        )

    @property
    def explained(self) -> float:
        cross, predicted, truth = torch.stack(self.moments).mean(0)[:3].tolist()
        return 1 - (predicted - 2 * cross + truth) / truth

    @property
    def corr(self) -> float:
        """NaN when the prediction has no variance, as grey or one tint."""
        mean = torch.stack(self.moments).mean(0)
        cross = mean[0] - mean[3:5] @ mean[5:7]
        predicted = mean[1] - mean[3:5].square().sum()
        truth = mean[2] - mean[5:7].square().sum()
        if predicted < 1e-9:
            return math.nan
        return (cross / (predicted * truth).sqrt()).item()


def psnr(picture: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over all three channels."""
    return -10 * (picture - truth).square().mean().log10().item()


def colorfulness(picture: Tensor) -> tuple[float, float]:
    """The standard-deviation part and the mean part of colorfulness, on the 0..255 scale.

    Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003), metric M3 with
    signed opponent axes; M3 itself is the first part + 0.3 * the second. The mean part grows
    with any tint, the standard-deviation part only with different colours in one picture.
    """
    red, green, blue = (255 * picture).unbind()
    axes = torch.stack((red - green, (red + green) / 2 - blue)).flatten(1)
    return axes.std(1, correction=0).norm().item(), axes.mean(1).norm().item()


def ciede2000(picture: Tensor, truth: Tensor) -> float:
    """Mean CIEDE2000 colour difference (D65, kL = kC = kH = 1).

    Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula" (2005).
    """
    lightness1, a1, b1 = rgb_to_lab(picture.double())
    lightness2, a2, b2 = rgb_to_lab(truth.double())
    return delta_e(lightness1, a1, b1, lightness2, a2, b2).mean().item()


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (D65) ``(3, H, W)`` of encoded sRGB ``(3, H, W)``."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = rgb.new_tensor(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = torch.einsum("ij,jhw->ihw", matrix, linear) / matrix.sum(1)[:, None, None]
    cube_root = xyz.clamp_min(1e-9) ** (1 / 3)
    x, y, z = torch.where(xyz > (6 / 29) ** 3, cube_root, xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def delta_e(l1: Tensor, a1: Tensor, b1: Tensor, l2: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
    """CIEDE2000 of every pair of L*a*b* colours."""
    c7 = ((a1.hypot(b1) + a2.hypot(b2)) / 2) ** 7
    g = 0.5 * (1 - (c7 / (c7 + 25**7)).sqrt())
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    chroma1, chroma2 = a1.hypot(b1), a2.hypot(b2)
    hue1, hue2 = torch.atan2(b1, a1) % math.tau, torch.atan2(b2, a2) % math.tau
    coloured = chroma1 * chroma2 > 0

    turn = hue2 - hue1
    turn = turn - math.tau * (turn > math.pi) + math.tau * (turn < -math.pi)
    turn = torch.where(coloured, turn, torch.zeros_like(turn))
    delta_l, delta_c = l2 - l1, chroma2 - chroma1
    delta_h = 2 * (chroma1 * chroma2).sqrt() * (turn / 2).sin()

    lightness, chroma = (l1 + l2) / 2, (chroma1 + chroma2) / 2
    total = hue1 + hue2
    wrapped = torch.where(total < math.tau, total + math.tau, total - math.tau)
    apart = (hue1 - hue2).abs() > math.pi
    hue = torch.where(coloured, torch.where(apart, wrapped, total) / 2, total)

    degree = math.pi / 180
    t = (
        1
        - 0.17 * (hue - 30 * degree).cos()
        + 0.24 * (2 * hue).cos()
        + 0.32 * (3 * hue + 6 * degree).cos()
        - 0.20 * (4 * hue - 63 * degree).cos()
    )
    rotation = 30 * degree * (-(((hue / degree - 275) / 25) ** 2)).exp()
    c7 = chroma**7
    r_t = -2 * (c7 / (c7 + 25**7)).sqrt() * (2 * rotation).sin()
    offset = (lightness - 50).square()
    s_l = 1 + 0.015 * offset / (20 + offset).sqrt()
    s_c = 1 + 0.045 * chroma
    s_h = 1 + 0.015 * chroma * t
    c, h = delta_c / s_c, delta_h / s_h
    return ((delta_l / s_l) ** 2 + c**2 + h**2 + r_t * c * h).clamp_min(0).sqrt()


def unevenness(chroma: Tensor, luma: Tensor) -> float:
    """How much the chroma ``(2, H, W)`` wanders within a surface: blotches, in levels of 255.

    The mean distance of the chroma of two pixels `APART` px apart in a row or a column, where the
    luma ``(1, H, W)`` has no step of `FLAT` or more between them; NaN where no pair is so. A true
    picture has some too: its luma does not show every edge.
    """
    distances = []
    for axis in (1, 2):
        flat = luma[0].diff(dim=axis - 1).abs() < FLAT
        if flat.shape[axis - 1] < APART:
            continue
        within = flat.unfold(axis - 1, APART, 1).all(-1)
        ends = (
            chroma.narrow(axis, start, within.shape[axis - 1])
            for start in (0, chroma.shape[axis] - within.shape[axis - 1])
        )
        first, last = ends
        distances.append((last - first).norm(dim=0)[within])
    found = torch.cat(distances) if distances else chroma.new_empty(0)
    return 255 * found.mean().item()


def wrong_and_loud(predicted: Tensor, truth: Tensor) -> float:
    """Share of the pixels of ``predicted`` chroma ``(2, H, W)`` that are saturated and wrong.

    Saturated: a chroma of `LOUD` or more. Wrong: a hue more than 90 degrees from the truth's.
    """
    wrong = (predicted * truth).sum(0) < 0
    return (wrong & (predicted.norm(dim=0) >= LOUD)).float().mean().item()
