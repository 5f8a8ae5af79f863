"""Find out what a clip is.

imageio-ffmpeg brings no ffprobe, and what ``ffmpeg -i`` prints is made for people (29.97, no
exact fraction). Two of ffmpeg's parts speak to machines instead, and one run gives both:
``-c copy -f framecrc`` lists every packet with its time in the stream's own time base, and the
``showinfo`` filter tells, of the first frames, what the decoder really gives (size after rotation,
pixel format, colour tags, the exact frame rate). Only the container's duration and hidden alpha
come from the printed text.
"""

import logging
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .clip import (
    AudioStream,
    Clip,
    SubtitleStream,
    bit_depth_of,
    has_alpha_plane,
    is_full_range,
    matrix_for_size,
)
from .ffmpeg import UNLISTED, FFmpeg, VideoError, input_file, versions
from .ffmpeg_log import ColorTags, FfmpegLog, ShownFrame
from .packets import NO_TIME, Packets, channel_count, read_packets

log = logging.getLogger(__name__)

SAMPLE_FRAMES = 24  # looked at for the field order


def as_clip(clip: Clip | str | os.PathLike) -> Clip:
    """``clip``, probed if it is a path."""
    return clip if isinstance(clip, Clip) else probe(clip)


def probe(path: str | os.PathLike, check: Callable[[], None] | None = None) -> Clip:
    """The facts of the clip at ``path``: one pass over its packets, and its first frames decoded.

    ``check`` is called for every packet; what it raises ends the work. What ffmpeg does not say in
    the words that are known is assumed, and a warning names it.

    Raises `VideoError` when the file is missing, is no video, or holds no frame.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: there is no such file.")
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty.")
    printed = FfmpegLog()
    with FFmpeg(
        [
            *input_file(path),
            *("-map", "0:V:0", "-map", "0:a?", "-map", "0:s?", "-c", "copy"),
            *("-f", "framecrc", "pipe:1"),
            *("-map", "0:V:0", "-frames:v", str(SAMPLE_FRAMES)),
            *("-vf", "showinfo=checksum=0,idet", "-f", "null", "-"),
        ],
        stdout=True,
        log_level="info",
        on_line=printed.read,
    ) as process:
        streams = read_packets(process.read_lines(), check)
        process.wait()
        video, frame = _video_stream(path, streams, printed, process)
        return _describe(path, streams, video, frame, printed, damaged=bool(process.errors))


def _video_stream(
    path: Path, streams: list[Packets], printed: FfmpegLog, process: FFmpeg
) -> tuple[Packets, ShownFrame]:
    """The packets of the picture and its first frame; `VideoError` when there is none."""
    if UNLISTED in process.errors:
        raise VideoError(f"{path}: {UNLISTED}.")
    if not printed.opened and not streams:
        raise VideoError(f"{path}: not a video that ffmpeg can read ({process.cause()}).")
    video = next((stream for stream in streams if stream.media_type == "video"), None)
    if video is None:
        raise VideoError(f"{path}: the file has no video stream.")
    if video.times and printed.frame is None and not process.errors:
        raise VideoError(
            f"{path}: what ffmpeg's log says of the frames is not understood ({versions()}); "
            "use the ffmpeg of the package imageio-ffmpeg."
        )
    if not video.times or printed.frame is None:
        raise VideoError(
            f"{path}: the video stream holds no frame that can be decoded ({process.cause()})."
        )
    return video, printed.frame


def _describe(
    path: Path,
    streams: list[Packets],
    video: Packets,
    frame: ShownFrame,
    printed: FfmpegLog,
    damaged: bool,
) -> Clip:
    timing = _timing(path, video, frame, printed)
    color = _color(path, frame, printed)
    field_order, interlaced = _fields(path, printed)
    return Clip(
        path=path,
        width=frame.width,
        height=frame.height,
        fps=timing.fps,
        variable_rate=timing.variable_rate,
        frame_count=len(video.times),
        missing_frames=_missing_frames(path, streams, video, timing, printed, damaged),
        start=timing.start,
        duration=float(timing.duration),
        time_base=video.time_base,
        codec=video.fact("codec_id"),
        pix_fmt=frame.pix_fmt,
        bit_depth=bit_depth_of(frame.pix_fmt),
        has_alpha=has_alpha_plane(frame.pix_fmt) or printed.alpha_mode,
        color_range=color.range or ("pc" if is_full_range(frame.pix_fmt) else "tv"),
        color_matrix=(
            color.matrix
            if color.matrix not in (None, "gbr")
            else matrix_for_size(frame.width, frame.height)
        ),
        color_primaries=color.primaries,
        color_trc=color.trc,
        sample_aspect_ratio=frame.sample_aspect_ratio,
        interlaced=interlaced,
        field_order=field_order,
        audio=tuple(
            AudioStream(stream.fact("codec_id"), channel_count(stream.fact("channel_layout_name")))
            for stream in streams
            if stream.media_type == "audio"
        ),
        subtitles=tuple(
            SubtitleStream(stream.fact("codec_id"))
            for stream in streams
            if stream.media_type == "subtitle"
        ),
        timed=timing.timed,
        times=timing.times,
    )


class _Timing(NamedTuple):
    """When a clip's frames are shown; the names are those of `Clip`."""

    nominal: Fraction  # frames a second, as the container gives it
    fps: Fraction
    variable_rate: bool
    start: Fraction
    duration: Fraction
    timed: bool
    times: np.ndarray | None


