"""Find out what a clip is.

imageio-ffmpeg brings no ffprobe, and what ``ffmpeg -i`` prints is made for people (29.97, no
exact fraction). Two of ffmpeg's parts speak to machines instead, and one run gives both:
``-c copy -f framecrc`` lists every packet with its time in the stream's own time base, and the
``showinfo`` filter tells, of the first frames, what the decoder really gives (size after rotation,
pixel format, colour tags, the exact frame rate). The container's duration and what the streams are
called and meant for come from the printed text.
"""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .clip import (
    AudioStream,
    Clip,
    Stream,
    SubtitleStream,
    bit_depth_of,
    has_alpha_plane,
    is_full_range,
    matrix_for_size,
)
from .ffmpeg import UNLISTED, FFmpeg, VideoError, input_file, input_pictures, versions
from .ffmpeg_log import ColorTags, FfmpegLog, ShownFrame
from .packets import NO_TIME, Packets, channel_count, read_packets
from .pictures import as_film, find_pictures, picture_script
from .tags import read_tags

log = logging.getLogger(__name__)

SAMPLE_FRAMES = 24  # looked at for the field order
LOGGED_BYTES = 250  # of a line of a tag; a few more, and the log leaves the rest out


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
    found = _look(path, "V:0", check)
    default = _default_video(found.printed)
    if default is not None and default != found.picture:
        found = _look(path, str(default), check)
    return _describe(path, found)


def probe_pictures(
    path: str | os.PathLike, fps: Fraction | float, check: Callable[[], None] | None = None
) -> Clip:
    """The clip of the pictures that ``path`` names, a folder or ``%05d.png``, at ``fps``.

    Raises `VideoError` when there are none, or of more than one kind.
    """
    pictures, missing = find_pictures(path)
    script = picture_script(pictures[:SAMPLE_FRAMES])
    folder = pictures[0].parent
    clip = _describe(folder, _look(folder, "V:0", check, script))
    return as_film(clip, pictures, fps, missing)


class _Findings(NamedTuple):
    """What ffmpeg said of a file: packets by their stream's index, and the first picture."""

    packets: dict[int, Packets]
    picture: int  # the index of its stream
    frame: ShownFrame
    printed: FfmpegLog
    damaged: bool


def _look(
    path: Path, picture: str, check: Callable[[], None] | None, script: bytes | None = None
) -> _Findings:
    """List all packets, and decode the first frames of the stream ``picture``.

    ``script`` lists pictures that are looked at in the place of ``path``.

    Raises `VideoError` when there is none.
    """
    printed = FfmpegLog()
    with FFmpeg(
        [
            *(input_file(path) if script is None else input_pictures()),
            *("-map", "0", "-ignore_unknown", "-c", "copy", "-f", "framecrc", "pipe:1"),
            *("-map", f"0:{picture}", "-frames:v", str(SAMPLE_FRAMES)),
            *("-vf", "showinfo=checksum=0,idet", "-f", "null", "-"),
        ],
        stdin=script is not None,
        stdout=True,
        log_level="info",
        on_line=printed.read,
    ) as process:
        if script is not None:
            with suppress(BrokenPipeError):  # it then says why
                process.write(script)
            process.close_stdin()
        listed = read_packets(process.read_lines(), check)
        process.wait()
        if UNLISTED in process.errors:
            raise VideoError(f"{path}: {UNLISTED}.")
        if not printed.opened and not listed:
            cause = process.cause()
            raise VideoError(f"{path}: not a video that ffmpeg can read ({cause}).")
        packets = {printed.mapped.get(number, number): of for number, of in listed.items()}
        index = int(picture) if picture.isdecimal() else _first_video(packets, printed.streams)
        if index is None:
            raise VideoError(f"{path}: the file has no video stream.")
        video = packets[index]
        if video.times and printed.frame is None and not process.errors:
            raise VideoError(
                f"{path}: what ffmpeg's log says of the frames is not understood ({versions()}); "
                "use the ffmpeg of the package imageio-ffmpeg."
            )
        if not video.times or printed.frame is None:
            raise VideoError(
                f"{path}: the video stream holds no frame that can be decoded ({process.cause()})."
            )
        return _Findings(packets, index, printed.frame, printed, bool(process.errors))


