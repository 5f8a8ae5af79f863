"""What a clip is.

imageio-ffmpeg brings no ffprobe, and what ``ffmpeg -i`` prints is made for people (29.97, no
exact fraction). Two of ffmpeg's parts speak to machines instead, and one run gives both:
``-c copy -f framecrc`` lists every packet with its time in the stream's own time base, and the
``showinfo`` filter tells, of the first frames, what the decoder really gives (size after rotation,
pixel format, colour tags, the exact frame rate). Only the container's duration, the rotation and
the language come from the printed text.
"""

import os
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from .ffmpeg import FFmpeg, VideoError, url

SAMPLE_FRAMES = 24  # looked at for the field order
NO_TIME = -1 << 63  # AV_NOPTS_VALUE
USUAL_RATES = [
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
]
DISCARD = 4  # AV_PKT_FLAG_DISCARD: outside the edit list, never shown

_DURATION = re.compile(r"^\s+Duration: (\d+):(\d+):([\d.]+), start: (-?[\d.]+)")
_INPUT_STREAM = re.compile(r"^\s+Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: (\w+): ")
_ROTATION = re.compile(r"rotation of (-?[\d.]+) degrees")
_CHAPTER = re.compile(r"^\s+Chapter #0:\d+: start (-?[\d.]+), end (-?[\d.]+)")
_RATE = re.compile(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
FRAME = re.compile(
    r" n:\s*\d+ pts:\s*(-?\d+|NOPTS) .*?duration:\s*(\d+) .*? fmt:(\w+)"
    r".*? sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)"
)
_COLOR = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_IDET = re.compile(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+)")
_LAYOUTS = {
    "mono": 1,
    "stereo": 2,
    "downmix": 2,
    "binaural": 2,
    "quad": 4,
    "hexagonal": 6,
    "octagonal": 8,
    "cube": 8,
    "hexadecagonal": 16,
}


@dataclass(frozen=True)
class AudioStream:
    """``start`` is its first packet's time in seconds; AAC may begin before 0. ``rate`` in Hz."""

    codec: str
    rate: int
    channels: int
    layout: str
    start: float
    language: str | None = None


@dataclass(frozen=True)
class SubtitleStream:
    codec: str
    language: str | None = None


@dataclass(frozen=True)
class Chapter:
    """Times in seconds from the container's start."""

    start: float
    end: float
    title: str = ""


@dataclass(frozen=True)
class Clip:
    """A video file's facts. Times count from the container's start.

    Sizes are as shown, rotation applied. ``frame_count`` is counted (packets of the stream), and
    ``missing_frames`` estimates what a truncated file has lost against its own header.
    ``fps`` is the exact constant rate, or the average when ``times`` is given: the frames' own
    times, in order, in units of ``time_base`` (None: frame i is at ``start + i / fps`` exactly).
    ``timed`` says that each packet bears its time, which raw streams and old AVI files lack.
    ``variable_rate`` says that the constant ``fps`` would show some frame more than half a frame
    away from its time.
    ``color_range`` is "tv" or "pc" and ``color_matrix`` ffmpeg's name of the YUV matrix, both
    resolved: what an untagged file leaves open follows its pixel format and its size (BT.709 from
    720 lines or 1280 columns up, else BT.601). ``color_primaries`` and ``color_trc`` are None
    when untagged. ``field_order`` is "tff" or "bff" where the frames themselves say that they are
    interlaced; ``interlaced`` is also true of unflagged frames that look so.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    variable_rate: bool
    frame_count: int
    missing_frames: int
    start: Fraction
    duration: float
    time_base: Fraction
    codec: str
    pix_fmt: str
    bit_depth: int
    has_alpha: bool
    color_range: str
    color_matrix: str
    color_primaries: str | None
    color_trc: str | None
    rotation: int
    sample_aspect_ratio: Fraction
    interlaced: bool
    field_order: str | None
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleStream, ...]
    chapters: tuple[Chapter, ...]
    timed: bool = True
    times: np.ndarray | None = field(default=None, repr=False, compare=False)

    def time_of(self, frame: int) -> Fraction:
        """When ``frame`` is shown, in seconds from the container's start."""
        if self.times is None:
            return self.start + frame / self.fps
        return int(self.times[frame]) * self.time_base

    def frame_at(self, seconds: float) -> int:
        """The first frame that is shown at ``seconds`` or later (`frame_count`: none)."""
        if self.times is not None:
            return int(np.searchsorted(self.times, seconds / float(self.time_base) - 0.5))
        position = (Fraction(seconds) - self.start) * self.fps
        # A time given as a float or in milliseconds may fall just behind its own frame.
        return min(max(-int((Fraction(1, 10) - position) // 1), 0), self.frame_count)

    def window(self, start: float = 0.0, duration: float | None = None) -> tuple[int, int]:
        """The first frame of so many seconds from ``start`` on, and the one after the last."""
        end = self.frame_count if duration is None else self.frame_at(start + duration)
        return self.frame_at(start), end

    @property
    def steady_rate(self) -> Fraction:
        """A constant rate that shows each frame near its own time and leaves none out.

        It is ``fps``, or of a clip with a variable rate that of its quickest frames.
        """
        if not self.variable_rate:
            return self.fps
        gaps = np.diff(self.times)
        quick = gaps[gaps <= 1.5 * np.quantile(gaps, 0.1)].mean()
        rate = Fraction(1 / float(quick * self.time_base)).limit_denominator(1001)
        usual = min(USUAL_RATES, key=lambda other: abs(other / rate - 1))
        return usual if abs(usual / rate - 1) < 0.01 else rate

    @property
    def is_hdr(self) -> bool:
        """Whether its light is coded as PQ or HLG."""
        return self.color_trc in ("smpte2084", "arib-std-b67")


def matrix_for_size(width: int, height: int) -> str:
    """The YUV matrix of an untagged picture: BT.709 for HD, else BT.601."""
    return "bt709" if height >= 720 or width >= 1280 else "smpte170m"


def bit_depth_of(pix_fmt: str) -> int:
    """Bits a component of an ffmpeg pixel format, such as 10 for yuv420p10le."""
    if re.search(r"^(?:rgb|bgr|rgba|bgra|ya)(?:16|48|64)(?:le|be)$|f(?:16|32)(?:le|be)$", pix_fmt):
        return 16
    planar = re.search(
        r"(?:p|gray|p0|x2rgb|x2bgr|xv3|xv4|y2)(9|10|12|14|16)(?:msb)?(?:le|be)?$", pix_fmt
    )
    return int(planar[1]) if planar else 8


def has_alpha_plane(pix_fmt: str) -> bool:
    return pix_fmt.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "pal8"))


def _channels(layout: str) -> int:
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    speakers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", layout)
    if speakers:
        return sum(int(number or 0) for number in speakers.groups())
    count = re.search(r"(\d+) channels|ambisonic (\d+)", layout)
    if not count:
        return 0
    return int(count[1]) if count[1] else (int(count[2]) + 1) ** 2


class _Packets:
    """The packet list of one stream, from framecrc."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.times = array("q")
        self.first: int | None = None
        self.end = 0

    @property
    def time_base(self) -> Fraction:
        return Fraction(self.facts["tb"])

    def add(self, pts: int, duration: int, flags: int) -> None:
        if flags & DISCARD:
            return
        if self.first is None:
            self.first = pts
        self.end = max(self.end, pts + duration)
        if self.facts["media_type"] == "video":
            self.times.append(pts)


def _read_packets(lines: Iterable[bytes], check: Callable[[], None] | None) -> list[_Packets]:
    streams: dict[int, _Packets] = defaultdict(_Packets)
    for line in lines:
        if check:
            check()
        if line.startswith(b"#"):
            key, _, value = line[1:].decode().strip().partition(": ")
            name, _, index = key.rpartition(" ")
            if name:
                streams[int(index)].facts[name] = value
        else:
            cells = line.split(b",")
            flags = int(cells[6].split(b"=")[1], 16) if len(cells) > 6 and b"F=" in cells[6] else 1
            streams[int(cells[0])].add(int(cells[2]), int(cells[3]), flags)
    return [streams[index] for index in sorted(streams)]


def probe(path: str | os.PathLike, check: Callable[[], None] | None = None) -> Clip:
    """The facts of the clip at ``path``: one pass over its packets, and its first frames decoded.

    ``check`` is called for every packet; what it raises ends the work.

    Raises `VideoError` when the file is missing, is no video, or holds no frame.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: there is no such file.")
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty.")
    log: list[str] = []
    with FFmpeg(
        [
            *("-protocol_whitelist", "file,pipe", "-i", url(path)),
            *("-map", "0:V:0", "-map", "0:a?", "-map", "0:s?", "-c", "copy"),
            *("-f", "framecrc", "pipe:1"),
            *("-map", "0:V:0", "-frames:v", str(SAMPLE_FRAMES)),
            *("-vf", "showinfo=checksum=0,idet", "-f", "null", "-"),
        ],
        stdout=True,
        log_level="info",
        on_line=log.append,
    ) as process:
        streams = _read_packets(process.read_lines(), check)
        process.wait()
        return _describe(path, streams, log, process)


def _describe(path: Path, streams: list[_Packets], log: list[str], process: FFmpeg) -> Clip:
    printed = _Printed(log)
    if not printed.streams:
        raise VideoError(f"{path}: not a video that ffmpeg can read ({process.cause()}).")
    video = next((s for s in streams if s.facts.get("media_type") == "video"), None)
    if video is None:
        raise VideoError(f"{path}: the file has no video stream.")
    if not video.times or printed.frame is None:
        raise VideoError(
            f"{path}: the video stream holds no frame that can be decoded ({process.cause()})."
        )

    frame = printed.frame
    width, height = int(frame[6]), int(frame[7])
    times = np.sort(np.frombuffer(video.times, np.int64))
    count = len(times)
    tick = video.time_base
    timed = times[0] != NO_TIME
    fps = _constant_rate(times, tick, printed.rate) if timed else printed.rate
    exact = fps is not None
    if exact:
        variable = False
        length = count / fps
    else:
        fps = ((count - 1) / (int(times[-1] - times[0]) * tick)).limit_denominator(1001)
        # Half a frame either way is what any constant rate costs.
        drift = times - np.arange(count) / float(fps * tick)
        variable = bool(np.ptp(drift) * float(fps * tick) > 1)
        length = (video.end - int(times[0])) * tick
    missing = 0
    start = int(times[0] if timed else frame[1].replace("NOPTS", "0")) * tick
    if timed:
        missing = printed.missing(streams, video, fps)
        if process.errors:  # else a hole is how the clip was made
            span = int(times[-1] - times[0]) * tick
            missing += max(0, round(span * printed.rate) + 1 - count)

    sar = Fraction(int(frame[4]) or 1, int(frame[5]) or 1)
    pix_fmt = frame[3]
    depth = bit_depth_of(pix_fmt)
    color = [None if tag in ("unknown", "reserved") else tag for tag in printed.color]
    full = re.match(r"yuvj|gray|rgb|bgr|gbr|argb|abgr|ya|pal|0rgb|x2", pix_fmt)
    return Clip(
        path=path,
        width=width,
        height=height,
        fps=fps,
        variable_rate=variable,
        frame_count=count,
        missing_frames=missing,
        start=start,
        duration=float(length),
        time_base=video.time_base,
        codec=video.facts["codec_id"],
        pix_fmt=pix_fmt,
        bit_depth=depth,
        has_alpha=has_alpha_plane(pix_fmt) or printed.alpha_mode,
        color_range=color[0] or ("pc" if full else "tv"),
        color_matrix=(
            color[1] if color[1] not in (None, "gbr") else matrix_for_size(width, height)
        ),
        color_primaries=color[2],
        color_trc=color[3],
        rotation=printed.rotation,
        sample_aspect_ratio=sar,
        interlaced=printed.interlaced,
        field_order=printed.field_order,
        audio=tuple(
            AudioStream(
                codec=stream.facts["codec_id"],
                rate=int(stream.facts["sample_rate"]),
                channels=_channels(stream.facts["channel_layout_name"]),
                layout=stream.facts["channel_layout_name"],
                start=float((stream.first or 0) * stream.time_base),
                language=language,
            )
            for stream, language in zip(
                (s for s in streams if s.facts.get("media_type") == "audio"),
                printed.languages("Audio"),
                strict=False,
            )
        ),
        subtitles=tuple(
            SubtitleStream(codec=stream.facts["codec_id"], language=language)
            for stream, language in zip(
                (s for s in streams if s.facts.get("media_type") == "subtitle"),
                printed.languages("Subtitle"),
                strict=False,
            )
        ),
        chapters=tuple(printed.chapters),
        timed=bool(timed),
        times=None if exact else times,
    )


def _constant_rate(times: np.ndarray, tick: Fraction, nominal: Fraction) -> Fraction | None:
    """The rate whose grid every frame is on, to the time base's own rounding."""
    # Containers that count in ms or ns can only come near to the rates of television.
    for rate in (Fraction(round(nominal)), Fraction(round(nominal * 1001 / 1000) * 1000, 1001)):
        if rate and abs(nominal / rate - 1) < 2e-6:
            nominal = rate
    ideal = np.arange(len(times)) / float(nominal * tick)
    return nominal if np.abs(times - times[0] - ideal).max() <= 1.01 else None


class _Printed:
    """What the log of `probe` says."""

    def __init__(self, log: list[str]) -> None:
        self.streams: list[tuple[str, str | None]] = []
        self.chapters: list[Chapter] = []
        self.rotation = 0
        self.alpha_mode = False
        self.duration: float | None = None
        self.rate = Fraction(25)
        self.frame: re.Match | None = None
        self.color: tuple[str, ...] = ("unknown",) * 4
        fields = {"P": 0, "T": 0, "B": 0}
        idet = (0, 0, 0)
        in_input = estimated = False
        for line in log:
            text = re.sub(r"^(\[[^\]]*\] )*", "", line)
            if text.startswith(("Input #", "Output #", "Stream mapping")):
                in_input = text.startswith("Input #")
            elif in_input:
                self._read_input(text)
            elif rate := _RATE.search(line):
                if self.frame is None and int(rate[3]) and int(rate[4]):
                    self.rate = Fraction(int(rate[3]), int(rate[4]))
            elif frame := FRAME.search(line):
                self.frame = self.frame or frame
                fields[frame[8]] += 1
            elif (color := _COLOR.search(line)) and sum(fields.values()) == 1:
                self.color = color.groups()
            elif detected := _IDET.search(line):
                idet = tuple(map(int, detected.groups()))
            elif "Estimating duration from bitrate" in line:
                estimated = True
        if estimated:
            self.duration = None
        top, bottom, progressive = idet
        combed = max(top, bottom)
        usual = max(fields, key=fields.get)
        self.field_order = {"T": "tff", "B": "bff"}.get(usual)
        self.interlaced = self.field_order is not None or (
            combed >= SAMPLE_FRAMES // 2 and combed > 3 * (min(top, bottom) + progressive)
        )

    def _read_input(self, text: str) -> None:
        if duration := _DURATION.match(text):
            hours, minutes, seconds, _ = map(float, duration.groups())
            self.duration = hours * 3600 + minutes * 60 + seconds
        elif stream := _INPUT_STREAM.match(text):
            self.streams.append((stream[3], stream[2]))
        elif chapter := _CHAPTER.match(text):
            self.chapters.append(Chapter(float(chapter[1]), float(chapter[2])))
        elif rotation := _ROTATION.search(text):
            self.rotation = round(-float(rotation[1])) % 360
        elif re.match(r"\s+alpha_mode\s+: 1", text, re.IGNORECASE):
            self.alpha_mode = True
        elif (
            self.chapters
            and not self.chapters[-1].title
            and not self.streams
            and (title := re.match(r"\s+title\s+: (.*)", text))
        ):
            self.chapters[-1] = Chapter(self.chapters[-1].start, self.chapters[-1].end, title[1])

    def languages(self, kind: str) -> list[str | None]:
        return [None if tag == "und" else tag for name, tag in self.streams if name == kind]

    def missing(self, streams: list[_Packets], video: _Packets, fps: Fraction) -> int:
        """Frames that the header promises beyond the end of every stream."""
        if self.duration is None:
            return 0
        end = max(float(stream.end * stream.time_base) for stream in streams if stream.facts)
        # Headers round, and may count from another zero: less than this is no loss.
        if self.duration - end < max(0.15, 3 / float(fps)):
            return 0
        return round((self.duration - float(video.end * video.time_base)) * float(fps))
