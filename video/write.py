"""Frames into a clip."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..options import EncodeOptions
from .clip import matrix_for_size
from .decoder import SCALER
from .encoder import MAX_ASPECT_TERM, Encoder, color_tags, pixel_aspect
from .ffmpeg import VideoError
from .formats import Container, Format, exact_rate, find_format, ratio
from .hardware import format_of, with_encoder
from .matroska import block_header, header
from .read import RGB

log = logging.getLogger(__name__)

DEFAULT_ENCODE = EncodeOptions()
# For these counts ffmpeg's default layout is one that encoders refuse or reorder.
LAYOUTS = {3: "3.0", 4: "quad", 7: "6.1(back)"}


class FrameWriter:
    """Writes full-range RGB frames to a clip at a constant rate.

    ``path`` appears under its name only when the clip is whole: the context manager renames a
    temporary file at its clean exit and removes it after an exception. ``fps`` is exact as a
    `Fraction`; a float means the rates of television (29.97 is 30000/1001). ``encode`` says how
    the clip is stored; its ``bit_depth`` None is 8.

    Frames are uint8 for 8 bits and uint16 (0 to 65535) for more, with three channels or, with
    ``alpha``, four. ``audio`` is ``(samples, rate)`` with float ``(channels, count)``, cut at the
    end of the last frame. ``sample_aspect_ratio`` is the width of a pixel to its height, from
    1/65535 to 65535; a container may round it. ``check`` is called often, from the caller's
    thread; what it raises cancels the writing.

    Raises ``FileExistsError`` when ``path`` exists and is not to be overwritten, and `VideoError`
    when the format cannot hold what is asked or writing fails.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        fps: Fraction | float,
        encode: EncodeOptions = DEFAULT_ENCODE,
        *,
        alpha: bool = False,
        audio: tuple[np.ndarray, int] | None = None,
        sample_aspect_ratio: Fraction | int = 1,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._path = Path(path)
        container = find_format(encode.format).container(self._path)
        depth = encode.bit_depth or 8
        pix_fmt = find_format(encode.format).pix_fmt(depth, alpha, width, height)
        encode = with_encoder(encode, pix_fmt, width, height)
        entry = format_of(encode)
        matrix = matrix_for_size(width, height)
        filters = _picture_filters(entry, pix_fmt, depth, alpha, matrix, sample_aspect_ratio)
        self.frame_count = 0
        self._frame_shape = (height, width, 4 if alpha else 3)
        self._dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
        self._check = check
        self._fps = exact_rate(fps)
        if audio is not None and not entry.sound:
            log.warning("%s has no sound: %s is silent", entry.label, self._path)
            audio = None
        self._sound: tuple[np.ndarray, int] | None = None  # (count, channels), rate
        sound_options, sound_track = [], None
        if audio is not None:
            samples, rate = audio
            self._sound = np.ascontiguousarray(samples.T, dtype="<f4"), rate
            sound_options = _sound_options(container, self._path, len(samples))
            sound_track = len(samples), rate
        self._encoder = Encoder(
            self._path,
            encode,
            header(RGB[depth > 8, alpha], width, height, self._fps, sound_track),
            outputs=[
                *("-map", "0:v", "-fps_mode", "passthrough"),
                *("-enc_time_base:v", ratio(1 / self._fps)),
                *sound_options,
                *("-vf", filters),
                *entry.encoder_options(encode.quality, self._path.suffix.lower(), pix_fmt=pix_fmt),
            ],
            check=check,
        )

    def write(self, frames: np.ndarray) -> None:
        """Append ``frames``, ``(n, height, width, channels)``."""
        if frames.shape[1:] != self._frame_shape or frames.dtype != self._dtype:
            raise ValueError(
                f"Expected frames of {self._frame_shape} {self._dtype}, "
                f"got {frames.shape[1:]} {frames.dtype}."
            )
        for frame in np.ascontiguousarray(frames):
            if self._check:
                self._check()
            time = self.frame_count / self._fps
            self._encoder.write_picture(time, 1 / self._fps, frame)
            if self._sound is not None:
                self._write_sound(*self._sound, time)
            self.frame_count += 1

    def _write_sound(self, samples: np.ndarray, rate: int, time: Fraction) -> None:
        """The sound that belongs to the picture at ``time``."""
        begin, end = (round(t * rate) for t in (time, time + 1 / self._fps))
        piece = samples[begin:end]
        if len(piece):
            seconds = Fraction(begin, rate), Fraction(len(piece), rate)
            self._encoder.write(block_header(*seconds, piece.nbytes, track=2))
            self._encoder.write(piece.data.cast("B"))

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_) -> None:
        with self._encoder:
            if exception_type is None:
                if not self.frame_count:
                    raise VideoError(f"{self._path}: there are no frames to write.")
                self._encoder.finish()


def _picture_filters(
    entry: Format,
    pix_fmt: str,
    bit_depth: int,
    alpha: bool,
    matrix: str,
    sample_aspect_ratio: Fraction | int,
) -> str:
    """Filters from full-range RGB to what the encoder takes."""
    aspect = Fraction(sample_aspect_ratio)
    if not Fraction(1, MAX_ASPECT_TERM) <= aspect <= MAX_ASPECT_TERM:
        raise ValueError(
            f"sample_aspect_ratio is {aspect}; choose a ratio from 1/{MAX_ASPECT_TERM} to "
            f"{MAX_ASPECT_TERM}."
        )
    if entry.rgb:
        filters = [entry.filters or f"format={pix_fmt}"]
    else:
        tags = color_tags(matrix, "tv")
        filters = [*_from_rgb(matrix, bit_depth, alpha), f"format={pix_fmt}"]
        filters += [*entry.repacking(pix_fmt), tags]
    if aspect != 1:
        filters.append(pixel_aspect(aspect))
        if not entry.aspect:
            log.warning(
                "%s has no sample aspect ratio: pixels of %s become square", entry.label, aspect
            )
    return ",".join(filters)


def _from_rgb(matrix: str, bit_depth: int, alpha: bool) -> list[str]:
    """Filters from full-range RGB to YUV of ``matrix``; the way back of `read_frames`."""
    if bit_depth == 8:
        return [f"scale=in_range=pc:out_range=tv:out_color_matrix={matrix}:{SCALER}"]
    a = "a" if alpha else ""
    return [
        f"format=gbr{a}p16le",
        f"zscale=matrixin=gbr:matrix={matrix}:rangein=pc:range=tv",
        f"format=yuv{a}444p{bit_depth}le",
        f"scale={SCALER}",
    ]


def _sound_options(container: Container, path: Path, channels: int) -> list[str]:
    container.check_channels(path, channels)
    encoder, *settings = container.audio_fallback
    options = ["-map", "0:a", "-c:a", encoder, *settings]
    if layout := LAYOUTS.get(channels):
        order = "|".join(map(str, range(channels)))
        options += ["-af", f"channelmap={order}:{layout}"]
    return options
