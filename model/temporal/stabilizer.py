"""Chroma that holds still over time: a stream of batches in, a stream of frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ...options import FilmOptions
from ..parallel import run_single_threaded
from ..resize import resize, scaled, short_side_scale
from .chroma_filter import FilterState, FilterTuning, gate, measure, predict, update
from .cuts import CutDetector
from .fixed_lag import DelayLine, SmoothingJob, smooth

LOOK_AHEAD = 12  # frames, half a second of film
MIN_SIDE = 48  # pixels of luma on the short side, at least: motion is not found in fewer
LOW_RES_CHROMA = FilterTuning(False, 16, 1.5, 3 / 255, 1)
FULL_RES_CHROMA = FilterTuning(True, 40, 24, 1 / 255, 1)


class ChromaBatch(NamedTuple):
    """Consecutive frames of a film."""

    chroma: Tensor
    """``(n, 2, h, w)``."""

    luma: Tensor
    """``(n, 1, H, W)`` in [0, 1]; it may be finer than the chroma (`filter_size`)."""

    cuts: Sequence[bool] | None = None
    """Whether a shot begins with each frame; ``None``: it is found in the luma."""

    flow: Tensor | None = None
    """From each frame to the one before, as `estimate_motion` gives it; ``None``: it is found."""


def filter_size(height: int, width: int) -> tuple[int, int]:
    """The size of the luma by which chroma ``(height, width)`` is stabilized best."""
    size = height, width
    return scaled(size, max(1.0, short_side_scale(size, MIN_SIDE)))


def stabilize_chroma(
    batches: Iterable[ChromaBatch],
    stability: float = FilmOptions.stability,
    *,
    detailed: bool = False,
    look_ahead: int = LOOK_AHEAD,
) -> Iterator[Tensor]:
    """The chroma of a film held still where the scene does, and following it where it moves.

    Yields each frame's chroma ``(2, H, W)`` at its luma's size, in order, when ``look_ahead``
    frames more are known or its shot has ended. How the frames are batched does not change the
    result; a frame with which a shot begins may have another size than the one before, if it is
    the first of its batch. Memory does not grow with the length of the film.

    ``stability``: 0 (the chroma as it came, at once and at its own size) to 1 (a surface keeps its
    mean colour while its luma is about the same, in other light and moving too, at the risk of
    ghosts); another raises ``ValueError``.
    ``detailed``: the chroma has detail of its own (a camera's, or another colorizer's; a small
    network's has not): it grows and fades with the light, and where the picture moves or shows
    something new, only what is smooth in the corrections around is used.

    A recursive filter along the motion (`chroma_filter`) and fixed-lag smoothing (`fixed_lag`).
    It works on the CPU, wherever the batches are: its many small operations would be no quicker on
    another device, and not every device has them all. The next batch is taken in the caller's
    thread.
    """
    return _stabilize(batches, ChromaStabilizer(stability, detailed, look_ahead))


def _stabilize(batches: Iterable[ChromaBatch], stabilizer: ChromaStabilizer) -> Iterator[Tensor]:
    for batch in batches:
        batch = batch._replace(chroma=batch.chroma.cpu(), luma=batch.luma.cpu())
        yield from run_single_threaded(partial(stabilizer.push, batch))
    yield from run_single_threaded(stabilizer.flush)


class ChromaStabilizer:
    """The state of `stabilize_chroma`, from batch to batch."""

    def __init__(self, stability: float, detailed: bool, look_ahead: int) -> None:
        if not 0 <= stability <= 1:
            raise ValueError(f"stability is {stability}; choose a value from 0 to 1.")
        self.stability = stability
        self.look_ahead = look_ahead if stability else 0
        self.tuning = (FULL_RES_CHROMA if detailed else LOW_RES_CHROMA).held_at(stability)
        self.detector = CutDetector()
        self.delay_line = DelayLine(self.tuning)
        self.state: FilterState | None = None  # after the last frame
        self.last_frame = torch.empty(0)  # luma and chroma (1, 3, h, w)

    def push(self, batch: ChromaBatch) -> list[Tensor]:
        """Filter the next frames; give those that are ready by now."""
        if self.stability == 0 or not len(batch.chroma):
            return list(batch.chroma)
        cuts, dissolves = self._shot_changes(batch)
        # What follows may have a size of its own.
        ready = self.flush() if cuts[0] else []
        luma, chroma = batch.luma, resize(batch.chroma, batch.luma.shape[2:])
        if self.state is None:
            self.last_frame = torch.cat((luma[:1], chroma[:1]), dim=1)  # no motion, no innovation
        measurement = measure(chroma, luma, self.last_frame, self.tuning, batch.flow)
        jobs: list[SmoothingJob] = []
        for frame, cut, dissolve in zip(measurement.frames(), cuts, dissolves, strict=True):
            if cut:
                jobs += self._pop_all()
            if self.state is None:
                self.state = FilterState.first(frame.chroma, frame.luma)
            else:
                self.delay_line.follow(frame.flow)
                state = predict(self.state, frame, self.tuning)
                limit = gate(state, frame, self.stability, self.tuning, dissolve=dissolve)
                self.state = update(state, frame, limit, self.stability, self.tuning)
            self.delay_line.push(self.state, frame.luma)
            if len(self.delay_line) > self.look_ahead:
                jobs += self.delay_line.pop(1, self.state)
        self.last_frame = torch.cat((luma[-1:], chroma[-1:]), dim=1)
        return ready + smooth(jobs, self.tuning)

    def flush(self) -> list[Tensor]:
        """The frames that still wait; what follows is another shot."""
        return smooth(self._pop_all(), self.tuning)

    def _pop_all(self) -> list[SmoothingJob]:
        """End the shot: all frames that wait."""
        if self.state is None:
            return []
        jobs = self.delay_line.pop(len(self.delay_line), self.state)
        self.state = None
        return jobs

    def _shot_changes(self, batch: ChromaBatch) -> tuple[Sequence[bool], list[bool]]:
        """For each frame: whether a shot begins with it, and whether a dissolve has ended one."""
        if batch.cuts is not None:
            return batch.cuts, [False] * len(batch.luma)
        first = self.detector.index
        reports = list(enumerate(self.detector.by_frame(batch.luma), first))
        cuts = [frame in found for frame, found in reports]
        dissolves = [any(cut < frame for cut in found) for frame, found in reports]
        return cuts, dissolves
