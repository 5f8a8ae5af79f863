"""Files that a task colours whole, photos or a film that is not worth dividing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...files import AtomicOutput
from ...pipeline import VideoError
from ...pipeline.segments import SourceState
from ..jobs import Begun, Job, Outcome
from . import tasks
from .dispatch import Task
from .here import Failed, renamed
from .tokens import Tokens


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
        self.jobs = list(begun)
        self.outcomes: list[tuple[Begun, Outcome]] = []
        self.nodes: dict[Begun, str] = {}  # that failures were met on
        self.outputs: dict[int, AtomicOutput] = {}
        files, about = [], []
        for one in begun:
            try:
                output = AtomicOutput(one.job.target, overwrite=one.overwrite)
                job = _absolute(one.job)
                source = None if job.source.pictures else SourceState.of(job.source.path)
            except (OSError, VideoError) as error:
                self.outcomes.append((one, Outcome(error=error)))
                continue
            token = tokens.of(one.job.target)
            # By its whole name, for a worker has another working folder.
            files.append(tasks.File(job, source, output.part.absolute(), token))
            self.outputs[len(about)] = output
            about.append(one)
        self._task: Task | None = None
        if files:
            self._task = Task(
                tasks.color_files, (painter, files, weights), is_film, about, len(files)
            )

    def next(self) -> Task | None:
        task, self._task = self._task, None
        return task

    def arguments(self, task: Task) -> tuple[Any, ...]:
        return task.arguments

    def submitted(self, task: Task) -> None:
        pass

    def take(self, task: Task, value: Any) -> None:
        """Give the results their names."""
        if isinstance(value, Failed):
            raise value.error
        for number, done in enumerate(value):
            output, begun = self.outputs.pop(number), task.about[number]
            try:
                if isinstance(done, Failed):
                    error = renamed(done.error, output.part.absolute(), output.path)
                    path = begun.job.source.path
                    self.nodes[begun] = done.node
                    done = Outcome(error=renamed(error, path.absolute(), path))
                elif not done.why_left:
                    output.commit()
            except OSError as failure:
                done = replace(done, error=failure)
            finally:
                output.discard()
            self.outcomes.append((begun, done))

    @property
    def is_complete(self) -> bool:
        return not self.outputs

    def give_up(self) -> None:
        for output in self.outputs.values():
            output.discard()


def _absolute(job: Job) -> Job:
    source = replace(job.source, path=job.source.path.absolute())
    if source.pictures:
        source = replace(source, pictures=source.pictures.absolute())
    return replace(job, source=source, target=job.target.absolute())
