"""What ffmpeg's log says of a clip. It is made for people: each pattern may miss in a new ffmpeg.

So nothing here has a default: what the log did not say is None, and `probe` says what it assumes.
"""

import re
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

_CONTEXT = re.compile(r"^(\[[^\]]*\] )*")  # "[Parsed_showinfo_0 @ 0x5581] [info] "
_SECTIONS = ("Input #", "Output #", "Stream mapping")
_DURATION = re.compile(r"^\s+Duration: (?:N/A|(\d+):(\d+):([\d.]+))")
_ALPHA_MODE = re.compile(r"^\s+alpha_mode\s+: 1", re.IGNORECASE)
_RATE = re.compile(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
_FRAME = re.compile(
    r" n:\s*\d+ pts:\s*(-?\d+|NOPTS) .*?duration:\s*(\d+) .*? fmt:(\w+)"
    r".*? sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)"
)
_COLOR = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
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
    pts, duration, pix_fmt, *sar, width, height, field = found.groups()
    return ShownFrame(
        None if pts == "NOPTS" else int(pts),
        int(duration),
        pix_fmt,
        Fraction(int(sar[0]) or 1, int(sar[1]) or 1),
        int(width),
        int(height),
        field,
    )


class FfmpegLog:
    """Collects what the log of `probe`'s ffmpeg says; `read` takes one line."""

    def __init__(self) -> None:
        self.opened = False  # whether ffmpeg knows what kind of file it is
        self.duration_told = False  # "N/A" included
        self.duration: float | None = None  # seconds, by the container's header
        self.alpha_mode = False  # VP8's and VP9's hidden alpha
        self.rate: Fraction | None = None  # nominal frames a second
        self.frame: ShownFrame | None = None  # the first one
        self.color: ColorTags | None = None  # of the first frame
        self.flagged: Counter[str] = Counter()  # frames by ``ShownFrame.field``
        self.fields: FieldCounts | None = None  # of the frames' looks
        self._in_input = False
        self._estimated = False

    def read(self, line: str) -> None:
        text = _CONTEXT.sub("", line)
        if text.startswith(_SECTIONS):
            self._in_input = text.startswith("Input #")
            self.opened |= self._in_input
        elif self._in_input:
            self._read_header(text)
        elif rate := _RATE.search(line):
            if self.frame is None and int(rate[3]) and int(rate[4]):
                self.rate = Fraction(int(rate[3]), int(rate[4]))
        elif frame := parse_frame(line):
            self.frame = self.frame or frame
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
            if duration[1] and not self._estimated:
                hours, minutes, seconds = map(float, duration.groups())
                self.duration = hours * 3600 + minutes * 60 + seconds
        elif _ALPHA_MODE.match(text):
            self.alpha_mode = True
