"""What a recoloured clip takes over from its source beside the picture."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from .clip import Clip, Stream
from .ffmpeg import FFmpeg, input_file
from .formats import TEXT_SUBTITLES, Container
from .mp4_times import parse_time
from .timecode import advanced

log = logging.getLogger(__name__)

# Containers in which tracks are marked, as default and the like.
MARKING = ("matroska", "mov")
# Containers whose zero ffmpeg moves to the first of those streams that are used.
RESTARTING = ("mpegts", "mpeg", "ogg", "nsv", "pva")
# Tags that tell of the source's file or packets.
STALE_TAGS = ("major_brand", "minor_version", "compatible_brands")
_STALE_STREAM_TAG = re.compile(
    r"encoder|duration|(bps|number_of_(frames|bytes)|source_id|_statistics_.*)(-\w+)?",
    re.IGNORECASE,
)
# No copied packets from before the first frame; of the output's ``-ss 0`` cut subtitles die, too.
NOT_BEFORE = "noise=drop=lt(pts\\,0)"
COVER_TYPES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}


@dataclass(frozen=True)
class Cut:
    """The part of a clip that is kept, in seconds from the container's start.

    ``end`` is None for a part that reaches to the clip's end.
    """

    start: Fraction
    end: Fraction | None

    @classmethod
    def of(cls, clip: Clip, frames: range) -> Cut:
        """A part that begins with the clip's first frame keeps what is before it."""
        start = clip.time_of(frames.start) if frames.start else Fraction(0)
        return cls(start, clip.time_of(frames.stop) if frames.stop < clip.frame_count else None)

    def __bool__(self) -> bool:
        return bool(self.start) or self.end is not None

    @property
    def length(self) -> Fraction | None:
        return None if self.end is None else self.end - self.start

    def options(self, begin: Fraction) -> list[str]:
        """ffmpeg's options of an input that is read from ``begin`` on and counts from `start`."""
        options = ["-ss", f"{float(begin):.6f}"] if begin else []
        if self.end is not None:
            options += ["-t", f"{float(self.end - begin):.6f}"]
        if begin != self.start:
            options += ["-itsoffset", f"{float(begin - self.start):.6f}"]
        return options


