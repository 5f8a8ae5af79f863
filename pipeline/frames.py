"""Clips as batches of frames in memory, and back into clips."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import limited_threads, row_bands
from ..options import EncodeOptions
from ..video import (
    Clip,
    FrameWriter,
    as_clip,
    count_frames,
    exact_rate,
    find_format,
    read_audio,
    read_frames,
)
from .previews import small_image

log = logging.getLogger(__name__)

IN_CACHE = 1 << 17  # pixels worked on at a time
READ_AT_ONCE = 2  # frames
PREVIEW_FILE = EncodeOptions(quality=28)

Sound = tuple[np.ndarray, int]


class LoadedFrames(NamedTuple):
    """``batches`` of IMAGE ``(n, H, W, C)``, their sound ``(samples, rate)``, frames a second."""

    batches: list[Tensor]
    sound: Sound | None
    fps: Fraction
    frame_count: int
    sample_aspect_ratio: Fraction


def load_frames(
    source: Clip | str | os.PathLike,
    *,
    start_frame: int = 0,
    frame_count: int | None = None,
    frame_step: int = 1,
    batch_size: int = 16,
    rate: float | None = None,
    short_side: int | None = None,
    keep_alpha: bool = False,
    free_memory: int | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> LoadedFrames:
    """Read a clip's frames as float32 in [0, 1], in batches, with the sound that belongs to them.

    ``start_frame`` counts frames of the clip, ``frame_count`` (``None``: to the end) and
    ``frame_step`` (every n-th) those after ``rate``, which brings the clip to so many frames a
    second, by time; ``None`` keeps each frame once, and repeats those of a clip with a variable
    rate so that each is shown at its own time. ``short_side`` scales the frames. With
    ``keep_alpha`` there are four channels where the clip has transparency, else three.

    Raises ``ValueError`` before the first frame is read when ``free_memory`` bytes cannot hold
    them, and `VideoError` for a clip that cannot be read.
    """
    clip = as_clip(source)
    exact = exact_rate(rate) if rate else None
    if clip.variable_rate and not exact:
        exact = clip.constant_rate
        log.warning(
            "%s has a variable frame rate, which batches cannot carry: its frames are repeated "
            "to make %.6g a second. Colorize Video keeps every time.",
            clip.path.name,
            exact,
        )
    channels = 4 if keep_alpha and clip.has_alpha else 3
    width, height = scaled_size(clip, short_side)
    wanted = count_frames(clip, start_frame, frame_count, frame_step, exact)
    refuse_if_too_large(
        "frames",
        (wanted, height, width, channels),
        free_memory,
        "use Colorize Video, which streams, or load fewer frames",
        where=f"{clip.path.name}: ",
    )
    batches: list[Tensor] = []
    loaded = 0
    frames = read_frames(
        clip,
        start_frame=start_frame,
        frame_count=frame_count,
        frame_step=frame_step,
        rate=exact,
        size=(width, height),
        batch_size=READ_AT_ONCE,
        alpha=channels == 4,
        check=check,
    )
    for batch in _float_batches(frames, batch_size, wanted):
        batches.append(batch)
        loaded += len(batch)
        if on_progress:
            on_progress(loaded, wanted, partial(small_image, batch[-1, ..., :3]))
    fps = (exact or clip.fps) / frame_step
    begin = float(clip.time_of(start_frame) - clip.start)
    sound = read_audio(clip, begin, float(loaded / fps))
    return LoadedFrames(batches, sound, fps, loaded, clip.sample_aspect_ratio)


def save_frames(
    batches: Sequence[Tensor],
    path: str | os.PathLike,
    fps: Fraction | float,
    encode: EncodeOptions,
    *,
    sound: Sound | None = None,
    sample_aspect_ratio: Fraction = Fraction(1),
    preview: Path | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> None:
    """Put ``batches`` of IMAGE ``(n, H, W, 3 or 4)`` of one size into one clip, in order.

    ``preview``: where to put a small-file H.264 of it as well, for what a browser cannot play.
    Raises ``ValueError`` for frames that do not fit together, and `VideoError` when the format
    cannot hold what is asked.
    """
    entry = find_format(encode.format)
    depth = entry.depth_for(encode.bit_depth or 8)
    shape = batches[0].shape[1:]
    if different := [batch.shape[1:] for batch in batches if batch.shape[1:] != shape]:
        raise ValueError(
            f"The frames have more than one size, {tuple(shape)} and {tuple(different[0])}; "
            "bring them to one size first."
        )
    height, width, channels = shape
    if channels not in (3, 4):
        raise ValueError(f"The frames have {channels} channels; make them RGB or RGBA first.")
    alpha = channels == 4 and entry.alpha
    total, done = sum(map(len, batches)), 0
    with ExitStack() as stack:
        writer = stack.enter_context(
            FrameWriter(
                path,
                width,
                height,
                fps,
                replace(encode, bit_depth=depth),
                alpha=alpha,
                audio=sound,
                sample_aspect_ratio=sample_aspect_ratio,
                check=check,
            )
        )
        proxy = preview and stack.enter_context(
            FrameWriter(preview, width, height, fps, PREVIEW_FILE, check=check)
        )
        # Beside an encoder, threads that wait for each other cost more than they bring.
        stack.enter_context(limited_threads(1))
        for batch in batches:
            pictures = batch if alpha else batch[..., :3]
            for index, frame in enumerate(to_frames(pictures, depth)):
                writer.write(frame)
                if proxy:
                    proxy.write(next(to_frames(batch[index : index + 1, ..., :3], 8)))
                done += 1
                if on_progress:
                    on_progress(done, total)


def _float_batches(frames: Iterator[np.ndarray], batch_size: int, wanted: int) -> Iterator[Tensor]:
    """``frames`` as float32 in batches, made so while the next are decoded; ``wanted`` come."""
    batch, filled = np.empty(0, np.float32), 0
    for given, frame in enumerate(chain.from_iterable(frames)):
        if filled == len(batch):
            count = max(1, min(batch_size, wanted - given))
            batch, filled = np.empty((count, *frame.shape), np.float32), 0
        _to_float(frame, batch[filled])
        filled += 1
        if filled == len(batch):
            yield torch.from_numpy(batch)
    if filled < len(batch):
        yield torch.from_numpy(batch[:filled])


def scaled_size(clip: Clip, short_side: int | None) -> tuple[int, int]:
    """Width and height with ``short_side``, the aspect kept; ``None`` keeps the clip's own."""
    scale = short_side / min(clip.width, clip.height) if short_side else 1
    return max(1, round(clip.width * scale)), max(1, round(clip.height * scale))


