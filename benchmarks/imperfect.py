"""References as people have them: other colours a keyframe, blurred, from JPEG, out of place."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..model import load_model, merge, resize, rgb_to_chroma, rgb_to_luma
from ..options import ColorOptions
from ..pipeline import colorize_images

HUE = 10  # degrees, to one side and the other
BLUR = 9  # pixels of a side, of 160 on the short one
JPEG_QUALITY = 60  # of a picture of 160 px, as 25 of a larger one
SHIFT = 2  # pixels
GAIN = 1.5  # of the shipped weights' vivid look, as another model

Spoil = Callable[[Tensor], Tensor]  # of references (k, 3, H, W)


def turned(references: Tensor) -> Tensor:
    """Hues turned one way in one keyframe, the other way in the next."""
    luma, chroma = rgb_to_luma(references), rgb_to_chroma(references)
    sign = 1 - 2 * (torch.arange(len(references)) % 2).view(-1, 1, 1)
    angle = sign * math.radians(HUE)
    b, r = chroma.unbind(1)
    cos, sin = angle.cos(), angle.sin()
    return merge(luma, torch.stack((b * cos - r * sin, b * sin + r * cos), dim=1))


def blurred(references: Tensor) -> Tensor:
    """Colours that run over the edges of things."""
    chroma = avg_pool2d(rgb_to_chroma(references), BLUR, 1, BLUR // 2, count_include_pad=False)
    return merge(rgb_to_luma(references), chroma)


def from_jpeg(references: Tensor) -> Tensor:
    """Blocks and halved chroma."""
    found = []
    for reference in references:
        levels = reference.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(levels.numpy()).save(file, "JPEG", quality=JPEG_QUALITY)
        with Image.open(file) as image:
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        found.append(pixels.view(levels.shape).permute(2, 0, 1).float() / 255)
    return torch.stack(found)


def misaligned(references: Tensor) -> Tensor:
    """A little larger than the frame, and not quite in its place."""
    height, width = references.shape[2:]
    larger = resize(references, (height + 2 * SHIFT, width + 2 * SHIFT)).clamp(0, 1)
    return larger[..., :height, 2 * SHIFT :]


def of_another_model(references: Tensor) -> Tensor:
    """What the shipped weights guess, loudly: colours that do not belong to the surfaces."""
    options = ColorOptions(look="vivid", saturation=GAIN)
    network = load_model()
    found = colorize_images(network, references.permute(0, 2, 3, 1), options)
    return found.permute(0, 3, 1, 2)


SPOILT: dict[str, Spoil] = {
    "true": lambda references: references,
    "hue": turned,
    "blur": blurred,
    "hue and blur": lambda references: blurred(turned(references)),
    "jpeg": from_jpeg,
    "misaligned": misaligned,
    "another model": of_another_model,
}
