"""A discrete-event simulation of films that are coloured by a cluster.

The driver plans a film, has its shots taught, hands its segments out and, when all are there, joins
them. A worker that is free takes the next piece of work. A segment's bytes travel while it is
coloured: it is done when both are. A node that fails loses the segments that it was at, which go to
the head of the queue once the driver has noticed; it comes back after its repair. Nothing is made
twice to overtake a slow node.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from .cluster import Archive, Cluster, Driver
from .storage import SharedStorage

HOUR = 3600.0
MOST_BLOCKS = 300_000  # pieces of work; of more segments, several in a row are one event
MOST_ATTEMPTS = 1000
PHASES = (
    "starting",  # no node is up
    "driver",  # workers are free, for segments are planned and handed out too slowly
    "computing",  # all workers are at work
    "storage",  # the same, and half of them or more wait for bytes
    "last segments",  # workers are free, for no more segments are left
    "joining",  # all segments are there
)


@dataclass(frozen=True)
class Outcome:
    """What a simulated run took. Seconds; those of workers are added up over all of them."""

    wall: float
    useful: float  # of workers of speed 1: what the films take in one piece
    lost: float  # of workers, on segments that were begun again
    efficiency: float  # the useful share of all workers' time
    failures: int
    attempts: int  # at most, for one piece of work
    bytes_moved: float
    phases: dict[str, float]  # how long each of `PHASES` was
    block: int  # segments in a row that were simulated as one event

    @property
    def bottleneck(self) -> str:
        """The longest phase."""
        return max(self.phases, key=lambda phase: self.phases[phase])


@dataclass
class _Film:
    to_teach: int
    to_color: int


@dataclass(eq=False)
class _Block:
    """Segments (or a shot to teach) that one worker does one after the other."""

    film: _Film
    seconds: np.ndarray  # at speed 1
    size: float  # bytes of each
    teaches: bool = False
    attempts: int = 0


@dataclass(eq=False)
class _Run:
    """A block in work; done when nothing of it is pending."""

    block: _Block
    node: int
    begun: float
    name: int
    pending: int
    waits: bool = False  # for bytes
    dropped: bool = False


@dataclass
class _Node:
    speed: float
    is_up: bool = False
    free: int = 0
    runs: list[_Run] = field(default_factory=list)


def simulate(
    cluster: Cluster,
    driver: Driver,
    archive: Archive,
    seed: int = 0,
    speeds: Sequence[float] | None = None,
) -> Outcome:
    """Colour the archive; ``speeds`` of the nodes are drawn unless they are given.

    Raises ``RuntimeError`` when nodes fail so often that a segment is never done.
    """
    return _Simulation(cluster, driver, archive, np.random.default_rng(seed), speeds).run()


class _Simulation:
    def __init__(
        self,
        cluster: Cluster,
        driver: Driver,
        archive: Archive,
        rng: np.random.Generator,
        speeds: Sequence[float] | None,
    ) -> None:
        self.cluster, self.driver, self.archive, self.rng = cluster, driver, archive, rng
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order, self.names = count(), count()
        self.storage = SharedStorage(cluster.bandwidth, cluster.link)
        self.by_name: dict[int, Callable[[], None]] = {}  # what a transfer's end does
        drawn = cluster.speeds(rng) if speeds is None else speeds
        self.nodes = [_Node(float(speed)) for speed in drawn]
        self.free: deque[int] = deque()  # numbers of nodes, once for each free worker
        self.ready: deque[_Block] = deque()
        self.jobs: list[tuple[int, int, float, Callable[[], None]]] = []  # the driver's
        self.driver_works = False
        self.to_join: deque[float] = deque()
        self.joining = 0
        self.films_left = archive.films
        self.block = max(1, archive.films * archive.segments // MOST_BLOCKS)
        self.useful = self.lost = 0.0
        self.failures = self.attempts = 0
        self.up = self.busy = self.waiting = 0  # workers; those waiting for bytes are busy
        self.phases = dict.fromkeys(PHASES, 0.0)

    def run(self) -> Outcome:
        for number in range(len(self.nodes)):
            self._at(self.cluster.start, lambda number=number: self._up(number))
        for _ in range(self.archive.films):
            self._ask_driver(1, self.driver.plan * self.archive.hours_of_film, self._planned)
        while self.films_left:
            ends = self.storage.next_end()
            happens = self.events[0][0] if self.events else math.inf
            now = min(happens, ends)
            self.phases[self._phase()] += now - self.now
            self.now = now
            if happens <= ends:
                heapq.heappop(self.events)[2]()
            else:
                self.by_name.pop(self.storage.end(ends))()
        return self._outcome()

    def _phase(self) -> str:
        if self.busy and self.busy == self.up:
            return "storage" if 2 * self.waiting >= self.busy else "computing"
        if self.joining and not (self.busy or self.ready or self.driver_works):
            return "joining"
        if not self.up:
            return "starting"
        return "driver" if self.driver_works else "last segments"

    def _at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.order), action))

    # The driver: one job at a time, segments before films.

    def _ask_driver(self, rank: int, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self.jobs, (rank, next(self.order), seconds, then))
        if not self.driver_works:
            self._drive()

    def _drive(self) -> None:
        self.driver_works = bool(self.jobs)
        if not self.jobs:
            return
        _, _, seconds, then = heapq.heappop(self.jobs)

        def done() -> None:
            then()
            self._drive()

        self._at(self.now + seconds, done)

    def _planned(self) -> None:
        archive = self.archive
        shots = round(archive.shots * archive.hours_of_film)
        film = _Film(to_teach=shots, to_color=archive.segments)
        if not shots:
            self._hand_out(film)
        for seconds in archive.teach.draw(self.rng, shots) if shots else ():
            self._submit(_Block(film, np.array([seconds]), 0.0, teaches=True))

    def _hand_out(self, film: _Film) -> None:
        archive, left = self.archive, film.to_color
        # The last segment may be shorter; all of them together are the film.
        share = archive.hours_of_film / (archive.segments * archive.segment_hours)
        size = share * (archive.bytes_in + archive.bytes_out)
        while left:
            segments = min(self.block, left)
            work = share * archive.work.draw(self.rng, segments)
            self.useful += float(work.sum())
            self._submit(_Block(film, work + archive.overhead.draw(self.rng, segments), size))
            left -= segments

    def _submit(self, block: _Block, again: bool = False) -> None:
        def handed_out() -> None:
            (self.ready.appendleft if again else self.ready.append)(block)
            self._match()

        self._ask_driver(0, self.driver.dispatch * len(block.seconds), handed_out)

    # The workers.

    def _match(self) -> None:
        """Give free workers the work that waits."""
        while self.ready and self.free:
            number = self.free.popleft()
            node = self.nodes[number]
            if node.is_up and node.free:
                self._begin(self.ready.popleft(), number)

    def _begin(self, block: _Block, number: int) -> None:
        node = self.nodes[number]
        node.free -= 1
        self.busy += 1
        block.attempts += 1
        self.attempts = max(self.attempts, block.attempts)
        if block.attempts > MOST_ATTEMPTS:
            raise RuntimeError("Nodes fail so often that a segment is never done; make it shorter.")
        size = block.size * len(block.seconds)
        run = _Run(block, number, self.now, next(self.names), pending=1)
        node.runs.append(run)
        self._at(
            self.now + float(block.seconds.sum()) / node.speed,
            lambda: None if run.dropped else self._computed(run),
        )
        if self._takes_time(size):
            run.pending += 1
            self.by_name[run.name] = lambda: self._moved(run)
            self.storage.begin(self.now, run.name, size)

    def _takes_time(self, size: float) -> bool:
        return size > 0 and math.isfinite(min(self.cluster.bandwidth, self.cluster.link))

    def _computed(self, run: _Run) -> None:
        run.waits = run.pending > 1
        self.waiting += run.waits
        self._one_done(run)

    def _moved(self, run: _Run) -> None:
        self.waiting -= run.waits
        run.waits = False
        self._one_done(run)

    def _one_done(self, run: _Run) -> None:
        run.pending -= 1
        if run.pending:
            return
        self.busy -= 1
        node, block, film = self.nodes[run.node], run.block, run.block.film
        node.runs.remove(run)
        self._release(run.node)
        if block.teaches:
            film.to_teach -= 1
            if not film.to_teach:
                self._hand_out(film)
        else:
            film.to_color -= len(block.seconds)
            if not film.to_color:
                self._whole()
        self._match()

    def _release(self, number: int) -> None:
        self.nodes[number].free += 1
        self.free.append(number)

    # Nodes that come and go.

    def _up(self, number: int) -> None:
        node = self.nodes[number]
        node.is_up, node.free = True, 0
        self.up += self.cluster.workers
        for _ in range(self.cluster.workers):
            self._release(number)
        if self.cluster.failures:
            lives = self.rng.exponential(HOUR / self.cluster.failures)
            self._at(self.now + lives, lambda: self._fail(number))
        self._match()

    def _fail(self, number: int) -> None:
        node = self.nodes[number]
        self.failures += 1
        node.is_up, node.free = False, 0
        self.up -= self.cluster.workers
        self.free = deque(other for other in self.free if other != number)
        for run in node.runs:
            self._lose(run, node.speed)
        node.runs = []
        back = self.now + self.cluster.repair + self.cluster.start
        self._at(back, lambda: self._up(number))

    def _lose(self, run: _Run, speed: float) -> None:
        """What of a block is finished stays; the segment in work is lost, the others wait."""
        block = run.block
        run.dropped = True
        self.busy -= 1
        self.waiting -= run.waits
        ends = block.seconds.cumsum() / speed
        elapsed = self.now - run.begun
        finished = int(np.searchsorted(ends, elapsed, side="right"))
        if block.size:
            left = self.storage.left(self.now, run.name)
            finished = min(finished, len(block.seconds) - math.ceil(left / block.size - 1e-9))
            self.storage.drop(self.now, run.name)
            self.by_name.pop(run.name, None)
        finished = min(finished, len(block.seconds) - 1)
        kept = float(ends[finished - 1]) if finished else 0.0
        self.lost += elapsed - kept
        block.film.to_color -= 0 if block.teaches else finished
        block.seconds = block.seconds[finished:]
        block.attempts = 0 if finished else block.attempts
        self._at(self.now + self.cluster.notice, lambda: self._submit(block, again=True))

    # The films, when their segments are there.

    def _whole(self) -> None:
        self.to_join.append(self.archive.bytes_out * self.archive.hours_of_film)
        self._join()

    def _join(self) -> None:
        while self.to_join and self.joining < self.driver.joiners:
            size = self.to_join.popleft() / self.archive.segment_hours
            self.joining += 1
            pending = [1]

            def done(pending: list[int] = pending) -> None:
                pending[0] -= 1
                if not pending[0]:
                    self.joining -= 1
                    self.films_left -= 1
                    self._join()

            self._at(self.now + size / self.driver.join_rate, done)
            if self._takes_time(size):
                pending[0] += 1
                name = next(self.names)
                self.by_name[name] = done
                self.storage.begin(self.now, name, 2 * size)  # read and written

    def _outcome(self) -> Outcome:
        workers = self.cluster.workers * len(self.nodes)
        return Outcome(
            wall=self.now,
            useful=self.useful,
            lost=self.lost,
            efficiency=self.useful / (workers * self.now) if self.now else 1.0,
            failures=self.failures,
            attempts=self.attempts,
            bytes_moved=self.storage.moved,
            phases=self.phases,
            block=self.block,
        )
