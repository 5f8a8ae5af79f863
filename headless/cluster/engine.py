"""The driver: hands out tasks as there is room, and takes their results as they come."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...options import ColorOptions
from ...pipeline import Network
from ...pipeline.segments import LENGTH, LONG, PlannedFilm, SegmentStore, SourceState, is_divisible
from ...version import pack_version
from ...video import versions
from ..batch import disk_error
from ..jobs import Begun, FilmRequest, Outcome
from . import here, tasks
from .courier import Courier
from .here import Call, Failed
from .nodes import check_nodes, look_at_nodes, slots_of
from .report import Report
from .units import FilesUnit, FilmUnit, Task, Tokens

log = logging.getLogger(__name__)

RETRIES = 3  # of a task whose worker or node has died
LOOK_AHEAD = 2  # tasks a slot that Ray is given, so that no slot waits for the driver
LEAST = 125  # frames of a segment: a shorter one would spend most of its time on its run-in
BUNDLE = 16  # photos of a task
POLL = 0.25  # seconds
PATIENCE = 10  # seconds for cancelled tasks to end by themselves
MOST_NAMES = 6  # of nodes on a line
GPU_BYTES = 8 * 10**9  # of memory that a GPU is taken to have
MOST_ON_A_GPU = 4  # tasks; then decoders and encoders are what takes the time


class Engine:
    """Colours jobs on the nodes of the cluster that ``ray`` is connected to.

    ``painter`` colours whole files on the workers and says what is to be done with films. ``least``
    is the shortest segment. Files are sent through Ray where nodes do not see them, with ``carry``
    everywhere. What it did is in ``report``. A context manager.
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
        from importlib.metadata import version

        self._ray, self._painter, self._check, self._least = ray, painter, check, least
        began = time.monotonic()
        nodes = look_at_nodes(ray)
        check_nodes(nodes, versions(), version("torch"))
        self.names = {node.id: node.name for node in nodes}
        self.slots = slots_of(nodes, gpu_share(painter.network, painter.color))
        self.report = Report() if report is None else report
        self.report.notes |= {"nodes": len(nodes), "slots": self._capacity}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At

        self._at = At
        mine = ray.get_runtime_context().get_node_id()
        self._courier = (
            ray.remote(num_cpus=0, max_concurrency=8)(Courier)
            .options(scheduling_strategy=At(mine, soft=False))
            .remote()
        )
        self._forgetting = ray.remote(num_cpus=0, max_retries=0)(here.forget)
        tidy = ray.remote(num_cpus=0, max_retries=0)(here.tidy)
        for node in nodes:
            tidy.options(scheduling_strategy=At(node.id, soft=False)).remote()
        self._remote = {
            work: ray.remote(max_retries=RETRIES)(work)
            for work in (tasks.color_run, tasks.color_files, tasks.teach_shot)
        }
        self._call = Call(self._courier, 0, 1, False, carry, pack_version(), versions())
        self._weights = SourceState.of(painter.weights.absolute()) if painter.weights else None
        self._tokens = Tokens()
        self._forgotten: list[Any] = []
        self._pool = ThreadPoolExecutor(2, "film")
        self._count = 0
        self._flight: dict[Any, tuple[Any, Task]] = {}
        self._by_id: dict[int, Task] = {}
        self._units: deque[Any] = deque()  # that have tasks to hand out
        self._futures: dict[Future[Any], Any] = {}  # being prepared or joined
        self._open: list[Any] = []  # units that are not ended
        self._frames: Counter[str] = Counter()
        self._working = time.monotonic()
        self.report.notes["start"] = round(self._working - began, 3)
        log.info(
            "On %d %s: %s.",
            len(nodes),
            "node" if len(nodes) == 1 else "nodes",
            ", ".join(f"{node.name} ({node.cpus:g} CPUs)" for node in nodes[:MOST_NAMES])
            + (", ..." if len(nodes) > MOST_NAMES else ""),
        )

    @property
    def _capacity(self) -> int:
        return max(1, self.slots.count + self.slots.gpu_count)

    def rates(self) -> str:
        """Frames a second of each node (a photo is one) since the work began."""
        seconds = max(1e-3, time.monotonic() - self._working)
        rates = [f"{node} {count / seconds:.1f}/s" for node, count in self._frames.most_common()]
        return ", ".join(rates[:MOST_NAMES]) + (", ..." if len(rates) > MOST_NAMES else "")

    def color(
        self,
        jobs: Iterator[Begun],
        expected: int = 1,
        on_progress: Callable[[Begun, int, int], None] = lambda begun, done, total: None,
    ) -> Iterator[tuple[Begun, Outcome]]:
        """Colour ``jobs``, about so many, and tell of each as it ends.

        Jobs are taken as there is room for their tasks. What the user can mend is in an outcome's
        ``failed``; ``RuntimeError`` when the cluster is lost.
        """
        from ray.exceptions import RayError, RayTaskError

        few = expected < 2 * self._capacity
        bundle = max(1, min(BUNDLE, expected // (4 * self._capacity)))
        photos: list[Begun] = []
        is_more = True
        try:
            while True:
                self._check()
                while is_more and self._has_room():
                    begun = next(jobs, None)
                    is_more = begun is not None
                    if begun and begun.job.source.is_clip:
                        self._futures[self._pool.submit(self._prepare, begun, few)] = begun
                    elif begun:
                        photos.append(begun)
                    if photos and (len(photos) >= bundle or not is_more):
                        self._begin(self._files(photos, is_film=False))
                        photos = []
                self._hand_out()
                yield from self._gather(on_progress)
                if not (is_more or self._units or self._flight or self._futures):
                    return
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayError as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise RuntimeError(
                f"The cluster was lost ({type(error).__name__}: {first}); the same command goes on "
                "from what is finished."
            ) from None

    def _has_room(self) -> bool:
        limit = LOOK_AHEAD * self._capacity
        return len(self._flight) + len(self._units) + len(self._futures) < limit

    def _prepare(self, begun: Begun, few: bool) -> Any:
        """What to make of a film: segments, or one piece."""
        job, painter = begun.job, self._painter
        if painter.is_whole or job.source.pictures:
            return self._files([begun], is_film=True)
        request: FilmRequest = painter.film(job, begun.overwrite)
        count = len(request.frames)
        from_length = 2 * self._least if few else LONG
        if SegmentStore.is_begun(job.target) or request.keyframes is not None:
            from_length = 0
        if not is_divisible(request.clip, request.frames, from_length):
            return self._files([begun], is_film=True)
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
            length=segment_length(count, self._capacity if few else 1, self._least),
        )
        return FilmUnit(
            begun,
            request,
            planned,
            self._tokens.of(job.target),
            painter.network,
            self._weights,
            self._capacity,
            self._ray.put,
            self._check,
        )

    def _files(self, begun: list[Begun], *, is_film: bool) -> FilesUnit:
        painter = self._painter.in_one_piece()
        return FilesUnit(begun, self._tokens, painter, self._weights, is_film=is_film)

    def _begin(self, unit: Any) -> None:
        self._open.append(unit)
        self._units.append(unit)

    def _hand_out(self) -> None:
        """Give Ray tasks as far as it shall have any."""
        while self._units:
            place = self._place()
            if place is None:
                return
            unit = self._units[0]
            task = unit.next()
            if task is None:
                self._units.popleft()
                if unit.is_complete and not self._in_flight(unit):
                    self._complete(unit)
                continue
            self._submit(unit, task, on_gpu=place)

    def _place(self) -> bool | None:
        """Whether the next task goes to a GPU; None when there are enough tasks about."""
        on_gpus = sum(task.on_gpu for _, task in self._flight.values())
        if on_gpus < LOOK_AHEAD * self.slots.gpu_count:
            return True
        if len(self._flight) - on_gpus < LOOK_AHEAD * self.slots.count:
            return False
        return None

    def _submit(self, unit: Any, task: Task, *, on_gpu: bool) -> None:
        self._count += 1
        task.id, task.on_gpu = self._count, on_gpu
        cpus = self.slots.cpus if task.is_film else 1
        call = replace(self._call, task=task.id, cpus=cpus, on_gpu=on_gpu)
        options = {"num_cpus": cpus, "name": f"{task.work.__name__} {task.id}"}
        if on_gpu:
            options["num_gpus"] = self.slots.gpu_share
        remote = self._remote[task.work].options(**options)
        task.ref = remote.remote(call, *unit.arguments(task))
        unit.submitted(task)
        self._flight[task.ref] = unit, task
        self._by_id[task.id] = task

    def _in_flight(self, unit: Any) -> list[Any]:
        return [ref for ref, (whose, _) in self._flight.items() if whose is unit]

    def _gather(
        self, on_progress: Callable[[Begun, int, int], None]
    ) -> Iterator[tuple[Begun, Outcome]]:
        """What has ended since."""
        ready: list[Any] = []
        if self._flight:
            refs = list(self._flight)
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=POLL)
        elif self._futures:
            time.sleep(POLL / 5)
        self._hear(on_progress)
        for ref in ready:
            if ref in self._flight:  # it may have been cancelled with another of its film
                yield from self._take(*self._flight.pop(ref))
        for future in [future for future in self._futures if future.done()]:
            yield from self._taken_from(future)
        for unit in [unit for unit in self._open if isinstance(unit, FilesUnit)]:
            if unit.is_handed_out and not self._in_flight(unit):
                yield from self._end_files(unit)

    def _hear(self, on_progress: Callable[[Begun, int, int], None]) -> None:
        for news in self._ray.get(self._courier.news.remote()):
            node = self.names.setdefault(news.node, news.node[:8])
            if news.kind == "begun":
                self.report.attempts.append((news.task, node, news.facts, news.time))
            elif news.kind == "piece":
                self._frames[node] += news.facts.frames
                piece = replace(news.facts, node=node, time=news.time, task=news.task)
                self.report.add(piece)
            elif news.task in self._by_id and news.facts is not None:
                task = self._by_id[news.task]
                if isinstance(news.facts, tuple):
                    number, done, total = news.facts
                    on_progress(task.about[number], done, total)
                else:
                    task.frames = news.facts
                    self._report_film(self._flight.get(task.ref), on_progress)

    def _report_film(self, found: Any, on_progress: Callable[[Begun, int, int], None]) -> None:
        if found is None:
            return
        unit = found[0]
        done = unit.finished + sum(
            task.frames for whose, task in self._flight.values() if whose is unit
        )
        on_progress(unit.begun, done, unit.frames)

    def _take(self, unit: Any, task: Task) -> Iterator[tuple[Begun, Outcome]]:
        from ray.exceptions import RayError, RayTaskError

        self._by_id.pop(task.id, None)
        try:
            value = self._ray.get(task.ref)
        except RayTaskError:
            raise
        except RayError as error:
            value = Failed(RuntimeError(_died(task, error)), "")
        node = value.node if isinstance(value, Failed) else ""
        try:
            if unit.take(task, value) and not self._in_flight(unit):
                self._complete(unit)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            yield from self._fail(unit, error, node)

    def _complete(self, unit: Any) -> None:
        if isinstance(unit, FilmUnit) and unit in self._open:
            self._open.remove(unit)
            self._forget(unit.planned.work.source)
            future = self._pool.submit(unit.finish, self._check)
            self._futures[future] = unit

    def _forget(self, source: SourceState) -> None:
        """Remove a film's source where it was carried to."""
        if any(piece.bytes_in for piece in self.report.pieces):
            for node in self.names:
                at = self._at(node, soft=False)
                self._forgotten.append(
                    self._forgetting.options(scheduling_strategy=at).remote(source)
                )

    def _end_files(self, unit: FilesUnit) -> Iterator[tuple[Begun, Outcome]]:
        self._open.remove(unit)
        for begun, outcome in unit.outcomes:
            yield begun, self._located(begun, outcome, unit.nodes.get(begun, ""))

    def _taken_from(self, future: Future[Any]) -> Iterator[tuple[Begun, Outcome]]:
        whose = self._futures.pop(future)
        begun = whose if isinstance(whose, Begun) else whose.begun
        try:
            found = future.result()
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            if isinstance(whose, FilmUnit):
                whose.give_up()
            yield begun, Outcome(error=error)
            return
        if isinstance(found, Outcome):
            yield begun, found
        else:
            self._begin(found)

    def _fail(self, unit: Any, error: Exception, node: str) -> Iterator[tuple[Begun, Outcome]]:
        """End a unit; its other tasks are cancelled."""
        self._cancel(self._in_flight(unit))
        if unit in self._units:
            self._units.remove(unit)
        if unit in self._open:
            self._open.remove(unit)
        if isinstance(unit, FilmUnit):
            if unit.is_damaged(error):
                self._begin(self._files([unit.begun], is_film=True))
                return
            unit.give_up()
            yield unit.begun, self._located(unit.begun, Outcome(error=error), node)
            return
        unit.give_up()
        for begun in unit.begun:
            yield begun, self._located(begun, Outcome(error=error), node)

    def _located(self, begun: Begun, outcome: Outcome, node: str) -> Outcome:
        """The same, with the node's name in what the system, or a full disk, said there."""
        if not node or outcome.error is None:
            return outcome
        error = disk_error(outcome.error, begun.job.target)
        if not isinstance(error, OSError) or not (error.strerror and error.filename):
            return outcome
        place = f"{error.filename} on the node {self.names.get(node, node[:8])}"
        return replace(outcome, error=OSError(error.errno, error.strerror, place))

    def _cancel(self, refs: list[Any]) -> None:
        for ref in refs:
            self._ray.cancel(ref)
        if refs:
            _, left = self._ray.wait(refs, num_returns=len(refs), timeout=PATIENCE)
            for ref in left:
                self._ray.cancel(ref, force=True)
        for ref in refs:
            self._flight.pop(ref, None)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        from ray.exceptions import RayError

        with suppress(RayError):
            self._cancel(list(self._flight))
        self._pool.shutdown(wait=True, cancel_futures=True)
        for whose in [*self._open, *self._futures.values()]:
            if not isinstance(whose, Begun):
                whose.give_up()
        with suppress(RayError):
            self._hear(lambda begun, done, total: None)
            self._ray.get(self._courier.close.remote(), timeout=PATIENCE)
            if self._forgotten:
                self._ray.wait(self._forgotten, num_returns=len(self._forgotten), timeout=PATIENCE)
        self._tokens.close()
        self.report.tell()


def gpu_share(network: Network, color: ColorOptions) -> float:
    """Which part of a GPU a film's task asks for, by the memory that the network says it needs."""
    need = network.memory_required(color, 8, 1080, 1920, film=True)
    return round(1 / max(1, min(MOST_ON_A_GPU, GPU_BYTES // max(1, need))), 3)


def segment_length(count: int, slots: int, least: int = LEAST) -> int:
    """Frames of a segment of a film of ``count``: three a slot, within bounds."""
    return max(least, min(LENGTH, math.ceil(count / (3 * slots))))


def _died(task: Task, error: Exception) -> str:
    names = ", ".join(begun.job.source.path.name for begun in task.about[:3])
    why = type(error).__name__
    if why == "OutOfMemoryError":
        return f"{names}: the nodes have not enough memory for it; give each more, or fewer CPUs."
    return (
        f"{names}: {1 + RETRIES} workers have died at it ({why}); see Ray's logs on the nodes "
        "(ray logs)."
    )
