"""Decoder, colour and encoder at work side by side, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeVar

import numpy as np

from .clip import Clip
from .decoder import Decoder
from .ffmpeg import VideoError
from .planes import PlaneFormat

ColourStream = Callable[
    [Iterator[np.ndarray], PlaneFormat], Iterator[tuple[np.ndarray, np.ndarray]]
]
T = TypeVar("T")


class PictureSink(Protocol):
    """Where raw pictures go, in order: an `Encoder`, or several."""

    def write_picture(self, time: Fraction, duration: Fraction, samples: np.ndarray) -> None: ...

    def kill(self) -> None: ...


BATCH_BYTES = 8 << 20
POLL = 0.1  # seconds between two checks


@dataclass
class _Batch:
    """Pictures on their way: rows of ``buffer``, planes one after the other, and their times."""

    buffer: np.ndarray
    times: list[tuple[int | None, int]]

    @property
    def samples(self) -> np.ndarray:
        return self.buffer[: len(self.times)]


class Transcoder:
    """One thread decodes, the caller's colours, one encodes.

    A batch is decoded, handed to ``colour``, encoded, and its buffer used again. There is one
    with the decoder and one with the encoder, which therefore cannot run away; how many are in
    between is up to ``colour``.
    """

    def __init__(
        self,
        decoder: Decoder,
        encoder: PictureSink,
        plane_format: PlaneFormat,
        batch_size: int,
        blend: float,
        with_chroma: bool,
        check: Callable[[], None] | None,
    ) -> None:
        """``with_chroma``: the decoder gives the clip's own; with alpha it gives all planes."""
        self._decoder = decoder
        self._encoder = encoder
        self._format = plane_format
        frame_bytes = plane_format.count * plane_format.dtype.itemsize
        self._batch_size = max(1, min(batch_size, BATCH_BYTES // frame_bytes))
        self._blend, self._with_chroma = blend, with_chroma
        self._check = check
        self._timestamps = _Timestamps(decoder.clip, decoder.start_frame)
        self._spare: list[np.ndarray] = []
        self._with_colour: deque[_Batch] = deque()
        self._encoding: Future[np.ndarray] | None = None  # gives its buffer back
        self._decode_thread = ThreadPoolExecutor(1, "decode")
        self._encode_thread = ThreadPoolExecutor(1, "encode")

    def run(
        self, colour: ColourStream, total: int, on_progress: Callable[[int, int], None] | None
    ) -> int:
        """Colour all frames; how many there were. Leaves the encoder's `finish` to the caller."""
        try:
            count = self._color_all(colour, total, on_progress)
            self._await_encoder()
            return count
        except BaseException:
            self._encoder.kill()
            raise
        finally:
            self._decoder.kill()
            self._decode_thread.shutdown(cancel_futures=True)
            self._encode_thread.shutdown(cancel_futures=True)

    def _color_all(
        self, colour: ColourStream, total: int, on_progress: Callable[[int, int], None] | None
    ) -> int:
        done = 0
        luma = self._luma_batches()
        stream = colour(luma, self._format)
        try:
            for u, v in stream:
                batch = self._filled_in(u, v)
                self._encode(batch)
                done += len(batch.times)
                if on_progress:
                    on_progress(done, total)
        finally:
            if isinstance(stream, Generator):
                stream.close()
        if self._with_colour or next(luma, None) is not None:
            raise ValueError(f"The colour ended after {done} of {total} frames.")
        if not done:
            raise VideoError(f"{self._decoder.clip.path}: no frame could be decoded.")
        return done

    def _luma_batches(self) -> Iterator[np.ndarray]:
        decoding = self._decode()
        while (batch := self._result(decoding)).times:
            decoding = self._decode()
            self._with_colour.append(batch)
            luma = batch.samples[:, : self._format.luma_count].reshape(-1, *self._format.luma_size)
            luma.flags.writeable = False
            yield luma

    def _filled_in(self, u: np.ndarray, v: np.ndarray) -> _Batch:
        """The oldest batch that colour has, with its chroma."""
        if not self._with_colour:
            raise ValueError("The colour gave chroma for more batches than it was given.")
        batch = self._with_colour.popleft()
        shape = (len(batch.times), *self._format.chroma_size)
        for plane in (u, v):
            if plane.shape != shape or plane.dtype != self._format.dtype:
                raise ValueError(
                    f"The colour gave chroma of {plane.shape} {plane.dtype} where "
                    f"{shape} {self._format.dtype} belongs."
                )
        begin = self._format.luma_count
        chroma = batch.samples[:, begin : begin + 2 * self._format.chroma_count]
        chroma = chroma.reshape(-1, 2, *shape[1:])
        for plane, new in ((chroma[:, 0], u), (chroma[:, 1], v)):
            plane[:] = new if self._blend == 1 else self._blended(plane, new)
        return batch

    def _blended(self, own: np.ndarray, new: np.ndarray) -> np.ndarray:
        """The clip's own chroma with `blend` of the new one, rounded; a grey clip's is neutral."""
        if not self._with_chroma:
            own = np.full_like(own, self._format.chroma[0])
        change = (new.astype(np.float32) - own) * self._blend
        return np.rint(own + change).astype(own.dtype)

    def _decode(self) -> Future[_Batch]:
        shape = (self._batch_size, self._format.count)
        buffer = self._spare.pop() if self._spare else np.empty(shape, self._format.dtype)
        return self._decode_thread.submit(self._read, buffer)

    def _read(self, buffer: np.ndarray) -> _Batch:
        batch = _Batch(buffer, [])
        whole = self._with_chroma or self._format.alpha
        samples = self._format.count if whole else self._format.luma_count
        for row in buffer[:, :samples]:
            if not self._decoder.read_into(row.data.cast("B")):
                break
            batch.times.append(self._decoder.read_time())
        return batch

    def _encode(self, batch: _Batch) -> None:
        self._await_encoder()
        self._encoding = self._encode_thread.submit(self._write, batch)

    def _await_encoder(self) -> None:
        if self._encoding:
            self._spare.append(self._result(self._encoding))
            self._encoding = None

    def _write(self, batch: _Batch) -> np.ndarray:
        for samples, time in zip(batch.samples, batch.times, strict=True):
            self._encoder.write_picture(*self._timestamps.read(*time), samples)
        return batch.buffer

    def _result(self, future: Future[T]) -> T:
        """What ``future`` comes to; `check` is called meanwhile."""
        while True:
            if self._check:
                self._check()
            if wait([future], timeout=POLL).done:
                return future.result()


class _Timestamps:
    """Times of frames in seconds from when ``first_frame`` is shown, exact for a constant rate.

    Where the clip's own times do not tell that, they count from the first frame that is decoded.
    """

    def __init__(self, clip: Clip, first_frame: int) -> None:
        self._clip = clip
        self._origin = clip.time_of(first_frame)
        self._is_known = clip.timed and not clip.jumps
        self._last: Fraction | None = None

    def read(self, pts: int | None, duration: int) -> tuple[Fraction, Fraction]:
        """The time and duration of the next frame, from those that the decoder gives it."""
        clip = self._clip
        if clip.times is None:
            tick = length = 1 / clip.fps
        else:
            tick = clip.time_base
            length = duration * tick or 1 / clip.fps
        # Two frames of a damaged clip may bear one time.
        time = earliest = Fraction(0) if self._last is None else self._last + tick
        if pts is not None:
            shown = pts * clip.time_base
            if clip.times is None:
                shown = clip.start + round((shown - clip.start) * clip.fps) * tick
            if self._last is None:
                is_rounded = abs(shown - self._origin) <= 2 * clip.time_base
                if is_rounded or not self._is_known:
                    self._origin = shown
            time = shown - self._origin
        self._last = max(time, earliest)
        return self._last, length
