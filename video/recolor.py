"""A clip in other colours: luma, sound and times go through untouched, only chroma is made."""

import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .clip import Clip
from .decoder import SCALER, Decoder
from .ffmpeg import VideoError, url
from .formats import Format, find_format, ratio
from .matroska import block_header, header
from .probe import as_clip
from .read import warn_missing
from .target import Target
from .write import Encoder, color_tags, stream_options

log = logging.getLogger(__name__)

BATCHES = 3  # one each for the decoder, the caller and the encoder, beside those that wait
BATCH_BYTES = 8 << 20
# Matrices with a luma that is a weighted sum of R'G'B' (ITU-T H.273).
MATRICES = ("bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc")


@dataclass(frozen=True)
class Planes:
    """How the pictures of a recoloured clip are coded.

    ``luma_size`` and ``chroma_size`` are ``(height, width)``; samples of ``bit_depth`` bits are
    uint8 (8 bits) or low-aligned uint16; ``matrix`` is ffmpeg's name of the YUV matrix.
    """

    pix_fmt: str
    luma_size: tuple[int, int]
    chroma_size: tuple[int, int]
    bit_depth: int
    full_range: bool
    matrix: str

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self.bit_depth == 8 else np.uint16)

    @property
    def luma_count(self) -> int:
        """Samples of a Y plane."""
        return self.luma_size[0] * self.luma_size[1]

    @property
    def count(self) -> int:
        """Samples of all three planes."""
        return self.luma_count + 2 * self.chroma_size[0] * self.chroma_size[1]


MakeChroma = Callable[[np.ndarray, Planes], tuple[np.ndarray, np.ndarray]]


def recolor(
    source: Clip | str | os.PathLike,
    target: str | os.PathLike,
    make_chroma: MakeChroma,
    *,
    see: Callable[[np.ndarray, Planes], None] | None = None,
    look_ahead: int = 0,
    format: str = "h264",
    quality: float | None = None,
    bit_depth: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
    batch_size: int = 4,
    progress: Callable[[int, int], None] | None = None,
    check: Callable[[], None] | None = None,
) -> int:
    """Copy ``source`` to ``target`` with the chroma that ``make_chroma`` gives; the frame count.

    ``make_chroma(luma, planes)`` receives Y planes as they are coded, ``(n, height, width)`` of
    ``planes.dtype``, valid during the call only, and returns the coded U and V planes, ``(n,
    *planes.chroma_size)`` each. ``see(luma, planes)`` is shown every frame before: at least
    ``look_ahead`` frames further than ``make_chroma`` asks for, unless the clip ends there.

    The luma keeps its codes: depth (8 or 10 bits; ``bit_depth`` None: the source's, as far as the
    format has it), range and matrix are the source's, and tagged. HDR (PQ, HLG) keeps its tags.
    Frame times are kept, variable rate included. Sound, subtitles, chapters and metadata are
    copied where the container takes them. ``start`` and ``duration`` are in seconds from the
    container's start and hold to the frame.

    Decoding, ``make_chroma`` (in the caller's thread) and encoding overlap, in memory that does
    not depend on the clip's length. ``progress(done, total)`` is called after each batch,
    ``check()`` several times a second; what they raise ends the work. ``target`` appears under its
    name only when it is whole.

    Raises `VideoError`, and ``FileExistsError`` when ``target`` exists and ``overwrite`` is off.
    """
    clip = as_clip(source)
    entry = find_format(format)
    path = Path(target)
    container = entry.container(path)
    if entry.rgb:
        raise VideoError(f"{path}: {entry.label} holds no luma and chroma; choose a film format.")
    if clip.color_matrix not in MATRICES:
        raise VideoError(
            f"{clip.path}: its colour matrix {clip.color_matrix} has no plain luma; "
            f"convert the clip to BT.709 first."
        )
    frames = clip.frames(start, duration)
    first, end = frames.start, frames.stop
    planes = _planes(clip, entry, bit_depth)
    # x264 codes fields in pairs of macroblock rows that halve evenly only so.
    fields = clip.field_order if entry.fields and clip.height % 4 == 0 else None
    _say_what_is_special(clip, planes, path, fields)

    # A trimmed clip begins with its first frame, a whole one keeps its own beginning.
    origin = clip.time_of(first) if first else Fraction(0)
    trim = ["-ss", f"{float(origin):.6f}"] if first else []
    if end < clip.frame_count:
        trim += ["-t", f"{float(clip.time_of(end) - origin):.6f}"]
    tick = clip.time_base if clip.times is not None else 1 / clip.fps
    height, width = planes.luma_size
    encoder = Encoder(
        Target(path, overwrite=overwrite),
        container,
        header(planes.pix_fmt, width, height, clip.fps),
        ["-protocol_whitelist", "file,pipe", *trim, "-i", url(clip.path)],
        [
            *(("-ss", "0") if first else ()),  # no copied sound from before the first frame
            *("-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", ratio(tick)),
            *("-vf", _encoder_filters(clip, planes, fields)),
            *("-color_range", "pc" if planes.full_range else "tv"),  # FFV1 looks only here
            *stream_options(clip, container, path, 1),
            *entry.encoder_options(quality, path.suffix.lower(), interlaced=bool(fields)),
            *(() if entry.durations else _durations(clip, first, end, tick)),
        ],
        metadata,
        check,
        delay=clip.time_of(first) - origin,
    )
    try:
        count = _Relay(clip, planes, first, end, encoder, batch_size, look_ahead).run(
            make_chroma, see, progress, check
        )
        encoder.finish()
    finally:
        encoder.close()
    warn_missing(clip, end - first - count)
    return count


