"""Pictures in memory: chroma from small luma, merged at full size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import (
    ChromaModel,
    Network,
    merge,
    parallel_map,
    resize_columns,
    resize_rows,
    rgb_to_luma,
)
from ..options import ColorOptions

DEFAULTS = ColorOptions()
BATCH, BATCH_PIXELS = 8, 1 << 24  # the most frames, and pixels of them, in work at once
BAND = 1 << 18  # full-size pixels worked on at a time on the CPU, so that they stay in its cache
DEVICE_BAND = 1 << 23  # elsewhere


@torch.no_grad()
def colorize_images(
    network: Network,
    images: Tensor,
    options: ColorOptions = DEFAULTS,
    *,
    mask: Tensor | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> Tensor:
    """Give ``images`` the network's colours and keep their luma exactly.

    ``images``: ``(B, H, W, C)`` in [0, 1]; grey (``C`` = 1), RGB, or RGBA, whose alpha passes
    through. What is in colour already is judged by its luma. The result is ``(B, H, W, 3)``, or
    RGBA where that came in, of the same dtype and on the same device.
    ``mask`` ``(B or 1, h, w)`` in [0, 1] says where the colour goes; another size than the
    images' is stretched to theirs. ``device`` is where the work is done.
    ``on_progress`` is called after each image, ``check`` also within one.

    Raises ``ValueError`` for other shapes.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Images of shape {tuple(images.shape)} cannot be coloured; they must be "
            "(batch, height, width, 3): grey, RGB or RGBA pictures."
        )
    if mask is not None:
        # Deferred: torchvision takes a second to import, and few pictures come with a mask.
        from .masks import check_mask

        mask = check_mask(mask, len(images))
    if images.shape[-1] == 1:
        images = images.expand(-1, -1, -1, 3)
    if options.strength == 0 or images.numel() == 0:
        return images
    model = network.chroma_model(options, device)
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    result[..., 3:] = images[..., 3:]
    together = min(BATCH, max(1, BATCH_PIXELS // math.prod(images.shape[1:3])))
    for start in range(0, len(images), together):
        batch = images[start : start + together, ..., :3]
        small = torch.stack([shrink_luma(image, model) for image in batch])
        predict = model.rgb if options.mode == "network" else model.chroma
        for index, color in enumerate(predict(small, check), start):
            weight = None if mask is None else mask[min(index, len(mask) - 1)]
            colored = result[index, ..., :3]
            paint(images[index, ..., :3], color, options, colored, weight, model.device)
            if check:
                check()
            if on_progress:
                on_progress(index + 1, len(images), colored.detach)
    return result


def shrink_luma(image: Tensor, model: ChromaModel) -> Tensor:
    """The luma ``(1, h, w)`` of ``image`` ``(H, W, 3)`` at the size at which ``model`` looks."""
    height, width = model.input_size(*image.shape[:2])
    # Interleaved channels are but longer rows; the luma of few rows is soon made.
    rgb = resize_rows(image.to(model.device).flatten(1), height).unflatten(1, (-1, 3))
    return resize_columns(rgb_to_luma(rgb.permute(2, 0, 1)), width).clamp_(0, 1)


def paint(
    image: Tensor,
    color: Tensor,
    options: ColorOptions,
    result: Tensor,
    mask: Tensor | None,
    device: torch.device,
) -> None:
    """Put ``image`` ``(H, W, 3)`` in the small ``color`` (chroma, or RGB) into ``result``."""
    height, width = image.shape[:2]
    narrow = resize_rows(color, height)
    if mask is not None:
        from .masks import stretched

        mask = stretched(mask.to(device, torch.float32), height, width)

    def work(rows: slice) -> None:
        rgb = image[rows].to(device, torch.float32).permute(2, 0, 1)
        color = resize_columns(narrow[:, rows], width)
        colored = color.clamp(0, 1) if options.mode == "network" else merge(rgb_to_luma(rgb), color)
        if mask is not None:
            colored = torch.lerp(rgb, colored, mask[rows] * options.strength)
        elif options.strength < 1:
            colored = torch.lerp(rgb, colored, options.strength)
        result[rows] = colored.permute(1, 2, 0)

    _by_bands(work, height, width, device)


def _by_bands(work: Callable[[slice], None], height: int, width: int, device: torch.device) -> None:
    on_cpu = device.type == "cpu"
    rows = max(1, (BAND if on_cpu else DEVICE_BAND) // width)
    bands = (slice(top, min(top + rows, height)) for top in range(0, height, rows))
    if on_cpu:
        parallel_map(work, bands)
    else:
        for band in bands:
            work(band)
