"""What a clip is: the facts that `probe` finds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from .ffmpeg import VideoError

USUAL_RATES = [
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
]


@dataclass(frozen=True)
class AudioStream:
    """``codec`` is ffmpeg's name of it."""

    codec: str
    channels: int


@dataclass(frozen=True)
class SubtitleStream:
    """``codec`` is ffmpeg's name of it.

    ``cues`` are the seconds at which each begins and ends, ``(count, 2)``, counted as the clip's
    times; one that ends with the next has no end of its own and lasts to there.
    """

    codec: str
    cues: np.ndarray = field(default_factory=lambda: np.empty((0, 2)), repr=False, compare=False)


@dataclass(frozen=True)
class Stream:
    """A stream as the log names it: ``index`` in the file, ``kind`` such as "video" or "data".

    ``four_cc``: the container's own name of the codec, or "". ``tags`` include the language.
    """

    index: int
    kind: str
    codec: str
    four_cc: str = ""
    dispositions: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def tag(self, name: str) -> str | None:
        """The tag of that name, whatever its case."""
        return next((self.tags[key] for key in self.tags if key.lower() == name), None)

    @property
    def is_picture(self) -> bool:
        """Whether it is one picture (cover art, thumbnails) rather than film."""
        return bool({"attached_pic", "timed_thumbnails"} & set(self.dispositions))


@dataclass(frozen=True)
class Clip:
    """A video file's facts. Times count from the container's start.

    Sizes are as shown, rotation applied. ``frame_count`` is counted (packets of the stream, from
    the first picture that can be decoded), and ``missing_frames`` estimates what a truncated file
    has lost against its own header; ``corrupt_packets`` (of all streams) are those whose container
    says that parts are lost.
    ``fps`` is the exact constant rate, or the average when ``times`` is given: the frames' own
    times, in order, in units of ``time_base`` (None: frame i is at ``start + i / fps`` exactly).
    ``timed`` says that each packet bears its time, which raw streams and old AVI files lack;
    ``jumps`` that times begin anew in the midst of the file. ``container`` has ffmpeg's names
    of it, and ``origin`` is its start on the file's own clock, in seconds.
    ``variable_rate`` says that the constant ``fps`` would show some frame more than half a frame
    away from its time.
    ``color_range`` is "tv" or "pc" and ``color_matrix`` ffmpeg's name of the YUV matrix, both
    resolved: what an untagged file leaves open follows its pixel format and its size (BT.709 from
    720 lines or 1280 columns up, else BT.601). ``color_primaries`` and ``color_trc`` are None
    when untagged. ``field_order`` is "tff" or "bff" where the frames themselves say that they are
    interlaced; ``interlaced`` is also true of unflagged frames that look so. ``video`` is the
    stream of the picture, ``others`` are all those that are neither it nor sound nor subtitles,
    and ``tags`` are the container's, by their names in lower case. ``pictures`` are the files of a
    clip that is a folder of them, one a frame. ``key_frames`` are those coded by themselves (None:
    all are, or it is not known).
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
    sample_aspect_ratio: Fraction
    interlaced: bool
    field_order: str | None
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleStream, ...]
    corrupt_packets: int = 0
    timed: bool = True
    jumps: bool = False
    container: str = ""
    origin: Fraction = Fraction(0)
    video: Stream | None = field(default=None, compare=False)
    others: tuple[Stream, ...] = field(default=(), repr=False, compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    pictures: tuple[Path, ...] = field(default=(), repr=False, compare=False)
    times: np.ndarray | None = field(default=None, repr=False, compare=False)
    key_frames: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def picture(self) -> str:
        """The stream of the picture as ffmpeg's ``-map`` takes it."""
        return "V:0" if self.video is None else str(self.video.index)

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
        # A time given as a float or in milliseconds may fall just after its own frame's.
        return min(max(-int((Fraction(1, 10) - position) // 1), 0), self.frame_count)

    def frames(self, start: float = 0.0, duration: float | None = None) -> range:
        """The frames of ``duration`` seconds (None: of all) from ``start`` seconds on.

        Both count from the container's start. Raises `VideoError` when no frame lies there.
        """
        end = self.frame_count if duration is None else self.frame_at(start + duration)
        frames = range(self.frame_at(start), end)
        if not frames:
            within = "" if duration is None else f"in the {duration:g} s "
            raise VideoError(
                f"{self.path}: no frame lies {within}from {start:g} s on; "
                f"the clip lasts {self.duration:g} s."
            )
        return frames

    def seek_before(self, seconds: Fraction) -> Fraction:
        """From where to read so that no sound of ``seconds`` and later is passed over.

        ffmpeg seeks by the index of most containers. In MPEG-TS it looks for the picture's packets,
        and in program streams it often lands too late, so they are read from their beginning.
        """
        if self.container.startswith("mpeg") and not self.container.startswith("mpegts"):
            return Fraction(0)
        return max(Fraction(0), seconds - 2) if self.container == "mpegts" else seconds

    @property
    def constant_rate(self) -> Fraction:
        """A constant rate that shows each frame near its own time and leaves none out.

        It is ``fps``, or of a clip with a variable rate that of its quickest frames.
        """
        if self.times is None or not self.variable_rate:
            return self.fps
        gaps = np.diff(self.times)
        quick = gaps[gaps <= 1.5 * np.quantile(gaps, 0.1)].mean()
        rate = Fraction(1 / float(quick * self.time_base)).limit_denominator(1001)
        usual = min(USUAL_RATES, key=lambda other: abs(other / rate - 1))
        return usual if abs(usual / rate - 1) < 0.01 else rate

    @property
    def has_luma(self) -> bool:
        """Whether the decoder gives a Y plane that can be taken as it is."""
        return re.match(r"yuv|gray", self.pix_fmt) is not None

    @property
    def is_hdr(self) -> bool:
        """Whether its light is coded as PQ or HLG."""
        return self.color_trc in ("smpte2084", "arib-std-b67")


def checked_frames(clip: Clip, frames: range | None) -> range:
    """``frames`` of ``clip``, or all of them for None.

    Raises `VideoError` when it has not all of these, and ``ValueError`` for a step other than 1.
    """
    if frames is None:
        return range(clip.frame_count)
    if frames.step != 1:
        raise ValueError(f"Frames are taken one after the other, not in steps of {frames.step}.")
    if not frames or frames.start < 0 or frames.stop > clip.frame_count:
        raise VideoError(
            f"{clip.path}: frames {frames.start} to {frames.stop} (exclusive) are wanted, but the "
            f"clip has {clip.frame_count} frames."
        )
    return frames


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
    """Whether an ffmpeg pixel format has alpha."""
    return pix_fmt.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "pal8"))


def is_full_range(pix_fmt: str) -> bool:
    """Whether untagged pictures of an ffmpeg pixel format use all codes."""
    full = r"yuvj|gray|rgb|bgr|gbr|argb|abgr|ya|pal|0rgb|x2"
    return re.match(full, pix_fmt) is not None
