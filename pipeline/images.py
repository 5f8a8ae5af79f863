"""Pictures in memory: chroma from small luma, merged at full size."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import (
    Network,
    in_pieces,
    interleaved_luma,
    merge,
    parallel_map,
    resize,
    resize_columns,
    resize_rows,
    row_bands,
)
from ..options import ColorOptions
from .previews import small_image

DEFAULTS = ColorOptions()
BATCH, BATCH_PIXELS = 8, 1 << 24  # the most frames, and pixels of them, in work at once
BAND = 1 << 17  # full-size pixels worked on at a time on the CPU, so that they stay in its cache
DEVICE_BAND = 1 << 23  # elsewhere


@in_pieces()
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
        lumas = [_luma(image[..., :3], check) for image in images[start : start + together]]
        size = model.input_size(*images.shape[1:3])
        small = torch.stack([resize(luma[None].to(model.device), size) for luma in lumas])
        predict = model.rgb if options.mode == "network" else model.chroma
        for index, color in enumerate(predict(small.clamp_(0, 1), check), start):
            weight = None if mask is None else mask[min(index, len(mask) - 1)]
            colored = result[index, ..., :3]
            luma = lumas[index - start]
            own = images[index, ..., :3]
            _paint(own, luma, color, options, colored, weight, model.device, check)
            if check:
                check()
            if on_progress:
                on_progress(index + 1, len(images), partial(small_image, colored))
    return result


def _luma(image: Tensor, check: Check | None) -> Tensor:
    """The luma ``(H, W)`` float32 of ``image`` ``(H, W, 3)``, where that is."""
    luma = torch.empty(image.shape[:2], device=image.device)

    def work(rows: slice) -> None:
        luma[rows] = interleaved_luma(image[rows])

    height, width = luma.shape
    _by_bands(work, height, width, luma.device, check)
    return luma


def _paint(
    image: Tensor,
    luma: Tensor,
    color: Tensor,
    options: ColorOptions,
    result: Tensor,
    mask: Tensor | None,
    device: torch.device,
    check: Check | None,
) -> None:
    """Put ``image`` ``(H, W, 3)`` in the small ``color`` (chroma, or RGB) into ``result``."""
    height, width = image.shape[:2]
    narrow = resize_rows(color, height)
    if mask is not None:
        from .masks import stretched

        mask = stretched(mask.to(device, torch.float32), height, width)
    # What is merged goes straight to its place, where nothing is left to be done with it.
    is_final = mask is None and options.strength == 1
    is_final = is_final and result.dtype == torch.float32 and result.device == device

    def work(rows: slice) -> None:
        color = resize_columns(narrow[:, rows], width)
        place = result[rows].permute(2, 0, 1)
        if options.mode == "network":
            colored = color.clamp(0, 1)
        else:
            colored = merge(luma[rows].to(device)[None], color, out=place if is_final else None)
            if is_final:
                return
        if mask is not None or options.strength < 1:
            weight = options.strength if mask is None else mask[rows] * options.strength
            own = image[rows].to(device, torch.float32).permute(2, 0, 1)
            colored = torch.lerp(own, colored, weight)
        place.copy_(colored)

    _by_bands(work, height, width, device, check)


def _by_bands(
    work: Callable[[slice], None],
    height: int,
    width: int,
    device: torch.device,
    check: Check | None,
) -> None:
    on_cpu = device.type == "cpu"
    bands = row_bands(range(height), width, BAND if on_cpu else DEVICE_BAND)
    if on_cpu:
        parallel_map(work, bands, check)
    else:
        for band in bands:
            work(band)
            if check:
                check()
