"""What becomes of a job on a cluster: a film in segments, or files that are coloured whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...pipeline.segments import LENGTH, LONG, PlannedFilm, SegmentStore, SourceState, is_divisible
from ..jobs import Begun
from .files import FilesUnit
from .film import FilmUnit
from .tokens import Tokens

LEAST = 125  # frames of a segment: a shorter one would spend most of its time on its run-in


class Planner:
    """Makes units of jobs; ``slots``: how many films' tasks there may be at a time.

    ``put`` lays an object into Ray's store, from where all tasks have it.
    """

    def __init__(
        self,
        painter: Any,
        slots: int,
        least: int,
        put: Callable[[Any], Any],
        check: Callable[[], None],
    ) -> None:
        self._painter, self._slots, self._least = painter, slots, least
        self._put, self._check = put, check
        self._weights = SourceState.of(painter.weights.absolute()) if painter.weights else None
        self._tokens = Tokens()

    def film(self, begun: Begun, few: bool) -> FilmUnit | FilesUnit:
        """What to make of a clip: of ``few``, short ones are divided as well, and all finer."""
        job, painter = begun.job, self._painter
        if painter.is_whole or job.source.pictures:
            return self.files([begun], is_film=True)
        request = painter.film(job, begun.overwrite)
        from_length = 2 * self._least if few else LONG
        if SegmentStore.is_begun(job.target) or request.keyframes is not None:
            from_length = 0
        if not is_divisible(request.clip, request.frames, from_length):
            return self.files([begun], is_film=True)
        # By whole names, for a worker has another working folder.
        planned = PlannedFilm.of(
            replace(request.clip, path=request.clip.path.absolute()),
            job.target.absolute(),
            painter.network,
            request.color,
            request.film,
            request.encode,
            frames=request.frames,
            shots=request.shots,
            keyframes=request.keyframes,
            strokes=request.strokes,
            teaching=request.teaching,
            length=segment_length(len(request.frames), self._slots if few else 1, self._least),
        )
        try:
            return FilmUnit(
                begun,
                request,
                planned,
                self._tokens.of(job.target),
                painter.network,
                self._weights,
                self._slots,
                self._put,
                self._check,
            )
        except BaseException:
            planned.tell_kept()
            raise

    def files(self, begun: Sequence[Begun], *, is_film: bool) -> FilesUnit:
        """Files to be coloured whole, by one task."""
        painter = self._painter.in_one_piece()
        return FilesUnit(begun, self._tokens, painter, self._weights, is_film=is_film)

    def close(self) -> None:
        self._tokens.close()


def segment_length(count: int, slots: int, least: int = LEAST) -> int:
    """Frames of a segment of a film of ``count``: three a slot, within bounds."""
    return max(least, min(LENGTH, math.ceil(count / (3 * slots))))