def _timing(path: Path, video: Packets, frame: ShownFrame, printed: FfmpegLog) -> _Timing:
    times, tick = np.sort(np.frombuffer(video.times, np.int64)), video.time_base
    count, span = len(times), (int(times[-1]) - int(times[0])) * tick
    timed = bool(times[0] != NO_TIME)
    average = ((count - 1) / span).limit_denominator(1001) if timed and span else Fraction(25)
    nominal = printed.rate
    if nominal is None:
        nominal = average
        _warn_assumed(path, "frame rate", f"{float(nominal):.6g} frames a second")
    fps = _grid_rate(times, tick, nominal) if timed else nominal
    if fps is not None:
        start = int(times[0] if timed else frame.pts or 0) * tick
        return _Timing(nominal, fps, False, start, count / fps, timed, None)
    # Half a frame either way is what any constant rate costs.
    drift = times - np.arange(count) / float(average * tick)
    variable = bool(np.ptp(drift) * float(average * tick) > 1)
    length = (video.end - int(times[0])) * tick
    return _Timing(nominal, average, variable, int(times[0]) * tick, length, timed, times)


def _grid_rate(times: np.ndarray, tick: Fraction, nominal: Fraction) -> Fraction | None:
    """The rate whose grid every frame is on, to the time base's own rounding."""
    # Containers that count in ms or ns can only come near to the rates of television.
    for rate in (Fraction(round(nominal)), Fraction(round(nominal * 1001 / 1000) * 1000, 1001)):
        if rate and abs(nominal / rate - 1) < 2e-6:
            nominal = rate
    ideal = np.arange(len(times)) / float(nominal * tick)
    return nominal if np.abs(times - times[0] - ideal).max() <= 1.01 else None


def _missing_frames(
    path: Path,
    streams: list[Packets],
    video: Packets,
    timing: _Timing,
    printed: FfmpegLog,
    damaged: bool,
) -> int:
    """Frames that the header promises after the end of every stream, and holes between frames."""
    if not timing.timed:
        return 0
    missing = 0
    if not printed.duration_told:
        _warn_assumed(path, "duration", "that the file is complete")
    if printed.duration is not None:
        ends = [float(stream.end * stream.time_base) for stream in streams if stream.facts]
        # Headers round, and may count from another zero: less than this is no loss.
        if printed.duration - max(ends) >= max(0.15, 3 / float(timing.fps)):
            lost = printed.duration - float(video.end * video.time_base)
            missing += round(lost * float(timing.fps))
    if damaged:  # else a hole is how the clip was made
        span = (max(video.times) - min(video.times)) * video.time_base
        missing += max(0, round(span * timing.nominal) + 1 - len(video.times))
    return missing


def _color(path: Path, frame: ShownFrame, printed: FfmpegLog) -> ColorTags:
    if printed.color is None:
        matrix = matrix_for_size(frame.width, frame.height)
        _warn_assumed(path, "colour tags", f"{matrix}, SDR")
        return ColorTags()
    return printed.color


def _fields(path: Path, printed: FfmpegLog) -> tuple[str | None, bool]:
    """The field order that most frames are marked with, and whether they are interlaced."""
    marked = max("PTB", key=lambda field: printed.flagged[field])
    order = {"T": "tff", "B": "bff"}.get(marked)
    if printed.fields is None:
        _warn_assumed(path, "count of interlaced frames", order or "progressive")
        return order, order is not None
    top, bottom, progressive = printed.fields
    combed = max(top, bottom)
    looks_interlaced = combed >= SAMPLE_FRAMES // 2 and combed > 3 * (
        min(top, bottom) + progressive
    )
    return order, order is not None or looks_interlaced


def _warn_assumed(path: Path, fact: str, assumed: str) -> None:
    log.warning("%s: ffmpeg's log has no %s; assumed: %s (%s)", path, fact, assumed, versions())
