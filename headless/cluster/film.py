"""A film on a cluster: which of its segments the tasks colour, and the film of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ...files import AtomicOutput
from ...pipeline.segments import DiskNeed, PlannedFilm, Segment, SourceState, runs_of
from ...video import IncompletePart
from ..jobs import Begun, FilmRequest, Outcome
from . import tasks
from .dispatch import Task
from .here import Failed, renamed
from .tokens import Token

MOST_SEGMENTS = 4  # of a task: the run-in of the first counts the less, and the others wait longer
ROUNDS = 4  # tasks a slot, as far as a film goes, so that the slots end at about the same time


class FilmUnit:
    """A film in segments, whose shots are taught first.

    ``weights`` are those of ``network``; ``slots``, ``put`` and ``check`` as `Planner` has them.
    """

    def __init__(
        self,
        begun: Begun,
        request: FilmRequest,
        planned: PlannedFilm,
        token: Token,
        network: Any,
        weights: SourceState | None,
        slots: int,
        put: Callable[[Any], Any],
        check: Callable[[], None],
    ) -> None:
        self.jobs, self.planned, self._put = [begun], planned, put
        missing = planned.missing(check)
        total = len(planned.segments)
        self._need = DiskNeed(planned.store, planned.work, total - len(missing), total)
        self.frames = len(planned.work.frames)
        self.finished = self.frames - sum(len(segment.frames) for segment in missing)
        film = tasks.Film(
            planned.work,
            planned.store,
            token,
            weights,
            request.shots,
            request.keyframes,
            request.strokes,
            request.teaching,
        )
        self._film = put(film)
        self._taught: dict[int, Any] = {}
        self._left = 0
        self._waiting: deque[Task] = deque()
        colors = film.colors(network)
        bounds = [planned.work.frames.start + shot.first for shot in colors.shots]
        bounds.append(planned.work.frames.stop)
        for run in _chunks(missing, slots):
            needed = [
                number
                for number, shot in enumerate(colors.shots)
                if shot.keyframes is not None
                and bounds[number] < run[-1].frames.stop + run[-1].tail(planned.work.film)
                and bounds[number + 1] > run[0].frames.start - run[0].lead(planned.work.film)
            ]
            for number in needed:
                if number not in self._taught:
                    self._teach(number, tasks.key_of(colors, number))
            self._add(tasks.color_run, (run, needed), run)

    def _teach(self, number: int, key: str) -> None:
        path = self.planned.store.taught / f"{key}.safetensors"
        try:
            self._taught[number] = self._put(tasks.Taught(number, path.read_bytes()))
        except OSError:
            self._add(tasks.teach_shot, (number,), path)

    def _add(self, work: Callable[..., Any], arguments: tuple[Any, ...], facts: Any) -> None:
        self._waiting.append(Task(work, arguments, True, self.jobs, facts))
        self._left += 1

    def next(self) -> Task | None:
        return self._waiting.popleft() if self._waiting else None

    def arguments(self, task: Task) -> tuple[Any, ...]:
        """What to call it with: a segment's task awaits the teachings that it needs."""
        if task.work is tasks.teach_shot:
            return self._film, *task.arguments
        run, needed = task.arguments
        return self._film, run, *(self._taught[number] for number in needed)

    def submitted(self, task: Task) -> None:
        if task.work is tasks.teach_shot:
            self._taught[task.arguments[0]] = task.ref

    def take(self, task: Task, value: Any) -> None:
        if isinstance(value, Failed):
            path = self.jobs[0].job.source.path
            raise renamed(value.error, path.absolute(), path)
        self._left -= 1
        if isinstance(value, tasks.Taught):
            path = task.facts
            path.parent.mkdir(exist_ok=True)
            with suppress(OSError), AtomicOutput(path, overwrite=True) as part:
                part.write_bytes(value.weights)
        else:
            self.finished += sum(len(segment.frames) for segment in task.facts)
            for segment in task.facts:
                self._need.check(self.planned.store.part(segment))

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def finish(self, check: Callable[[], None]) -> Outcome:
        """Make the film of its segments."""
        self.planned.join(check)
        self.planned.store.remove()
        return Outcome()

    def give_up(self) -> None:
        self._waiting.clear()
        self.planned.tell_kept()

    def is_damaged(self, error: Exception) -> bool:
        """Whether the film must be begun anew, in one piece, because of this error."""
        if isinstance(error, IncompletePart):
            self._waiting.clear()
            self.planned.tell_damaged()
            self.planned.store.remove()
            return True
        return False


def _chunks(missing: Sequence[Segment], slots: int) -> list[list[Segment]]:
    """The missing segments in runs for a task each."""
    size = max(1, min(MOST_SEGMENTS, len(missing) // (ROUNDS * slots)))
    return [run[i : i + size] for run in runs_of(missing) for i in range(0, len(run), size)]
