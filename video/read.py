"""Frames out of a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from .clip import Clip, checked_frames
from .decoder import SCALER, Decoder
from .ffmpeg import VideoError
from .formats import exact_rate, ratio
from .planes import luma_levels
from .probe import as_clip

# The raw pixel formats of frames, by (deep, alpha).
RGB = {
    (False, False): "rgb24",
    (False, True): "rgba",
    (True, False): "rgb48le",
    (True, True): "rgba64le",
}


def read_frames(
    clip: Clip | str | os.PathLike,
    *,
    start_frame: int = 0,
    frame_count: int | None = None,
    frame_step: int = 1,
    rate: Fraction | float | None = None,
    size: tuple[int, int] | None = None,
    batch_size: int = 16,
    alpha: bool | None = None,
    allow_hdr: bool = False,
    check: Callable[[], None] | None = None,
) -> Iterator[np.ndarray]:
    """The clip's frames in order, as ``(n, height, width, channels)`` batches of full-range RGB.

    8-bit clips give uint8, deeper ones uint16 (0 to 65535); there are four channels with
    ``alpha`` (None: when the clip has it), else three. Every batch has ``batch_size`` frames but
    the last, and is memory of its own, which the caller may keep or write into.

    ``rate`` resamples by time to a constant rate: what a variable-rate clip needs to stay with its
    sound, as every frame comes once when it is None. ``start_frame`` counts frames of the clip;
    ``frame_step`` (every nth) and ``frame_count`` count after ``rate``. ``size`` is
    ``(width, height)``.

    ``check()`` is called before each frame is decoded; what it raises ends the reading.

    A damaged clip gives what it holds and logs how many frames are missing. Raises `VideoError`
    for a clip that cannot be decoded or changes its size, and for HDR (PQ, HLG) unless
    ``allow_hdr``: its codes are then given as they are, which shows it dim and pale.
    """
    clip = as_clip(clip)
    if clip.is_hdr and not allow_hdr:
        raise VideoError(
            f"{clip.path}: the clip is HDR ({clip.color_trc}), which RGB frames cannot"
            f" carry; Colorize Video keeps HDR, or convert the clip to SDR first."
        )
    width, height = size or (clip.width, clip.height)
    deep = clip.bit_depth > 8
    alpha = clip.has_alpha if alpha is None else alpha
    wanted = count_frames(clip, start_frame, frame_count, frame_step, rate)
    shape = (height, width, 4 if alpha else 3)
    dtype = np.dtype(np.uint16 if deep else np.uint8)
    given = 0
    with Decoder(
        clip,
        [*_in_time(rate, frame_step), *_to_rgb(clip, width, height)],
        RGB[deep, alpha],
        start_frame=start_frame,
        frame_count=frame_count,
    ) as source:
        for batch in _batches(source, shape, dtype, wanted, batch_size, check):
            given += len(batch)
            yield batch
        if frame_count is None or given < frame_count:
            source.report_damage(wanted - given if not rate else 0)


def read_luma(
    clip: Clip | str | os.PathLike,
    *,
    size: tuple[int, int] | None = None,
    frames: range | None = None,
    batch_size: int = 16,
    check: Callable[[], None] | None = None,
) -> Iterator[np.ndarray]:
    """The clip's luma, as uint8 batches ``(n, height, width)``: 0 is black and 255 is white.

    It is the Y of the file's own coding, with its transfer curve, HDR (PQ, HLG) included. ``size``
    is ``(width, height)``; a picture that shrinks is averaged. ``frames`` of the clip are given,
    or all, each once. ``check()`` is called before each frame is decoded; what it raises ends the
    reading.

    A damaged clip gives what it holds and logs how many frames are missing. Raises `VideoError`
    for a clip that cannot be decoded, changes its size or has not these frames.
    """
    clip = as_clip(clip)
    frames = checked_frames(clip, frames)
    width, height = size or (clip.width, clip.height)
    deep = clip.has_luma and clip.bit_depth > 8
    levels = _full_range_levels(clip)
    given = 0
    with Decoder(
        clip,
        _to_gray(clip, width, height),
        f"gray{clip.bit_depth}le" if deep else "gray",
        start_frame=frames.start,
        frame_count=len(frames) if frames.stop < clip.frame_count else None,
    ) as source:
        dtype = np.dtype(np.uint16 if deep else np.uint8)
        for codes in _batches(source, (height, width), dtype, len(frames), batch_size, check):
            given += len(codes)
            yield levels[codes]
        source.report_damage(len(frames) - given)


def _batches(
    source: Decoder,
    shape: tuple[int, ...],
    dtype: np.dtype,
    wanted: int,
    batch_size: int,
    check: Callable[[], None] | None,
) -> Iterator[np.ndarray]:
    """Frames of ``shape`` in batches; ``wanted`` in all are expected. `VideoError` for none."""
    given, is_end = 0, False
    while not is_end:
        batch = np.empty((max(1, min(batch_size, wanted - given)), *shape), dtype)
        filled = 0
        for frame in batch:
            if check:
                check()
            if not source.read_into(frame.data.cast("B")):
                is_end = True
                break
            filled += 1
        given += filled
        if filled:
            yield batch[:filled]
    source.process.wait()
    if not given:
        cause = source.process.cause()
        raise VideoError(f"{source.clip.path}: no frame could be decoded ({cause}).")


def count_frames(
    clip: Clip,
    start_frame: int = 0,
    frame_count: int | None = None,
    frame_step: int = 1,
    rate: Fraction | float | None = None,
) -> int:
    """How many frames `read_frames` will give: exact but for ``rate`` and damage.

    Raises `VideoError` where the clip has no frame ``start_frame``.
    """
    if not 0 <= start_frame < clip.frame_count:
        raise VideoError(
            f"{clip.path}: start_frame is {start_frame}, but the clip has "
            f"{clip.frame_count} frames."
        )
    available = clip.frame_count - start_frame
    if rate:
        end = float(clip.start) + clip.duration
        available = round((end - float(clip.time_of(start_frame))) * float(rate))
    available = max(0, -(-available // frame_step))
    return available if frame_count is None else min(available, frame_count)


def _in_time(rate: Fraction | float | None, frame_step: int) -> list[str]:
    return [
        *((f"fps={ratio(exact_rate(rate))}",) if rate else ()),
        *((f"select='not(mod(n,{frame_step}))'",) if frame_step > 1 else ()),
    ]


def _to_rgb(clip: Clip, width: int, height: int) -> list[str]:
    if clip.bit_depth == 8 or not clip.has_luma:
        return [
            f"scale={width}:{height}:in_color_matrix={clip.color_matrix}"
            f":in_range={clip.color_range}:out_range=pc:{SCALER}"
        ]
    # swscale's RGB of 16 bits is half a level (of 8 bits) too dark, so zimg takes the matrix;
    # its own chroma scaling refuses odd sizes.
    depth = next(d for d in (10, 12, 14, 16) if d >= clip.bit_depth)
    return [
        f"scale={width}:{height}:in_range={clip.color_range}:out_range={clip.color_range}:{SCALER}",
        f"format=yuv{'a' if clip.has_alpha else ''}444p{depth}le",
        f"zscale=matrixin={clip.color_matrix}:matrix=gbr:rangein={clip.color_range}:range=pc",
        f"format=gbr{'a' if clip.has_alpha else ''}p16le",
    ]


def _to_gray(clip: Clip, width: int, height: int) -> list[str]:
    if clip.has_luma:  # swscale leaves the range of gray as it is
        return ["extractplanes=y", f"scale={width}:{height}:{SCALER}"]
    matrix = clip.color_matrix
    return [
        f"scale={width}:{height}:in_range={clip.color_range}:out_range=pc"
        f":in_color_matrix={matrix}:out_color_matrix={matrix}:{SCALER}",
        "format=yuv444p",
        "extractplanes=y",
    ]


def _full_range_levels(clip: Clip) -> np.ndarray:
    """The 8-bit level that each code of `_to_gray` stands for."""
    if not clip.has_luma:
        return np.arange(256, dtype=np.uint8)
    black, white = luma_levels(clip.bit_depth, clip.color_range == "pc")
    levels = (np.arange(1 << clip.bit_depth) - black) * (255 / (white - black))
    return levels.round().clip(0, 255).astype(np.uint8)
