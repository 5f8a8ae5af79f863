"""Frames and sound out of a clip."""

import logging
import os
import queue
import re
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from .ffmpeg import FFmpeg, VideoError, url
from .formats import exact_rate, ratio
from .probe import FRAME, Clip, probe

log = logging.getLogger(__name__)

# The raw pixel formats of frames, by (deep, alpha).
RGB = {
    (False, False): "rgb24",
    (False, True): "rgba",
    (True, False): "rgb48le",
    (True, True): "rgba64le",
}

# What keeps the levels: with swscale's defaults RGB comes out up to a level darker.
SCALER = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


def as_clip(clip: Clip | str | os.PathLike) -> Clip:
    return clip if isinstance(clip, Clip) else probe(clip)


class Decoder:
    """Raw pictures of a clip, one after the other, each with its time.

    ``filters`` make what ``pix_fmt`` promises. Reading raises `VideoError` when the clip's size
    changes or decoding breaks off. Frames before ``start_frame`` are passed over by a
    seek; it is checked against the clip's times and replaced by decoding from the beginning where
    the container seeks badly.
    """

    def __init__(
        self,
        clip: Clip,
        filters: Sequence[str],
        pix_fmt: str,
        *,
        start_frame: int = 0,
        frame_count: int | None = None,
    ) -> None:
        self.clip = clip
        self._filters = filters
        self._output = [
            *("-fps_mode", "passthrough"),
            *(("-frames:v", str(frame_count)) if frame_count is not None else ()),
            *("-f", "rawvideo", "-pix_fmt", pix_fmt),
            *("-thread_queue_size", "1", "pipe:1"),  # raw pictures are large, the pipe holds some
        ]
        self._start_frame = start_frame
        self._open(seek=start_frame > 0 and clip.timed)
        if start_frame and clip.timed and not self._has_arrived():
            self.close()
            self._open(seek=False)

    def _open(self, seek: bool) -> None:
        self._times: queue.SimpleQueue = queue.SimpleQueue()
        self._pending = None
        self._size = self.clip.width, self.clip.height
        filters = ["showinfo=checksum=0", *self._filters]
        if self._start_frame and not seek:
            filters.insert(0, f"select='gte(n,{self._start_frame})'")
        # ffmpeg's own VP8 and VP9 decoders drop the alpha plane.
        vpx = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(self.clip.codec)
        self.process = FFmpeg(
            [
                *("-protocol_whitelist", "file,pipe", "-copyts", "-start_at_zero"),
                *(("-ss", f"{float(self._seek_time()):.6f}") if seek else ()),
                *(("-c:v", vpx) if vpx and self.clip.has_alpha else ()),
                *("-i", url(self.clip.path), "-map", "0:V:0", "-vf", ",".join(filters)),
                *self._output,
            ],
            stdout=True,
            log_level="info",
            on_line=self._on_line,
            on_end=lambda: self._times.put(None),
        )

    def _seek_time(self) -> Fraction:
        """Between the first frame and the one before it, as far from both as can be."""
        return (self.clip.time_of(self._start_frame - 1) + self.clip.time_of(self._start_frame)) / 2

    def _has_arrived(self) -> bool:
        self._pending = self._next_time()
        if self._pending is None or self._pending[0] is None:
            return False
        off = self._pending[0] * self.clip.time_base - self.clip.time_of(self._start_frame)
        return abs(off) < self.clip.time_of(self._start_frame) - self._seek_time()

    def _on_line(self, line: str) -> None:
        if "showinfo" in line and (frame := FRAME.search(line)):
            self._size = int(frame[6]), int(frame[7])
            self._times.put((None if frame[1] == "NOPTS" else int(frame[1]), int(frame[2])))

    def _next_time(self) -> tuple[int | None, int] | None:
        pending, self._pending = self._pending, None
        return pending or self._times.get()

    def read_into(self, view: memoryview) -> bool:
        """Fill ``view`` with the next picture; False at the end of the clip."""
        filled = self.process.read_into(view)
        if filled < len(view) and (self.process.wait() < 0 or filled):
            raise VideoError(f"{self.clip.path}: decoding broke off ({self.process.cause()}).")
        self._check_size()
        return filled > 0

    def read_time(self) -> tuple[int | None, int]:
        """The time (None: unknown) and duration of the picture read last, in ``time_base``.

        Only where ``filters`` keep the number of pictures.
        """
        time = self._next_time()
        self._check_size()
        return time

    def _check_size(self) -> None:
        width, height = self._size
        if self._size != (self.clip.width, self.clip.height):
            raise VideoError(
                f"{self.clip.path}: the picture changes its size from {self.clip.width}x"
                f"{self.clip.height} to {width}x{height} in the middle of the clip; split it "
                f"there, or bring it to one size."
            )

    def close(self) -> None:
        self.process.__exit__()

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_) -> None:
        self.close()


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
) -> Iterator[np.ndarray]:
    """The clip's frames in order, as ``(n, height, width, channels)`` batches of full-range RGB.

    8-bit clips give uint8, deeper ones uint16 (0 to 65535); there are four channels with
    ``alpha`` (None: when the clip has it), else three.
    Each batch is memory of its own, which the caller may keep or write into.

    ``rate`` resamples by time to a constant rate: what a variable-rate clip needs to stay with its
    sound, as every frame comes once when it is None. ``start_frame`` counts frames of the clip;
    ``frame_step`` (every nth) and ``frame_count`` count after ``rate``. ``size`` is
    ``(width, height)``.

    A damaged clip gives what it holds and logs how many frames are missing. Raises `VideoError`
    for a clip that cannot be decoded, is HDR, or changes its size.
    """
    clip = as_clip(clip)
    if clip.is_hdr:
        raise VideoError(
            f"{clip.path}: the clip is HDR ({clip.color_trc}), which RGB frames cannot"
            f" carry; Colorize Video keeps HDR, or convert the clip to SDR first."
        )
    if not 0 <= start_frame < clip.frame_count:
        raise VideoError(
            f"{clip.path}: start_frame is {start_frame}, but the clip has "
            f"{clip.frame_count} frames."
        )
    width, height = size or (clip.width, clip.height)
    deep = clip.bit_depth > 8
    alpha = clip.has_alpha if alpha is None else alpha
    filters = [
        *((f"fps={ratio(exact_rate(rate))}",) if rate else ()),
        *((f"select='not(mod(n,{frame_step}))'",) if frame_step > 1 else ()),
        *_to_rgb(clip, width, height),
    ]
    wanted = count_frames(clip, start_frame, frame_count, frame_step, rate)
    shape = (height, width, 4 if alpha else 3)
    given = 0
    trim = {"start_frame": start_frame, "frame_count": frame_count}
    with Decoder(clip, filters, RGB[deep, alpha], **trim) as source:
        while True:
            batch = np.empty(
                (max(1, min(batch_size, wanted - given)), *shape), np.uint16 if deep else np.uint8
            )
            filled = 0
            while filled < len(batch) and source.read_into(batch[filled].data.cast("B")):
                filled += 1
            given += filled
            if filled:
                yield batch[:filled]
            if filled < len(batch):
                break
        source.process.wait()
        cause = source.process.cause()
    if not given:
        raise VideoError(f"{clip.path}: no frame could be decoded ({cause}).")
    if frame_count is None or given < frame_count:
        warn_missing(clip, wanted - given if not rate else 0)