@dataclass
class Carried:
    """Arguments for what is muxed beside the picture.

    ``inputs`` follow the pictures', which are number 0; ``outputs`` are options of the file. Of
    the inputs ``heard`` every stream is read. ``left_out`` names what the container does not take.
    ``plain_tags``: an MP4 gets those tags only that stand beside cover art.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    plain_tags: bool = False

    def add_source(self, clip: Clip, options: list[str]) -> int:
        """The number of a new input that reads ``clip``."""
        number = self.add_file(input_file(clip.path, options))
        if clip.container.startswith(RESTARTING):
            self.heard.append(number)
        return number

    def warn(self, clip: Clip, path: Path) -> None:
        """Say what the file does not get."""
        if self.left_out:
            names = ", ".join(self.left_out)
            log.warning("%s cannot hold all of %s; left out: %s", path.suffix, clip.path, names)

    def add_file(self, arguments: list[str]) -> int:
        number = 1 + self.inputs.count("-i")
        self.inputs += arguments
        return number


def copied_streams(clip: Clip, container: Container, path: Path, number: int) -> list[str]:
    """Output options that carry tags, chapters, sound and subtitles over from input ``number``.

    Packets are copied where the container takes them; what must be converted or left out is
    logged.
    """
    carried = Carried()
    carried.outputs += ["-map_metadata", str(number), "-map_chapters", str(number)]
    carried.outputs += _sound(clip, container, path, number)
    _add_subtitles(carried, clip, container, path, number)
    carried.warn(clip, path)
    return carried.outputs


def carried_streams(
    clip: Clip,
    frames: range,
    container: Container,
    path: Path,
    folder: Path,
) -> Carried:
    """What carries sound, subtitles, chapters, tags and all else over into ``path``.

    Packets are copied where the container takes them; what must be converted or left out is
    logged. ``frames`` of the clip are kept; a subtitle that spans their beginning or their end is
    cut there. ``folder`` is for files that are needed until the clip is written.
    """
    carried = Carried()
    if clip.pictures:
        return carried
    cut = Cut.of(clip, frames)
    number = carried.add_source(clip, cut.options(clip.seek_before(cut.start)))
    carried.outputs += ["-map_metadata", str(number), "-map_chapters", str(number)]
    if cut.length is not None:
        carried.outputs += ["-t", f"{float(cut.length):.6f}"]  # and no chapters from after the last
    carried.outputs += _tags(clip, frames, container)
    carried.outputs += _sound(clip, container, path, number, cut)
    of_subtitles = _add_cut_subtitles(carried, clip, cut) if clip.subtitles and cut else number
    _add_subtitles(carried, clip, container, path, of_subtitles)
    _add_others(carried, clip, container, number, folder)
    carried.warn(clip, path)
    return carried


def _tags(clip: Clip, frames: range, container: Container) -> list[str]:
    """The tags of the file that are other than the source's, and those of the picture's stream."""
    options = [word for name in STALE_TAGS for word in ("-metadata", f"{name}=")]
    if container.is_mp4 and parse_time(clip.tags.get("creation_time", "")):
        options += ["-metadata", "creation_time="]  # it goes where `mp4_times` puts it
    tags = dict(clip.video.tags) if clip.video else {}
    if frames.start:
        for scope, found in (("", clip.tags), (":s:v:0", tags)):
            for name in [name for name in found if name.lower() == "timecode"]:
                later = advanced(found[name], frames.start, clip.fps)
                options += [f"-metadata{scope}", f"{name}={later or ''}"]
                tags.pop(name, None)
    for name, value in tags.items():
        if not _STALE_STREAM_TAG.fullmatch(name):
            options += ["-metadata:s:v:0", f"{name}={value}"]
    if clip.video and clip.container.startswith(MARKING):
        options += ["-disposition:v:0", "+".join(clip.video.dispositions) or "0"]
    return options


def _sound(
    clip: Clip, container: Container, path: Path, number: int, cut: Cut | None = None
) -> list[str]:
    options = []
    for index, stream in enumerate(clip.audio if container.audio_fallback else ()):
        options += ["-map", f"{number}:a:{index}"]
        if container.audio is None or stream.codec in container.audio:
            options += [f"-c:a:{index}", "copy"]
            if cut and cut.start:
                options += [f"-bsf:a:{index}", NOT_BEFORE]
            continue
        encoder, *settings = container.audio_fallback
        container.check_channels(path, stream.channels)
        log.warning(
            "%s cannot hold %s sound: stream %d is encoded as %s",
            path.suffix,
            stream.codec,
            index,
            encoder,
        )
        options += [f"-c:a:{index}", encoder]
        if cut and cut.start:
            options += [f"-filter:a:{index}", "atrim=start=0"]
        for option, value in zip(settings[::2], settings[1::2], strict=True):
            options += [f"{option}:{index}", value]
    return options


def _add_subtitles(
    carried: Carried, clip: Clip, container: Container, path: Path, number: int
) -> None:
    kept = 0
    for index, stream in enumerate(clip.subtitles):
        if stream.codec in container.subtitles:
            codec = "copy"
        elif container.subtitle_fallback and stream.codec in TEXT_SUBTITLES:
            codec = container.subtitle_fallback
            log.info("%s subtitles are converted to %s for %s", stream.codec, codec, path.suffix)
        else:
            carried.left_out.append(f"{stream.codec} subtitles")
            continue
        carried.outputs += ["-map", f"{number}:s:{index}", f"-c:s:{kept}", codec]
        kept += 1


def _add_cut_subtitles(carried: Carried, clip: Clip, cut: Cut) -> int:
    """An input of the subtitles within ``cut``, which is read from the first one that spans it."""
    start, first, edits = float(cut.start), float(cut.start), []
    end = "" if cut.length is None else f"{float(cut.length):.6f}"
    for index, stream in enumerate(clip.subtitles):
        spanning = stream.cues[(stream.cues[:, 0] < start) & (stream.cues[:, 1] > start)]
        own = float(spanning[:, 0].min(initial=start))
        first = min(first, own)
        # Times count from the cut here. What has no length of its own (0) lasts to the next.
        unwanted = [f"lt(pts*tb\\,{own - start:.6f}-tb)", "gt(d\\,0)*lt((pts+d)*tb\\,tb)"]
        begins, ends = "max(PTS\\,0)", "PTS+DURATION"
        if end:
            unwanted.append(f"gte(pts*tb\\,{end}-tb/2)")
            ends = f"min({ends}\\,round({end}/TB))"
        edits += [
            f"-bsf:s:{index}",
            f"noise=drop={'+'.join(unwanted)},"
            f"setts=pts={begins}:dts={begins}:duration=if(DURATION\\,{ends}-{begins})",
        ]
    begin = max(Fraction(0), Fraction(first) - Fraction(1, 1000))
    return carried.add_source(clip, [*cut.options(clip.seek_before(begin)), *edits])


def _add_others(
    carried: Carried, clip: Clip, container: Container, number: int, folder: Path
) -> None:
    """Cover art, attachments and data; all else is named."""
    attached = data = covers = 0
    for stream in clip.others:
        if stream.kind == "attachment" and container.attachments:
            carried.outputs += ["-map", f"{number}:{stream.index}", "-c:t", "copy"]
            attached += 1
        elif stream.kind == "data" and _is_carried_otherwise(stream):
            continue
        elif stream.kind == "data" and stream.four_cc in container.data:
            carried.outputs += ["-map", f"{number}:{stream.index}", f"-c:d:{data}", "copy"]
            carried.outputs += [f"-tag:d:{data}", stream.four_cc, f"-bsf:d:{data}", NOT_BEFORE]
            data += 1
        elif stream.is_picture and stream.codec in COVER_TYPES and container.covers:
            covers += 1
        else:
            carried.left_out.append(_name(stream))
    if covers:
        _add_covers(carried, clip, container, folder, attached)


def _is_carried_otherwise(stream: Stream) -> bool:
    """Whether a data track holds the chapters' names, or a timecode, which is a tag as well."""
    return stream.four_cc == "text" or stream.tag("timecode") is not None


