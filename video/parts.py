"""A clip recoloured into a file for each of its parts, which `join_parts` makes into one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory

import numpy as np

from ..files import temp_prefix
from ..options import EncodeOptions
from .clip import Clip, checked_frames
from .encoder import Encoder
from .ffmpeg import FFmpeg, VideoError, input_file, url
from .formats import find_format
from .matroska import header
from .packets import read_packets
from .probe import as_clip
from .recolor import (
    DEFAULT_ENCODE,
    delay_of,
    needs_chroma,
    open_decoder,
    open_muxer,
    picture_options,
    plane_format_for,
    tick_of,
)
from .transcode import POLL, ColourStream, Transcoder

MOV = ("mp4", "mov")  # muxers whose files have the encoder's own time base, and begin at 0
LATER = Fraction(10**9)  # than any frame, in seconds
MILLISECOND = Fraction(1, 1000)  # of the others


class IncompletePart(VideoError):
    """Of the frames of a part not all could be decoded: only a film in one piece can do without."""


@dataclass(frozen=True)
class Part:
    """Consecutive ``frames`` of a clip, and the file that their pictures go to."""

    frames: range
    path: Path


def recolor_parts(
    source: Clip | str | os.PathLike,
    parts: Sequence[Part],
    colour: ColourStream,
    *,
    frames: range | None = None,
    lead: int = 0,
    tail: int = 0,
    encode: EncodeOptions = DEFAULT_ENCODE,
    blend: float = 1.0,
    threads: int | None = None,
    batch_size: int = 4,
    on_progress: Callable[[int, int], None] | None = None,
    on_part: Callable[[Part], None] | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Copy the pictures of ``source`` into the files of the ``parts``, as `recolor` would.

    ``frames`` is what of the clip the whole result will show; the ``parts`` are some of it,
    without gaps between them. Each becomes a file of the result's format, without sound and tags,
    that begins with a keyframe and needs no other; it is there whole or not at all, and
    ``on_part`` hears of it. ``colour`` is also given ``lead`` frames before the first part and
    ``tail`` after the last, as far as ``frames`` go: what it makes of them is thrown away.
    ``encode`` is what `check_recolor` gives, ``threads`` how many the encoder may have.

    Raises what `recolor` does, and `IncompletePart` where the clip turns out to be damaged.
    """
    clip = as_clip(source)
    film = checked_frames(clip, frames)
    first, last = parts[0], parts[-1]
    seen = range(
        max(film.start, first.frames.start - lead), min(film.stop, last.frames.stop + tail)
    )
    plane_format = plane_format_for(clip, first.path, encode)
    timeline = Timeline(clip, film, first.path, encode)
    height, width = plane_format.luma_size

    def open_encoder(part: Part) -> Encoder:
        return Encoder(
            part.path,
            replace(encode, metadata={}, overwrite=True),
            header(plane_format.pix_fmt, width, height, clip.fps),
            inputs=["-copyts"],
            outputs=[
                *picture_options(clip, part.frames, plane_format, part.path, encode, timeline.tick),
                *(("-threads:v:0", str(threads)) if threads else ()),
            ],
            delay=timeline.delay,
        )

    origin = clip.time_of(seen.start) - clip.time_of(film.start)
    begins = [_just_before(clip, film, part.frames.start) for part in parts]
    end = _just_before(clip, film, last.frames.stop)
    with_chroma = needs_chroma(clip, blend)
    with (
        _PartWriter(parts, begins, end, origin, timeline, open_encoder, check) as writer,
        open_decoder(clip, seen, plane_format, with_chroma=with_chroma) as decoder,
    ):

        def report(done: int, total: int) -> None:
            for part in writer.finished():
                if on_part:
                    on_part(part)
            if on_progress:
                on_progress(done, total)

        transcoder = Transcoder(
            decoder, writer, plane_format, batch_size, blend, with_chroma, check
        )
        count = transcoder.run(colour, len(seen), report)
        decoder.report_damage(len(seen) - count)
        writer.finish()
        report(count, len(seen))


