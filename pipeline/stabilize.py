"""The colours of any colorizer's film held still, at full size."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import (
    ChromaBatch,
    merge,
    resize,
    rgb_to_chroma,
    rgb_to_luma,
    scaled,
    short_side_scale,
    stabilize_chroma,
)
from ..options import FilmOptions
from .previews import small_image

SHORT_SIDE = 128  # px at which the chroma is stabilized: what flickers is larger than its pixels

DEFAULTS = FilmOptions()


def stabilize_images(
    batches: Iterable[Tensor],
    options: FilmOptions = DEFAULTS,
    *,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> Iterator[Tensor]:
    """The frames of a coloured film with colours that hold still, and with exactly their luma.

    ``batches``: the film's frames in order, ``(n, H, W, 3)`` in [0, 1]; how they are batched does
    not change the result. Yields them one by one, ``(H, W, 3)`` each and of the input's dtype,
    `temporal.LOOK_AHEAD` frames after they have been taken; with stability 0 as they came, at once.
    The correction of the chroma is computed at `SHORT_SIDE` pixels and added at full size, so fine
    detail in the colours stays.

    ``on_progress`` is called for each frame that is ready, with a total of 0 if the batches are no
    sequence whose frames can be counted. ``check`` is called for each frame taken; what it raises
    ends the work. Raises ``ValueError`` for batches of another shape.
    """
    total = sum(map(len, batches)) if isinstance(batches, Sequence) else 0
    frames = _frames(batches, check)
    if options.stability:
        frames = _stabilized(frames, options.stability)
    for done, frame in enumerate(frames, 1):
        if on_progress:
            on_progress(done, total, partial(small_image, frame))
        yield frame


def stabilized_size(height: int, width: int) -> tuple[int, int]:
    """The size at which the corrections to detailed chroma of this size are computed."""
    size = height, width
    return scaled(size, min(1.0, short_side_scale(size, SHORT_SIDE)))


def _frames(batches: Iterable[Tensor], check: Check | None) -> Iterator[Tensor]:
    for images in batches:
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"Frames of shape {tuple(images.shape)} cannot be stabilized; they must be "
                "(frames, height, width, 3): remove their alpha channel first."
            )
        for image in images:
            if check:
                check()
            yield image


def _stabilized(images: Iterable[Tensor], stability: float) -> Iterator[Tensor]:
    waiting: deque[tuple[Tensor, Tensor]] = deque()  # images and their small chroma

    def shrunk() -> Iterator[ChromaBatch]:
        for image in images:
            height, width = image.shape[:2]
            size = stabilized_size(height, width)
            rgb = resize(_planes(image), size)
            chroma = rgb_to_chroma(rgb)
            waiting.append((image, chroma))
            yield ChromaBatch(chroma, rgb_to_luma(rgb))

    for chroma in stabilize_chroma(shrunk(), stability, detailed=True):
        image, before = waiting.popleft()
        yield _corrected(image, chroma.to(before.device) - before)


def _planes(image: Tensor) -> Tensor:
    """``(H, W, 3)`` as ``(1, 3, H, W)`` float32."""
    return image.float().permute(2, 0, 1).unsqueeze(0)


def _corrected(image: Tensor, small_correction: Tensor) -> Tensor:
    """``image`` with the correction added to its chroma, within the gamut and with its luma."""
    rgb = _planes(image)
    correction = resize(small_correction, image.shape[:2])
    result = merge(rgb_to_luma(rgb), rgb_to_chroma(rgb) + correction)
    return result.squeeze(0).permute(1, 2, 0).to(image.dtype)
