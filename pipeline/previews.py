"""Small pictures of what was done last, for who looks on."""

from torch import Tensor

from ..model import resize, scaled

PREVIEW_WIDTH = 384  # px


def small_image(image: Tensor) -> Tensor:
    """An image ``(H, W, 3)`` as float32 in [0, 1], at most `PREVIEW_WIDTH` wide."""
    apart = max(1, image.shape[1] // (2 * PREVIEW_WIDTH))
    image = image[::apart, ::apart]  # to shrink a large one costs as much as to colour it
    size = scaled(image.shape[:2], min(1.0, PREVIEW_WIDTH / image.shape[1]))
    return resize(image.permute(2, 0, 1).float(), size).permute(1, 2, 0).clamp(0, 1)