def join_parts(
    source: Clip | str | os.PathLike,
    target: str | os.PathLike,
    parts: Sequence[Part],
    *,
    frames: range | None = None,
    encode: EncodeOptions = DEFAULT_ENCODE,
    check: Callable[[], None] | None = None,
) -> None:
    """Make ``target`` of the ``parts``, which are all of ``frames`` of ``source`` in order.

    Packets are copied. Sound, subtitles, chapters and tags are the source's, as `recolor` would
    write them, and so are the times. Raises `VideoError` when a part is missing or broken, and
    ``FileExistsError`` when ``target`` exists and is not to be overwritten.
    """
    clip, path = as_clip(source), Path(target)
    film = checked_frames(clip, frames)
    entry = find_format(encode.format)
    suffix, timeline = path.suffix.lower(), Timeline(clip, film, path, encode)
    with TemporaryDirectory(prefix=temp_prefix()) as folder:
        listing = Path(folder, "parts.ffconcat")
        listing.write_bytes(os.fsencode(timeline.listing(parts)))
        with open_muxer(
            clip,
            film,
            path,
            encode,
            Path(folder),
            # The one place that opens a list of files: one that was just written here.
            pictures=[
                *("-protocol_whitelist", "file", "-format_whitelist", "concat,mov,matroska"),
                *("-f", "concat", "-safe", "0", "-auto_convert", "0", "-i", url(listing)),
            ],
            outputs=[
                *("-map", "0:v", "-c:v:0", "copy", "-disposition:v:0", "default"),
                *(("-tag:v:0", entry.tags[suffix]) if suffix in entry.tags else ()),
            ],
            delay=timeline.first,
            check=check,
        ) as joiner:
            joiner.finish(len(film))


def count_pictures(path: str | os.PathLike, check: Callable[[], None] | None = None) -> int:
    """How many pictures the file of a part holds; 0 for what is no such file."""
    command = [*input_file(path), *("-map", "0:v:0", "-c", "copy", "-f", "framecrc", "pipe:1")]
    with FFmpeg(command, stdout=True) as process:
        streams = read_packets(process.read_lines(), check)
        is_whole = process.wait() == 0 and not process.errors
        return len(streams[0].times) if streams and is_whole else 0


class Timeline:
    """When the pictures of parts are shown, as their files have it.

    MP4 and MOV keep the encoder's own time base, and each part begins at 0. Matroska counts in
    milliseconds: parts bear the whole film's times, so that these are rounded once.
    """

    def __init__(self, clip: Clip, film: range, path: Path, encode: EncodeOptions) -> None:
        self.clip, self.film = clip, film
        self.tick = tick_of(clip, delay_of(clip, film))
        self.from_zero = find_format(encode.format).container(path).muxer in MOV
        self._delay = Fraction(f"{float(delay_of(clip, film)):.6f}")  # as ffmpeg is told

    @property
    def delay(self) -> Fraction:
        """By how much a part's pictures are shown late."""
        return Fraction(0) if self.from_zero else self._delay

    @property
    def first(self) -> Fraction:
        """When the joined film begins."""
        return self._stored(self.film.start)

    def begin(self, frame: int) -> Fraction:
        """The time from which a part that begins with ``frame`` counts, in the film's time."""
        return self._time(frame) if self.from_zero else Fraction(0)

    def listing(self, parts: Sequence[Part]) -> str:
        """The list of the parts for ffmpeg's concat demuxer, each with its exact duration."""
        starts = [_round(self._stored(part.frames.start) * 10**6) for part in parts]
        lines = ["ffconcat version 1.0"]
        for number, part in enumerate(parts):
            quoted = url(part.path).replace("'", r"'\''")
            lines.append(f"file '{quoted}'")
            if number + 1 < len(parts):
                seconds, micros = divmod(starts[number + 1] - starts[number], 10**6)
                lines.append(f"duration {seconds}.{micros:06}")
        return "\n".join(lines) + "\n"

    def _time(self, frame: int) -> Fraction:
        return self.clip.time_of(frame) - self.clip.time_of(self.film.start)

    def _stored(self, frame: int) -> Fraction:
        time = _round((self._time(frame) + self._delay) / self.tick) * self.tick
        return time if self.from_zero else _round(time / MILLISECOND) * MILLISECOND