def count_frames(
    clip: Clip,
    start_frame: int = 0,
    frame_count: int | None = None,
    frame_step: int = 1,
    rate: Fraction | float | None = None,
) -> int:
    """How many frames `read_frames` will give: exact but for ``rate`` and damage."""
    available = clip.frame_count - start_frame
    if rate:
        end = float(clip.start) + clip.duration
        available = round((end - float(clip.time_of(start_frame))) * float(rate))
    available = max(0, -(-available // frame_step))
    return available if frame_count is None else min(available, frame_count)


def _to_rgb(clip: Clip, width: int, height: int) -> list[str]:
    if clip.bit_depth == 8 or not has_luma(clip):
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


def has_luma(clip: Clip) -> bool:
    """Whether the decoder gives a Y plane that can be taken as it is."""
    return re.match(r"yuv|gray", clip.pix_fmt) is not None


def warn_missing(clip: Clip, undecoded: int) -> None:
    """Log how many frames a damaged clip did not give."""
    missing = clip.missing_frames + max(0, undecoded)
    if missing:
        log.warning("%s is damaged or cut off: %d frames are missing", clip.path, missing)


def read_audio(
    clip: Clip | str | os.PathLike,
    start: float = 0.0,
    duration: float | None = None,
    *,
    stream: int = 0,
) -> tuple[np.ndarray, int] | None:
    """The sound from ``start`` seconds after the first frame on: ``(samples, rate)``.

    ``samples`` is float32 ``(channels, count)`` in [-1, 1]. A stream that begins late or has gaps
    is filled with silence, so sample 0 belongs to ``start``. None when the clip has no sound.
    """
    clip = as_clip(clip)
    if not clip.audio:
        return None
    begin = float(clip.start) + start
    with FFmpeg(
        [
            *("-protocol_whitelist", "file,pipe"),
            *(("-ss", f"{begin:.6f}") if begin else ()),
            *("-i", url(clip.path), "-map", f"0:a:{stream}"),
            *("-af", "aresample=async=1:first_pts=0"),
            *(("-t", f"{duration:.6f}") if duration is not None else ()),
            *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
        ],
        stdout=True,
    ) as process:
        data = process.read_all()
        process.wait()
        cause = process.cause()
    # Sun's .au: the one container with a header of fixed fields and no length to come back for.
    if len(data) < 24:
        raise VideoError(f"{clip.path}: the sound could not be decoded ({cause}).")
    offset, _, _, rate, channels = struct.unpack_from(">5I", data, 4)
    samples = np.frombuffer(data, ">f4", offset=offset, count=(len(data) - offset) // 4)
    frames = samples[: len(samples) // channels * channels].reshape(-1, channels)
    return np.ascontiguousarray(frames.T, dtype=np.float32), rate
