"""What ffmpeg's log says of a clip. It is made for people: each pattern may miss in a new ffmpeg.

So nothing here has a default: what the log did not say is None, and `probe` says what it assumes.
"""

import re
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from .clip import Stream

_CONTEXT = re.compile(r"^(\[[^\]]*\] )*")  # "[Parsed_showinfo_0 @ 0x5581] [info] "
_INPUT = re.compile(r"^Input #0, (.*), from '")
_SECTIONS = ("Input #", "Output #", "Stream mapping")
_DURATION = re.compile(r"^\s+Duration: (?:N/A|(\d+):(\d+):([\d.]+))(?:, start: (-?[\d.]+))?")
_STREAM = re.compile(r"^(\s+)Stream #0:(\d+)(?:\[0x\w+\])?(?:\((\w+)\))?: (\w+): (\w+)(.*)$")
_FOUR_CC = re.compile(r"^(?: \([^()]*\))*? \((\S+) / 0x\w+\)")
_TAG = re.compile(r"^(\s+)(\S.*?)\s*: (.*)$")
_MAPPED = re.compile(r"^\s+Stream #0:(\d+) -> #0:(\d+) \(copy\)")
# As ``-disposition`` takes them; the log has spaces for the underscores.
DISPOSITIONS = (
    *("default", "dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired"),
    *("visual_impaired", "clean_effects", "attached_pic", "timed_thumbnails", "captions"),
    *("descriptions", "metadata", "dependent", "still_image", "non_diegetic", "multilayer"),
)
_RATE = re.compile(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
_FRAME = re.compile(
    r" n:\s*\d+ pts:\s*(-?\d+|NOPTS) .*?duration:\s*(\d+) .*? fmt:(\w+)"
    r".*? sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)(?: iskey:(\d))?"
)
# No more than ffmpeg's names have: the line of another thread may follow without a break.
_COLOR = re.compile(
    r"color_range:([a-z0-9-]+) color_space:([a-z0-9-]+)"
    r" color_primaries:([a-z0-9-]+) color_trc:([a-z0-9-]+)"
)
_IDET = re.compile(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+)")


class ShownFrame(NamedTuple):
    """A decoded frame as the ``showinfo`` filter lists it; times in the stream's time base."""

    pts: int | None
    duration: int
    pix_fmt: str
    sample_aspect_ratio: Fraction
    width: int
    height: int
    field: str  # "P" progressive, "T" top field first, "B" bottom field first
    is_key: bool  # whether it was decoded without others


class ColorTags(NamedTuple):
    """A frame's colour tags under ffmpeg's names, None where it has none."""

    range: str | None = None
    matrix: str | None = None
    primaries: str | None = None
    trc: str | None = None


class FieldCounts(NamedTuple):
    """How many frames the ``idet`` filter takes for interlaced, by the field that comes first."""

    top: int
    bottom: int
    progressive: int


def parse_frame(line: str) -> ShownFrame | None:
    """The frame that ``line`` of the log lists, if it does."""
    if "showinfo" not in line or not (found := _FRAME.search(line)):
        return None
    pts, duration, pix_fmt, *sar, width, height, field, key = found.groups()
    return ShownFrame(
        None if pts == "NOPTS" else int(pts),
        int(duration),
        pix_fmt,
        Fraction(int(sar[0]) or 1, int(sar[1]) or 1),
        int(width),
        int(height),
        field,
        key == "1",
    )


class FfmpegLog:
    """Collects what the log of `probe`'s ffmpeg says; `read` takes one line."""

    def __init__(self) -> None:
        self.opened = False  # whether ffmpeg knows what kind of file it is
        self.duration_told = False  # "N/A" included
        self.duration: float | None = None  # seconds, by the container's header
        self.container = ""  # ffmpeg's names of it
        self.start = Fraction(0)  # seconds, of the container
        self.tags: dict[str, str] = {}  # of the container
        self.streams: dict[int, Stream] = {}
        self.mapped: dict[int, int] = {}  # stream by its number in the packet list
        self.jumps = 0  # how often times begin anew in the midst of the file
        self.rate: Fraction | None = None  # nominal frames a second
        self.frame: ShownFrame | None = None  # the first one
        self.earliest: int | None = None  # time of a frame
        self.color: ColorTags | None = None  # of the first frame
        self.flagged: Counter[str] = Counter()  # frames by ``ShownFrame.field``
        self.fields: FieldCounts | None = None  # of the frames' looks
        self._in_input = False
        self._estimated = False
        self._tags: dict[str, str] | None = None  # of what was named last
        self._tag = ""

    def read(self, line: str) -> None:
        text = _CONTEXT.sub("", line)
        if text.startswith(_SECTIONS):
            self._in_input = text.startswith("Input #")
            self.opened |= self._in_input
            if container := _INPUT.match(text):
                self.container = container[1]
                self._tags = self.tags
        elif self._in_input:
            self._read_header(text)
        elif mapped := _MAPPED.match(text):
            self.mapped[int(mapped[2])] = int(mapped[1])
        elif "timestamp discontinuity" in line:
            self.jumps += 1
        elif rate := _RATE.search(line):
            if self.frame is None and int(rate[3]) and int(rate[4]):
                self.rate = Fraction(int(rate[3]), int(rate[4]))
        elif frame := parse_frame(line):
            self.frame = self.frame or frame
            if frame.pts is not None and (self.earliest is None or frame.pts < self.earliest):
                self.earliest = frame.pts
            self.flagged[frame.field] += 1
        elif color := _COLOR.search(line):
            if self.color is None and self.frame:
                named = (None if tag in ("unknown", "reserved") else tag for tag in color.groups())
                self.color = ColorTags(*named)
        elif counts := _IDET.search(line):
            self.fields = FieldCounts(*map(int, counts.groups()))
        elif "Estimating duration from bitrate" in line:  # and not from the header
            self._estimated = True

    def _read_header(self, text: str) -> None:
        if duration := _DURATION.match(text):
            self.duration_told = True
            *clock, start = duration.groups()
            if clock[0] and not self._estimated:
                hours, minutes, seconds = map(float, clock)
                self.duration = hours * 3600 + minutes * 60 + seconds
            self.start = Fraction(start or 0)
        elif found := _STREAM.match(text):
            stream = _stream(found)
            self.streams[stream.index] = stream
            self._tags = stream.tags
        elif text.lstrip().startswith(("Chapter", "Program ", "Stream group", "Side data")):
            self._tags = None
        elif self._tags is not None and (tag := _TAG.match(text)):
            if tag[2] != ":":
                self._tag = tag[2]
                self._tags[self._tag] = tag[3]
            elif self._tag in self._tags:  # the value's next line
                self._tags[self._tag] += "\n" + tag[3]

    @property
    def alpha_mode(self) -> bool:
        """VP8's and VP9's hidden alpha."""
        found = (stream.tag("alpha_mode") for stream in self.streams.values())
        return "1" in found


def _stream(found: re.Match[str]) -> Stream:
    _, index, language, kind, codec, rest = found.groups()
    four_cc = _FOUR_CC.match(rest)
    dispositions = tuple(name for name in DISPOSITIONS if f"({name.replace('_', ' ')})" in rest)
    return Stream(
        int(index),
        kind.lower(),
        codec,
        four_cc[1] if four_cc else "",
        dispositions,
        {"language": language} if language and language != "und" else {},
    )