def _round(value: Fraction) -> int:
    """The nearest integer, and of two the one further from 0, as ffmpeg rounds times."""
    down = int(abs(value) + Fraction(1, 2))
    return down if value >= 0 else -down


def _just_before(clip: Clip, film: range, frame: int) -> Fraction:
    """In the film's time, midway between ``frame`` and the one before it."""
    if frame == film.start:
        return Fraction(-1)
    zero = clip.time_of(film.start)
    if frame >= clip.frame_count:
        return LATER
    return (clip.time_of(frame) + clip.time_of(frame - 1)) / 2 - zero


class _PartWriter:
    """Raw pictures into the file of the part that they belong to by their time.

    While a part is finished in another thread, the next is begun.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        begins: Sequence[Fraction],
        end: Fraction,
        origin: Fraction,
        timeline: Timeline,
        open_encoder: Callable[[Part], Encoder],
        check: Callable[[], None] | None,
    ) -> None:
        self._parts, self._begins, self._ends = parts, begins, [*begins[1:], end]
        self._origin, self._timeline, self._open_encoder = origin, timeline, open_encoder
        self._check = check
        self._index = 0
        self._count = 0
        self._encoder: Encoder | None = None
        self._finishing: tuple[Future[None], Encoder] | None = None
        self._finished: SimpleQueue[Part] = SimpleQueue()
        self._thread = ThreadPoolExecutor(1, "finish")

    def write_picture(self, time: Fraction, duration: Fraction, samples: np.ndarray) -> None:
        time += self._origin
        while self._index < len(self._parts) and time >= self._ends[self._index]:
            self._end_part()
        if self._index == len(self._parts) or time < self._begins[self._index]:
            return
        part = self._parts[self._index]
        if self._encoder is None:
            self._encoder = self._open_encoder(part)
        begin = self._timeline.begin(part.frames.start)
        # A damaged clip's frames are not where they should be.
        self._encoder.write_picture(max(Fraction(0), time - begin), duration, samples)
        self._count += 1

    def _end_part(self) -> None:
        part = self._parts[self._index]
        if self._encoder is None or self._count != len(part.frames):
            raise IncompletePart(
                f"{self._timeline.clip.path}: of frames {part.frames.start} to "
                f"{part.frames.stop - 1} only {self._count} could be decoded; the clip is damaged, "
                "colorize it in one piece."
            )
        self._await_finished()
        encoder, self._encoder, self._count = self._encoder, None, 0
        self._finishing = self._thread.submit(self._finish, encoder, part), encoder
        self._index += 1

    def _finish(self, encoder: Encoder, part: Part) -> None:
        encoder.finish()
        self._finished.put(part)

    def _await_finished(self) -> None:
        if self._finishing is None:
            return
        future, encoder = self._finishing
        future.result()
        self._finishing = None
        encoder.close()

    def finished(self) -> Iterator[Part]:
        """The parts that are there since the last call."""
        with suppress(Empty):
            while True:
                yield self._finished.get_nowait()

    def finish(self) -> None:
        """Wait for all parts."""
        while self._index < len(self._parts):
            self._end_part()
        if self._finishing:
            while not wait([self._finishing[0]], POLL).done:
                if self._check:
                    self._check()
        self._await_finished()

    def kill(self) -> None:
        """End the processes; a `write_picture` in another thread ends as well."""
        for encoder in (self._encoder, self._finishing and self._finishing[1]):
            if encoder:
                encoder.kill()

    def __enter__(self) -> _PartWriter:
        return self

    def __exit__(self, *_) -> None:
        self.kill()
        self._thread.shutdown()
        for encoder in (self._encoder, self._finishing and self._finishing[1]):
            if encoder:
                with suppress(OSError):
                    encoder.close()
