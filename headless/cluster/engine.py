"""The driver: hands out tasks as there is room, and takes their results as they come."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from ...options import ColorOptions
from ...pipeline import Network
from ...version import pack_version
from ...video import versions
from ..batch import disk_error
from ..jobs import Begun, Outcome
from . import here
from .courier import Courier
from .dispatch import LOOK_AHEAD, PATIENCE, Dispatch, Unit
from .files import FilesUnit
from .film import FilmUnit
from .here import Call, Failed
from .nodes import Node, check_nodes, look_at_nodes, slots_of
from .planner import LEAST, Planner
from .report import Report

log = logging.getLogger(__name__)

BUNDLE = 16  # photos of a task
POLL = 0.25  # seconds
MOST_NAMES = 6  # of nodes on a line
GPU_BYTES = 8 * 10**9  # of memory that a GPU is taken to have
MOST_ON_A_GPU = 4  # tasks; then decoders and encoders are what takes the time
LOST = "the same command goes on from what is finished"
OnProgress = Callable[[Begun, int, int], None]


class Engine:
    """Colours jobs on the nodes of the cluster that ``ray`` is connected to.

    ``painter`` colours whole files on the workers and says what is to be done with films. ``least``
    is the shortest segment. Files are sent through Ray where nodes do not see them, with ``carry``
    everywhere. What it did is in ``report``. A context manager.

    Raises ``ValueError`` for nodes that cannot do their part.
    """

    def __init__(
        self,
        ray: Any,
        painter: Any,
        report: Report | None = None,
        *,
        check: Callable[[], None] = lambda: None,
        least: int = LEAST,
        carry: bool = False,
    ) -> None:
        began = time.monotonic()
        self._ray, self._check = ray, check
        nodes = look_at_nodes(ray)
        check_nodes(nodes, versions(), version("torch"))
        slots = slots_of(nodes, gpu_share(painter.network, painter.color))
        self._slots = slots.count + slots.gpu_count
        self._names = {node.id: node.name for node in nodes}
        self._courier = self._start_courier()
        self._on_each_node(here.tidy)
        call = Call(self._courier, 0, 1, False, carry, pack_version(), versions())
        self._dispatch = Dispatch(ray, slots, call)
        self._planner = Planner(painter, self._slots, least, ray.put, check)
        self._pool = ThreadPoolExecutor(2, "film")
        self._units: deque[Unit] = deque()  # that have tasks to hand out
        self._open: list[Unit] = []  # that are at work
        self._planning: dict[Future[Unit], Begun] = {}
        self._joining: dict[Future[Outcome], FilmUnit] = {}
        self._farewells: list[Any] = []
        self._frames: Counter[str] = Counter()
        self._working = time.monotonic()
        self.report = Report() if report is None else report
        self.report.notes |= {
            "nodes": len(nodes),
            "slots": self._slots,
            "start": round(self._working - began, 3),
        }
        log.info("On %s: %s.", _plural(len(nodes), "node"), _listed(map(_described, nodes)))

    def rates(self) -> str:
        """Frames a second of each node (a photo is one) since the work began."""
        seconds = max(1e-3, time.monotonic() - self._working)
        frames = self._frames.most_common()
        return _listed(f"{node} {count / seconds:.1f}/s" for node, count in frames)

    def color(
        self,
        jobs: Iterator[Begun],
        expected: int = 1,
        on_progress: OnProgress = lambda begun, done, total: None,
    ) -> Iterator[tuple[Begun, Outcome]]:
        """Colour ``jobs``, about so many, and tell of each as it ends.

        Jobs are taken as there is room for their tasks. What the user can mend is an outcome's
        ``error``. Raises ``RuntimeError`` when the cluster is lost.
        """
        from ray.exceptions import RayError, RayTaskError

        few = expected < 2 * self._slots
        bundle = max(1, min(BUNDLE, expected // (4 * self._slots)))
        photos: list[Begun] = []
        is_more = True
        try:
            while True:
                self._check()
                while is_more and self._has_room():
                    begun = next(jobs, None)
                    is_more = begun is not None
                    if begun and begun.job.source.is_clip:
                        future = self._pool.submit(self._planner.film, begun, few)
                        self._planning[future] = begun
                    elif begun:
                        photos.append(begun)
                    if photos and (len(photos) >= bundle or not is_more):
                        self._begin(self._planner.files(photos, is_film=False))
                        photos = []
                self._hand_out()
                yield from self._gather(on_progress)
                if not (is_more or self._open or self._planning or self._joining):
                    return
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayError as error:
            first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            why = f"{type(error).__name__}: {first}"
            raise RuntimeError(f"The cluster was lost ({why}); {LOST}.") from None

    def _has_room(self) -> bool:
        at_work = len(self._dispatch) + len(self._units) + len(self._planning)
        return at_work < LOOK_AHEAD * self._slots and self._dispatch.place() is not None

    def _begin(self, unit: Unit) -> None:
        self._open.append(unit)
        self._units.append(unit)

    def _hand_out(self) -> None:
        while self._units and (on_gpu := self._dispatch.place()) is not None:
            unit = self._units[0]
            if task := unit.next():
                self._dispatch.submit(unit, task, on_gpu=on_gpu)
            else:
                self._units.popleft()

    def _gather(self, on_progress: OnProgress) -> Iterator[tuple[Begun, Outcome]]:
        """What has ended since."""
        ended = []
        if len(self._dispatch):
            ended = self._dispatch.ended(POLL)
        elif self._planning or self._joining:
            time.sleep(POLL / 5)
        self._hear(on_progress)
        for task in ended:
            if taken := self._dispatch.take(task):
                unit, value = taken
                try:
                    unit.take(task, value)
                except (ValueError, RuntimeError, OSError, MemoryError) as error:
                    node = value.node if isinstance(value, Failed) else ""
                    yield from self._end_by(unit, error, node)
        for unit in [unit for unit in self._open if unit.is_complete]:
            self._open.remove(unit)
            if isinstance(unit, FilmUnit):
                self._join(unit)
            elif isinstance(unit, FilesUnit):
                for begun, outcome in unit.outcomes:
                    yield begun, self._located(begun, outcome, unit.nodes.get(begun, ""))
        for planned in [future for future in self._planning if future.done()]:
            begun = self._planning.pop(planned)
            try:
                self._begin(planned.result())
            except (ValueError, RuntimeError, OSError, MemoryError) as error:
                yield begun, Outcome(error=error)
        for joined in [future for future in self._joining if future.done()]:
            unit = self._joining.pop(joined)
            try:
                yield unit.jobs[0], joined.result()
            except (ValueError, RuntimeError, OSError, MemoryError) as error:
                unit.give_up()
                yield unit.jobs[0], Outcome(error=error)

    def _join(self, unit: FilmUnit) -> None:
        if any(piece.bytes_in for piece in self.report.pieces):
            self._farewells += self._on_each_node(here.forget, unit.planned.work.source)
        self._joining[self._pool.submit(unit.finish, self._check)] = unit

    def _hear(self, on_progress: OnProgress) -> None:
        """What the workers have told since."""
        for news in self._ray.get(self._courier.news.remote()):
            node = self._names.setdefault(news.node, news.node[:8])
            if news.kind == "begun":
                self.report.attempts.append((news.task, node, news.facts, news.time))
            elif news.kind == "piece":
                self._frames[node] += news.facts.frames
                piece = replace(news.facts, node=node, time=news.time, task=news.task)
                self.report.add(piece)
            elif found := self._dispatch.by_id(news.task):
                unit, task = found
                if isinstance(unit, FilmUnit):
                    task.frames = news.facts
                    done = unit.finished + sum(task.frames for task in self._dispatch.of(unit))
                    on_progress(unit.jobs[0], done, unit.frames)
                else:
                    number, done, total = news.facts
                    on_progress(task.about[number], done, total)

    def _end_by(self, unit: Unit, error: Exception, node: str) -> Iterator[tuple[Begun, Outcome]]:
        """End a unit because of an error; its other tasks are cancelled."""
        self._dispatch.cancel(self._dispatch.of(unit))
        if unit in self._units:
            self._units.remove(unit)
        self._open.remove(unit)
        if isinstance(unit, FilmUnit) and unit.is_damaged(error):
            self._begin(self._planner.files(unit.jobs, is_film=True))
            return
        unit.give_up()
        known = unit.outcomes if isinstance(unit, FilesUnit) else []
        yield from known
        for begun in unit.jobs:
            if begun not in dict(known):
                yield begun, self._located(begun, Outcome(error=error), node)

    def _located(self, begun: Begun, outcome: Outcome, node: str) -> Outcome:
        """The same, with the node's name in what the system, or a full disk, said there."""
        if not node or outcome.error is None:
            return outcome
        error = disk_error(outcome.error, begun.job.target)
        if not isinstance(error, OSError) or not (error.strerror and error.filename):
            return outcome
        place = f"{error.filename} on the node {self._names.get(node, node[:8])}"
        return replace(outcome, error=OSError(error.errno, error.strerror, place))

    def _start_courier(self) -> Any:
        mine = self._ray.get_runtime_context().get_node_id()
        actor = self._ray.remote(num_cpus=0, max_concurrency=8)(Courier)
        return actor.options(scheduling_strategy=_at(mine)).remote()

    def _on_each_node(self, work: Callable[..., Any], *arguments: Any) -> list[Any]:
        remote = self._ray.remote(num_cpus=0, max_retries=0)(work)
        return [
            remote.options(scheduling_strategy=_at(node)).remote(*arguments) for node in self._names
        ]

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        from ray.exceptions import RayError

        with suppress(RayError):
            self._dispatch.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
        planned = [
            future.result()
            for future in self._planning
            if not future.cancelled() and future.exception() is None
        ]
        for unit in [*self._open, *self._joining.values(), *planned]:
            unit.give_up()
        with suppress(RayError):
            self._hear(lambda begun, done, total: None)
            self._ray.get(self._courier.close.remote(), timeout=PATIENCE)
            if self._farewells:
                count = len(self._farewells)
                self._ray.wait(self._farewells, num_returns=count, timeout=PATIENCE)
        self._planner.close()
        self.report.tell()


def gpu_share(network: Network, color: ColorOptions) -> float:
    """Which part of a GPU a film's task asks for, by the memory that the network says it needs."""
    need = network.memory_required(color, 8, 1080, 1920, film=True)
    return round(1 / max(1, min(MOST_ON_A_GPU, GPU_BYTES // max(1, need))), 3)


def _at(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def _described(node: Node) -> str:
    gpus = f", {_plural(node.gpus, 'GPU')}" if node.gpus else ""
    return f"{node.name} ({_plural(node.cpus, 'CPU')}{gpus})"


def _plural(count: float, what: str) -> str:
    return f"{count:g} {what}" + ("" if count == 1 else "s")


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