def _planes(clip: Clip, entry: Format, bit_depth: int | None) -> Planes:
    depth = bit_depth or entry.depth_for(clip.bit_depth)
    pix_fmt = entry.pix_fmt(depth, False, clip.width, clip.height)
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pix_fmt[3:6]]
    return Planes(
        pix_fmt=pix_fmt,
        luma_size=(clip.height, clip.width),
        chroma_size=(-(-clip.height // down), -(-clip.width // across)),
        bit_depth=depth,
        full_range=clip.has_luma and clip.color_range == "pc" and entry.full_range,
        matrix=clip.color_matrix,
    )


def _say_what_is_special(clip: Clip, planes: Planes, path: Path, fields: str | None) -> None:
    if clip.interlaced:
        log.warning(
            "%s is interlaced: it is coloured as whole frames, and %s %s as interlaced; "
            "deinterlace it first for clean edges",
            clip.path,
            path,
            "is marked" if fields else "is not marked",
        )
    if clip.is_hdr:
        log.warning(
            "%s is HDR (%s): its tags are kept, its colours are guessed as if it were SDR",
            clip.path,
            clip.color_trc,
        )
    if clip.bit_depth > planes.bit_depth:
        log.warning(
            "%s has %d bits a sample, %s gets %d", clip.path, clip.bit_depth, path, planes.bit_depth
        )
    if "444" in planes.pix_fmt and (clip.width % 2 or clip.height % 2):
        log.warning(
            "%s is %dx%d: the odd size is kept with 4:4:4 chroma, which not every player "
            "shows; AV1, VP9 and FFV1 keep it in 4:2:0",
            path,
            clip.width,
            clip.height,
        )


def _decoder_filters(clip: Clip, planes: Planes) -> list[str]:
    """Filters that leave the Y plane alone, whatever the decoder gives."""
    wanted = "pc" if planes.full_range else "tv"
    if clip.has_luma and clip.bit_depth == planes.bit_depth and clip.color_range == wanted:
        return ["extractplanes=y"]
    deep = "10le" if planes.bit_depth == 10 else ""
    return [
        f"scale=in_range={clip.color_range}:out_range={wanted}:in_color_matrix={planes.matrix}"
        f":out_color_matrix={planes.matrix}:{SCALER}",
        f"format=yuv420p{deep}",
        "extractplanes=y",
    ]


def _durations(clip: Clip, first: int, end: int, tick: Fraction) -> list[str]:
    """How long the last frame lasts, told behind the encoder; the others last to the next one."""
    stop = clip.time_of(end) if end < clip.frame_count else clip.start + Fraction(clip.duration)
    ticks = round((stop - clip.time_of(end - 1)) / tick)
    return ["-bsf:v", f"setts=duration=if(eq(N\\,{end - first - 1})\\,{ticks}\\,DURATION)"]


def _encoder_filters(clip: Clip, planes: Planes, fields: str | None) -> str:
    tags = color_tags(
        planes.matrix, "pc" if planes.full_range else "tv", clip.color_primaries, clip.color_trc
    )
    filters = [tags, f"setsar={ratio(clip.sample_aspect_ratio)}:max=65535"]
    if fields:
        filters.append(f"setfield={fields}")
    return ",".join(filters)


@dataclass
class _Batch:
    """Pictures on their way: rows of ``buffer``, planes one behind the other, and their times."""

    buffer: np.ndarray
    times: list[tuple[int | None, int]]

    @property
    def samples(self) -> np.ndarray:
        return self.buffer[: len(self.times)]


class _Relay:
    """Decoder thread -> caller -> encoder thread, with a fixed number of batches between them.

    Batches go round: from ``_free`` to the decoder, by ``_decoded`` to the caller, by
    ``_coloured`` to the encoder and back. What goes wrong in a thread reaches the caller through
    ``_decoded``.
    """

    def __init__(
        self,
        clip: Clip,
        planes: Planes,
        first: int,
        end: int,
        encoder: Encoder,
        batch_size: int,
        look_ahead: int,
    ) -> None:
        self._clip = clip
        self._planes = planes
        self._first = first
        self._total = end - first
        self._encoder = encoder
        self._look_ahead = look_ahead
        frame_bytes = planes.count * planes.dtype.itemsize
        size = max(1, min(batch_size, BATCH_BYTES // frame_bytes))
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._decoded: queue.SimpleQueue = queue.SimpleQueue()
        self._coloured: queue.SimpleQueue = queue.SimpleQueue()
        for _ in range(BATCHES + -(-look_ahead // size)):
            self._free.put(np.empty((size, planes.count), planes.dtype))

    def run(
        self,
        make_chroma: MakeChroma,
        see: Callable[[np.ndarray, Planes], None] | None,
        progress: Callable[[int, int], None] | None,
        check: Callable[[], None] | None,
    ) -> int:
        depth = "10le" if self._planes.bit_depth == 10 else ""
        decoder = Decoder(
            self._clip,
            _decoder_filters(self._clip, self._planes),
            f"gray{depth}",
            start_frame=self._first,
            frame_count=self._total if self._first + self._total < self._clip.frame_count else None,
        )
        decoding = threading.Thread(target=self._decode, args=(decoder,), daemon=True)
        encoding = threading.Thread(target=self._encode, daemon=True)
        decoding.start()
        encoding.start()
        done = 0
        try:
            for batch in self._seen(see, check):
                self._color(batch, make_chroma)
                self._coloured.put(batch)
                done += len(batch.times)
                if progress:
                    progress(done, self._total)
            if not done:
                raise VideoError(f"{self._clip.path}: no frame could be decoded.")
            self._coloured.put(None)
            while encoding.is_alive():
                encoding.join(0.05)
                if check:
                    check()
            self._raise_failure()
        except BaseException:
            self._encoder.kill()
            raise
        finally:
            decoder.process.kill()
            self._free.put(None)
            self._coloured.put(None)
            decoding.join()
            encoding.join()
            decoder.close()
        return done

    def _seen(
        self,
        see: Callable[[np.ndarray, Planes], None] | None,
        check: Callable[[], None] | None,
    ) -> Iterator[_Batch]:
        """The decoded batches, each when enough of the frames behind it were shown to ``see``."""
        waiting: deque[_Batch] = deque()
        ahead = 0  # frames behind the first batch that waits
        while (batch := self._next(check)) is not None:
            if not batch.times:
                continue
            if see:
                see(self._luma(batch), self._planes)
            ahead += len(batch.times) if waiting else 0
            waiting.append(batch)
            while waiting and ahead >= self._look_ahead:
                yield waiting.popleft()
                ahead -= len(waiting[0].times) if waiting else 0
        yield from waiting

    def _next(self, check: Callable[[], None] | None) -> _Batch | None:
        while True:
            if check:
                check()
            try:
                item = self._decoded.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _raise_failure(self) -> None:
        while not self._decoded.empty():
            if isinstance(item := self._decoded.get(), BaseException):
                raise item

    def _color(self, batch: _Batch, make_chroma: MakeChroma) -> None:
        planes = self._planes
        chroma = batch.samples[:, planes.luma_count :].reshape(-1, 2, *planes.chroma_size)
        chroma[:, 0], chroma[:, 1] = make_chroma(self._luma(batch), planes)

    def _luma(self, batch: _Batch) -> np.ndarray:
        planes = self._planes
        return batch.samples[:, : planes.luma_count].reshape(-1, *planes.luma_size)

    def _decode(self, decoder: Decoder) -> None:
        try:
            whole = True
            while whole and (buffer := self._free.get()) is not None:
                batch = _Batch(buffer, [])
                for row in buffer[:, : self._planes.luma_count]:
                    if not decoder.read_into(row.data.cast("B")):
                        whole = False
                        break
                    batch.times.append(decoder.read_time())
                self._decoded.put(batch)
            self._decoded.put(None)
        except BaseException as error:
            self._decoded.put(error)

    def _encode(self) -> None:
        try:
            clock = _Clock(self._clip)
            while (batch := self._coloured.get()) is not None:
                for samples, ticks in zip(batch.samples, batch.times, strict=True):
                    self._encoder.write(block_header(*clock.read(*ticks), samples.nbytes))
                    self._encoder.write(samples.data.cast("B"))
                self._free.put(batch.buffer)
        except BaseException as error:
            self._decoded.put(error)


class _Clock:
    """Times of frames in seconds from the first one, exact for a constant rate."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._origin: Fraction | None = None
        self._last = Fraction(-1)

    def read(self, pts: int | None, duration: int) -> tuple[Fraction, Fraction]:
        clip = self._clip
        if clip.times is None:
            tick = duration = 1 / clip.fps
            time = self._last + tick
            if pts is not None:
                time = round((pts * clip.time_base - clip.start) * clip.fps) * tick
        else:
            tick = clip.time_base
            time, duration = pts * tick, duration * tick or 1 / clip.fps
        if self._origin is None:
            self._origin = time
        # Two frames of a damaged clip may bear one time.
        self._last = max(time - self._origin, self._last + tick)
        return self._last, duration
