"""The packets of a file, as ffmpeg's ``framecrc`` muxer lists them for machines to read."""

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction

from .ffmpeg import VideoError, versions

NO_TIME = -1 << 63  # AV_NOPTS_VALUE
KEY = 1  # AV_PKT_FLAG_KEY
CORRUPT = 2  # AV_PKT_FLAG_CORRUPT: the container says that parts of it are lost
DISCARD = 4  # AV_PKT_FLAG_DISCARD: outside the edit list, never shown


class Packets:
    """The packets of one stream, their times in units of `time_base`.

    ``times`` are those of video and subtitles, ``ends`` those of subtitles, ``keys`` those of
    video's key frames.
    """

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}  # of the stream, under framecrc's names
        self.times, self.ends, self.keys = array("q"), array("q"), array("q")
        self.end = 0
        self.corrupt = 0  # packets

    @property
    def media_type(self) -> str | None:
        return self.facts.get("media_type")

    @property
    def time_base(self) -> Fraction:
        return Fraction(self.fact("tb"))

    def fact(self, name: str) -> str:
        """Raises `VideoError` when ffmpeg does not list it."""
        try:
            return self.facts[name]
        except KeyError:
            raise VideoError(
                f"ffmpeg's packet list has no {name!r}: {versions()}; "
                "use the ffmpeg of the package imageio-ffmpeg."
            ) from None

    def add(self, pts: int, duration: int, size: int, flags: int) -> None:
        if flags & DISCARD:
            return
        self.end = max(self.end, pts + duration)
        if not size:  # the picture before is shown on: Theora and AVI have such
            return
        self.corrupt += bool(flags & CORRUPT)
        if self.media_type in ("video", "subtitle"):
            self.times.append(pts)
        if self.media_type == "video" and flags & KEY:
            self.keys.append(pts)
        if self.media_type == "subtitle":
            self.ends.append(pts + duration)

    def drop_before(self, pts: int) -> int:
        """Forget the pictures before ``pts``; how many are lost with a key frame that is broken."""
        count, keys = len(self.times), len(self.keys)
        self.times, self.keys = (
            array("q", (time for time in times if time == NO_TIME or time >= pts))
            for times in (self.times, self.keys)
        )
        return count - len(self.times) if len(self.keys) < keys else 0


def read_packets(lines: Iterable[bytes], check: Callable[[], None] | None) -> dict[int, Packets]:
    """The streams in ``lines`` by their number; ``check`` is called for each line."""
    streams: dict[int, Packets] = defaultdict(Packets)
    for line in lines:
        if check:
            check()
        if not line.endswith(b"\n"):  # ffmpeg crashed on a broken file
            break
        if line.startswith(b"#"):
            key, _, value = line[1:].decode().strip().partition(": ")
            name, _, index = key.rpartition(" ")
            if name:
                streams[int(index)].facts[name] = value
        else:
            cells = line.split(b",")
            flags = int(cells[6].split(b"=")[1], 16) if len(cells) > 6 and b"F=" in cells[6] else 1
            streams[int(cells[0])].add(int(cells[2]), int(cells[3]), int(cells[4]), flags)
    return dict(sorted(streams.items()))


def channel_count(layout: str) -> int:
    """Channels of a layout under ffmpeg's name of it; 0 for one that is not known."""
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    if speakers := re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", layout):
        return sum(int(number or 0) for number in speakers.groups())
    if count := re.match(r"(\d+) channels", layout):
        return int(count[1])
    if ambisonic := re.match(r"ambisonic (\d+)", layout):
        return (int(ambisonic[1]) + 1) ** 2
    return 0


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