def refuse_if_too_large(
    what: str,
    shape: tuple[int, int, int, int],
    free_memory: int | None,
    remedy: str,
    where: str = "",
) -> None:
    """Raise ``ValueError`` when ``what``, an IMAGE of ``shape``, exceeds ``free_memory`` bytes."""
    need = 4 * math.prod(shape)
    if free_memory is not None and need > free_memory:
        count, height, width, _ = shape
        raise ValueError(
            f"{where}{count} {what} of {width}x{height} need {need / 1e9:.1f} GB of memory and "
            f"{free_memory / 1e9:.1f} GB are free; {remedy}."
        )


def to_images(frames: np.ndarray) -> Tensor:
    """Float32 in [0, 1] of uint8 or uint16 ``frames``, of any shape."""
    return torch.from_numpy(_to_float(frames))


def _to_float(frames: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    white = np.float32(np.iinfo(frames.dtype).max)
    return np.divide(frames, white, out=out, dtype=np.float32)


def to_frames(images: Tensor, bit_depth: int) -> Iterator[np.ndarray]:
    """Frames ``(1, H, W, C)``, uint8 for 8 bits and uint16 for more, one after the other."""
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    white = np.iinfo(dtype).max
    for image in images:
        image = image.to("cpu", torch.float32)
        frame = np.empty(image.shape, dtype)
        for rows in row_bands(range(len(image)), image.shape[1], IN_CACHE):
            levels = (image[rows] * white).add_(0.5).clamp_(0, white)
            np.copyto(frame[rows], levels.numpy(), casting="unsafe")
        yield frame[None]
