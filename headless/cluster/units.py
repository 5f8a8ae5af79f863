"""On the driver: what the cluster is given of a film or of a few files, and what becomes of it."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ...files import AtomicOutput
from ...pipeline import TaughtNetworks, VideoError, key_of_taught
from ...pipeline.segments import DiskNeed, PlannedFilm, Segment, SourceState, runs_of
from ...video import IncompletePart
from ..jobs import Begun, FilmRequest, Job, Outcome
from . import tasks
from .here import Failed, Token, renamed

log = logging.getLogger(__name__)

MOST_SEGMENTS = 4  # of a task: the run-in of the first counts the less, and the others wait longer
ROUNDS = 4  # tasks a slot, as far as a film goes, so that the slots end at about the same time


@dataclass
class Task:
    """A call of ``work``, one of `tasks`; a film's takes more of a node than a photo's."""

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    is_film: bool
    about: list[Begun]
    facts: Any = None
    id: int = 0
    ref: Any = None
    on_gpu: bool = False
    frames: int = 0  # that are done of a film's segments


class Tokens:
    """The driver's tokens, one in each folder of results."""

    def __init__(self) -> None:
        self._outputs: dict[Path, tuple[AtomicOutput, Token]] = {}
        self._lock = Lock()

    def of(self, target: Path) -> Token:
        folder = target.parent.absolute()
        with self._lock:
            if folder not in self._outputs:
                output = AtomicOutput(folder / "token")
                token = Token(output.part, secrets.token_hex(16))
                token.path.write_text(token.text)
                self._outputs[folder] = output, token
            return self._outputs[folder][1]

    def close(self) -> None:
        for output, _ in self._outputs.values():
            with suppress(OSError):
                output.discard()


class FilmUnit:
    """A film in segments, whose shots are taught first."""

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
        self.begun, self.planned, self._put = begun, planned, put
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
                    self._taught[number] = None
                    key = key_of_taught(
                        network,
                        colors.shots[number].keyframes or [],
                        colors.teaching,
                        strokes=colors.strokes,
                    )
                    self._teach(number, self._kept(key))
            self._add(tasks.color_run, (run, needed), run)

    def _kept(self, key: str) -> Path:
        return TaughtNetworks(self.planned.store.taught).folder / f"{key}.safetensors"

    def _teach(self, number: int, path: Path) -> None:
        try:
            self._taught[number] = self._put(tasks.Taught(number, path.read_bytes()))
        except OSError:
            self._add(tasks.teach_shot, (number,), path)

    def _add(self, work: Callable[..., Any], arguments: tuple[Any, ...], facts: Any) -> None:
        self._waiting.append(Task(work, arguments, True, [self.begun], facts))
        self._left += 1

    def next(self) -> Task | None:
        """The next task to hand out, if there is one."""
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

    def take(self, task: Task, value: Any) -> bool:
        """Take a task's result; whether the film's segments are all there. Raises its error."""
        if isinstance(value, Failed):
            path = self.begun.job.source.path
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
        return self.is_complete

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def finish(self, check: Callable[[], None]) -> Outcome:
        """Make the film of its segments."""
        self.planned.join(check)
        self.planned.store.remove()
        return Outcome()

    def give_up(self) -> None:
        """Leave what is finished for the next run."""
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


class FilesUnit:
    """Files that one task colours whole, one after the other."""

    def __init__(
        self,
        begun: Sequence[Begun],
        tokens: Tokens,
        painter: Any,
        weights: SourceState | None,
        *,
        is_film: bool,
    ) -> None:
        self.begun = list(begun)
        self.outcomes: list[tuple[Begun, Outcome]] = []
        self.nodes: dict[Begun, str] = {}  # that failures were met on
        self.outputs: dict[int, AtomicOutput] = {}
        files, about = [], []
        for one in begun:
            try:
                output = AtomicOutput(one.job.target, overwrite=one.overwrite)
                source = (
                    None
                    if one.job.source.pictures
                    else SourceState.of(one.job.source.path.absolute())
                )
            except (OSError, VideoError) as error:
                self.outcomes.append((one, Outcome(error=error)))
                continue
            token = tokens.of(one.job.target)
            # By its whole name, for a worker has another working folder.
            files.append(tasks.File(_absolute(one.job), source, output.part.absolute(), token))
            self.outputs[len(about)] = output
            about.append(one)
        self._task: Task | None = None
        if files:
            self._task = Task(
                tasks.color_files, (painter, files, weights), is_film, about, len(files)
            )

    @property
    def is_handed_out(self) -> bool:
        return self._task is None

    def next(self) -> Task | None:
        task, self._task = self._task, None
        return task

    def arguments(self, task: Task) -> tuple[Any, ...]:
        return task.arguments

    def submitted(self, task: Task) -> None:
        pass

    def take(self, task: Task, value: Any) -> bool:
        """Give the results their names."""
        if isinstance(value, Failed):
            raise value.error
        for number, done in enumerate(value):
            output, begun = self.outputs.pop(number), task.about[number]
            error: Exception | None = None
            try:
                if done.failed:
                    error = renamed(done.failed.error, output.part.absolute(), output.path)
                    path = begun.job.source.path
                    error = renamed(error, path.absolute(), path)
                    self.nodes[begun] = done.failed.node
                elif not done.why_left:
                    output.commit()
            except OSError as failure:
                error = failure
            finally:
                output.discard()
            outcome = Outcome(done.why_left, done.is_damaged, done.is_incomplete, error)
            self.outcomes.append((begun, outcome))
        return True

    @property
    def is_complete(self) -> bool:
        return True

    def give_up(self) -> None:
        for output in self.outputs.values():
            output.discard()


def _absolute(job: Job) -> Job:
    source = replace(job.source, path=job.source.path.absolute())
    if source.pictures:
        source = replace(source, pictures=source.pictures.absolute())
    return replace(job, source=source, target=job.target.absolute())


def _chunks(missing: Sequence[Segment], slots: int) -> list[list[Segment]]:
    """The missing segments in runs for a task each."""
    size = max(1, min(MOST_SEGMENTS, len(missing) // (ROUNDS * slots)))
    return [run[i : i + size] for run in runs_of(missing) for i in range(0, len(run), size)]