def _first_video(packets: Mapping[int, Packets], streams: Mapping[int, Stream]) -> int | None:
    """What ffmpeg's ``V:0`` is."""
    for index, stream in packets.items():
        pictured = index in streams and streams[index].is_picture
        if stream.media_type == "video" and not pictured:
            return index
    return None


def _default_video(printed: FfmpegLog) -> int | None:
    """The first film that is marked as the default, if one is."""
    for index, stream in sorted(printed.streams.items()):
        if stream.kind == "video" and "default" in stream.dispositions and not stream.is_picture:
            return index
    return None


def _describe(path: Path, found: _Findings) -> Clip:
    packets, frame, printed = found.packets, found.frame, found.printed
    video = packets[found.picture]
    corrupt = sum(of.corrupt for of in packets.values())
    if corrupt <= printed.jumps * len(packets):  # where two files were joined, nothing is lost
        corrupt = 0
    damaged = not printed.jumps and bool(found.damaged or corrupt)
    lost = 0
    # What was cut amid a group of pictures begins with some that need others before them. Where
    # times begin anew, or the decoder makes up its own, they cannot be told from the rest.
    earliest = printed.earliest
    if not printed.jumps and earliest is not None and earliest in video.times:
        lost = video.drop_before(earliest)
    timing = _timing(path, video, frame, printed)
    color = _color(path, frame, printed)
    field_order, interlaced = _fields(path, printed)
    carried = [of for of in packets.values() if of.media_type in ("video", "audio", "subtitle")]
    return Clip(
        path=path,
        width=frame.width,
        height=frame.height,
        fps=timing.fps,
        variable_rate=timing.variable_rate,
        frame_count=len(video.times),
        missing_frames=lost + _missing_frames(path, carried, video, timing, printed, damaged),
        corrupt_packets=corrupt,
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
            AudioStream(of.fact("codec_id"), channel_count(of.fact("channel_layout_name")))
            for of in carried
            if of.media_type == "audio"
        ),
        subtitles=tuple(
            SubtitleStream(of.fact("codec_id"), _cues(of))
            for of in carried
            if of.media_type == "subtitle"
        ),
        timed=timing.timed,
        jumps=bool(printed.jumps),
        container=printed.container,
        origin=printed.start,
        video=printed.streams.get(found.picture),
        others=tuple(
            stream
            for index, stream in sorted(printed.streams.items())
            if index != found.picture and stream.kind not in ("audio", "subtitle")
        ),
        tags=_tags(path, printed),
        times=timing.times,
        key_frames=_key_frames(video) if timing.timed else None,
    )


def _key_frames(video: Packets) -> np.ndarray | None:
    """The numbers of the frames that need no other; ``None`` where all are such."""
    if len(video.keys) == len(video.times):
        return None
    times, keys = (np.frombuffer(t, np.int64) for t in (video.times, video.keys))
    return np.searchsorted(np.sort(times), np.sort(keys))


def _tags(path: Path, printed: FfmpegLog) -> dict[str, str]:
    """The container's tags; they are read once more where the log has not all of them."""
    lines = (line for text in printed.tags.values() for line in text.split("\n"))
    if path.is_file() and any(len(line.encode()) >= LOGGED_BYTES for line in lines):
        with suppress(VideoError):
            return read_tags(path)
    return {name.lower(): text for name, text in printed.tags.items()}


def _cues(subtitles: Packets) -> np.ndarray:
    """When each subtitle begins and ends, in seconds; one of no length lasts to the next."""
    begin, end = (np.frombuffer(t, np.int64) for t in (subtitles.times, subtitles.ends))
    known = begin != NO_TIME
    begin, end = begin[known], end[known]
    following = np.append(begin[1:], np.iinfo(np.int64).max)
    end = np.where(end > begin, end, np.maximum(following, begin))
    return np.stack([begin, end], axis=1) * float(subtitles.time_base)


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