def _name(stream: Stream) -> str:
    title = stream.tag("title")
    called = f" ({title})" if title else ""
    if stream.is_picture:
        return f"cover art in {stream.codec}"
    if stream.kind == "attachment":
        return f"the attachment {stream.tag('filename') or stream.index}"
    if stream.kind == "data":
        return f"the data track {stream.index} ({stream.four_cc or stream.codec})"
    return f"the {stream.kind} track {stream.index}{called}"


def _add_covers(
    carried: Carried, clip: Clip, container: Container, folder: Path, attached: int
) -> None:
    """Cover art, through files: a trimmed copy would leave out what has no time."""
    taken = 0
    for stream in clip.others:
        if not (stream.is_picture and stream.codec in COVER_TYPES):
            continue
        suffix, mimetype = COVER_TYPES[stream.codec]
        name = stream.tag("filename") or f"cover.{suffix}"
        picture = folder / f"cover{stream.index}.{suffix}"
        if not _extract(clip, stream, picture):
            carried.left_out.append(_name(stream))
        elif container.attachments:
            carried.outputs += ["-attach", str(picture)]
            tags = {"mimetype": stream.tag("mimetype") or mimetype, "filename": name}
            for key, value in tags.items():
                carried.outputs += [f"-metadata:s:t:{attached + taken}", f"{key}={value}"]
            taken += 1
        else:
            number = carried.add_file(input_file(picture))
            taken += 1
            carried.outputs += ["-map", f"{number}:v:0", f"-c:v:{taken}", "copy"]
            carried.outputs += [f"-disposition:v:{taken}", "attached_pic"]
            carried.plain_tags = True


def _extract(clip: Clip, stream: Stream, picture: Path) -> bool:
    arguments = [
        *input_file(clip.path),
        *(
            "-map",
            f"0:{stream.index}",
            "-c",
            "copy",
            "-frames:v",
            "1",
            "-f",
            "image2pipe",
            "pipe:1",
        ),
    ]
    with FFmpeg(arguments, stdout=True) as process:
        data = process.read_all()
    picture.write_bytes(data)
    return bool(data)
