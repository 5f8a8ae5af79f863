"""Tasks to Ray as far as it shall have any, each with what it takes of a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..jobs import Begun
from . import tasks
from .here import Call, Failed
from .nodes import Slots

RETRIES = 3  # of a task whose worker or node has died
LOOK_AHEAD = 2  # tasks a slot that Ray is given, so that no slot waits for the driver
PATIENCE = 10  # seconds for cancelled tasks to end by themselves


@dataclass(eq=False)
class Task:
    """A call of ``work``, one of `tasks`; a film's takes more of a node than a photo's."""

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    is_film: bool
    about: list[Begun]
    facts: Any = None
    id: int = 0
    ref: Any = None
    cpus: int = 1
    on_gpu: bool = False
    frames: int = 0  # that are done of a film's segments


class Unit(Protocol):
    """Jobs that are done together."""

    jobs: list[Begun]
    is_complete: bool
    """Whether all of its tasks have ended well."""

    def next(self) -> Task | None:
        """The next task to hand out, if there is one."""
        ...

    def arguments(self, task: Task) -> tuple[Any, ...]:
        """What to call it with."""
        ...

    def submitted(self, task: Task) -> None: ...

    def take(self, task: Task, value: Any) -> None:
        """Take a task's result; raises its error."""
        ...

    def give_up(self) -> None:
        """Leave what is finished for the next run, and nothing else."""
        ...


class Dispatch:
    """The tasks that Ray has been given and that have not ended."""

    def __init__(self, ray: Any, slots: Slots, call: Call) -> None:
        self._ray, self._slots, self._call = ray, slots, call
        self._remote = {
            work: ray.remote(max_retries=RETRIES)(work)
            for work in (tasks.color_run, tasks.color_files, tasks.teach_shot)
        }
        self._flight: dict[Any, tuple[Unit, Task]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._flight)

    def place(self) -> bool | None:
        """Whether the next task goes to a GPU; None when there are enough tasks about."""
        slots, tasks = self._slots, self._tasks()
        on_gpus = sum(task.on_gpu for task in tasks)
        if on_gpus < LOOK_AHEAD * slots.gpu_count:
            return True
        taken = sum(task.cpus for task in tasks if not task.on_gpu)
        return False if taken < LOOK_AHEAD * slots.count * slots.cpus else None

    def submit(self, unit: Unit, task: Task, *, on_gpu: bool) -> None:
        self._count += 1
        task.id, task.on_gpu = self._count, on_gpu
        task.cpus = self._slots.cpus if task.is_film else 1
        call = replace(self._call, task=task.id, cpus=task.cpus, on_gpu=on_gpu)
        options = {"num_cpus": task.cpus, "name": f"{task.work.__name__} {task.id}"}
        if on_gpu:
            options["num_gpus"] = self._slots.gpu_share
        remote = self._remote[task.work].options(**options)
        task.ref = remote.remote(call, *unit.arguments(task))
        unit.submitted(task)
        self._flight[task.ref] = unit, task

    def _tasks(self) -> list[Task]:
        return [task for _, task in self._flight.values()]

    def of(self, unit: Unit) -> list[Task]:
        """The tasks of a unit."""
        return [task for whose, task in self._flight.values() if whose is unit]

    def by_id(self, number: int) -> tuple[Unit, Task] | None:
        """The task of this number, and whose it is."""
        found = (entry for entry in self._flight.values() if entry[1].id == number)
        return next(found, None)

    def ended(self, timeout: float) -> list[Task]:
        """The tasks that have ended; it waits so many seconds for all."""
        refs = list(self._flight)
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=timeout)
        return [self._flight[ref][1] for ref in ready]

    def take(self, task: Task) -> tuple[Unit, Any] | None:
        """A task that has ended: whose it is, and its result; None if it was cancelled."""
        from ray.exceptions import RayError, RayTaskError

        if task.ref not in self._flight:
            return None
        unit, _ = self._flight.pop(task.ref)
        try:
            return unit, self._ray.get(task.ref)
        except RayTaskError:
            raise
        except RayError as error:
            return unit, Failed(RuntimeError(_why_died(task, error)), "")

    def cancel(self, tasks: Sequence[Task] | None = None) -> None:
        """Cancel these tasks, or all, and wait for their end."""
        if tasks is None:
            tasks = self._tasks()
        refs = [task.ref for task in tasks]
        for ref in refs:
            self._ray.cancel(ref)
        if refs:
            _, left = self._ray.wait(refs, num_returns=len(refs), timeout=PATIENCE)
            for ref in left:
                self._ray.cancel(ref, force=True)
        for ref in refs:
            self._flight.pop(ref, None)


def _why_died(task: Task, error: Exception) -> str:
    names = ", ".join(begun.job.source.path.name for begun in task.about[:3])
    why = type(error).__name__
    if why == "OutOfMemoryError":
        return f"{names}: the nodes have not enough memory for it; give each more, or fewer CPUs."
    return (
        f"{names}: {1 + RETRIES} workers have died at it ({why}); see Ray's logs on the nodes "
        "(ray logs)."
    )
