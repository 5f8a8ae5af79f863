"""Pictures for a progress bar."""

from __future__ import annotations

from PIL import Image
from torch import Tensor


def to_picture(preview: Tensor | Image.Image) -> Image.Image:
    """`preview` as a PIL image; a tensor is (H, W, 3) in [0, 1]."""
    if isinstance(preview, Image.Image):
        return preview
    return Image.fromarray(preview.mul(255).round().clamp(0, 255).byte().cpu().numpy())
