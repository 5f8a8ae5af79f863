"""Frames as video/ has them (numpy integers) and as the graph has them (torch floats)."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from .. import host


def refuse_if_too_large(
    what: str, shape: tuple[int, int, int, int], remedy: str, where: str = ""
) -> None:
    """Raise ``ValueError`` when ``what``, an IMAGE of ``shape``, exceeds the free memory."""
    need, free = 4 * math.prod(shape), host.free_memory(torch.device("cpu"))
    if need > free:
        count, height, width, _ = shape
        raise ValueError(
            f"{where}{count} {what} of {width}x{height} need {need / 1e9:.1f} GB of memory and "
            f"{free / 1e9:.1f} GB are free; {remedy}."
        )


def to_images(frames: np.ndarray) -> Tensor:
    """IMAGE ``(n, H, W, C)`` float32 in [0, 1] of uint8 or uint16 frames."""
    images = torch.from_numpy(frames.astype(np.float32))
    return images.div_(np.iinfo(frames.dtype).max)


def to_frames(images: Tensor, bit_depth: int) -> Iterator[np.ndarray]:
    """Frames ``(1, H, W, C)``, uint8 for 8 bits and uint16 for more, one after the other."""
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    white = np.iinfo(dtype).max
    for image in images:
        levels = image.to("cpu", torch.float32, copy=True).mul_(white).add_(0.5).clamp_(0, white)
        yield levels.numpy().astype(dtype)[None]


def regroup(chunks: Iterable[np.ndarray], size: int) -> Iterator[Tensor]:
    """IMAGE batches of ``size`` frames, the last one shorter, of frames in chunks of any length."""
    batch, filled = None, 0
    for chunk in chunks:
        while len(chunk):
            if batch is None:
                batch, filled = torch.empty(size, *chunk.shape[1:]), 0
            part, chunk = chunk[: size - filled], chunk[size - filled :]
            batch[filled : filled + len(part)] = to_images(part)
            filled += len(part)
            if filled == size:
                yield batch
                batch = None
    if batch is not None:
        yield batch[:filled]
