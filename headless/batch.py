"""Many files, one after the other: nothing twice, what fails named, and a line of counts."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .claims import claimed
from .jobs import Begun, Job, Ledger, Outcome, State
from .journal import source_of

if TYPE_CHECKING:
    from ..callbacks import OnProgress

    Paint = Callable[[Job, bool, OnProgress], str]
    """Colours a job, replacing its result or not; says why, if it was left."""
    Report = Callable[[Begun, int, int], None]
    Color = Callable[[Iterator[Begun], int, Report], Iterator[tuple[Begun, Outcome]]]
    """Colours about so many jobs, in any order, and reports how much is done of each."""

log = logging.getLogger(__name__)

MADE, FAILED, ELSEWHERE = "coloured", "failed", "in work by another process"
TO_DO = (State.TO_DO, State.CHANGED)
# What would meet every further file as well.
ENDS_ALL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
_OF_THE_DISK = {  # in the words of ffmpeg
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
}
MOST_NAMES = 3  # of those that were skipped


class Batch:
    """The work on ``jobs``; ``settings`` of a job is what its result depends on beside its source.

    ``paint`` adds to ``damaged`` the sources that could not be read whole, and to ``incomplete``
    the results that lack frames; those of earlier runs join them.

    Other processes may work on the same jobs: each file is done by one of them.
    """

    def __init__(
        self,
        jobs: list[Job],
        ledger: Ledger,
        settings: Callable[[Job], str],
        skipped: dict[str, list[Path]],
        damaged: list[Path] | None = None,
        incomplete: list[Path] | None = None,
        *,
        overwrite: bool = False,
        traceback: bool = False,
    ) -> None:
        self._ledger, self._settings, self._skipped = ledger, settings, skipped
        self._damaged = [] if damaged is None else damaged
        self._incomplete = [] if incomplete is None else incomplete
        self._overwrite, self._traceback = overwrite, traceback
        self._counts: Counter[State | str] = Counter()
        self._begun = time.monotonic()
        self._count = len(jobs)
        self.jobs: list[Job] = []
        for job in jobs:
            if job.source.problem:
                self.jobs.append(job)
                continue
            state = self._state(job, settings(job))
            if state in TO_DO:
                self.jobs.append(job)
            else:
                self._counts[state] += 1

    @property
    def has_work(self) -> bool:
        return any(not job.source.problem for job in self.jobs)

    def preview(self) -> Iterator[str]:
        """What `run` would do, a line for each file."""
        for job in self.jobs:
            if job.source.problem:
                self._fail(job, ValueError(job.source.problem))
                self._counts[FAILED] += 1
            else:
                self._counts[State.TO_DO] += 1
                yield f"{job.source.path} -> {job.target}"
        log.info(self._summary(0))

    def run(self, paint: Paint) -> Iterator[Path]:
        """Do the jobs, yielding each file as it is written.

        Those that fail are logged and the others done before ``RuntimeError`` is raised. A full
        disk and the like (``OSError``) would meet them all, and ends the work at once.
        """
        waiting, elsewhere, left = list(self.jobs), [], len(self.jobs)
        bar = bar_over(waiting)
        try:
            with bar:
                for job in [*waiting, None]:
                    # Once more at the end, in case the other process has given up.
                    for now in [job] if job else elsewhere:
                        at, begun = bar.n, time.monotonic()
                        outcome = self._outcome(now, paint, bar)
                        if outcome == ELSEWHERE and job:
                            elsewhere.append(now)
                            continue
                        left -= 1
                        self._counts[outcome] += 1
                        bar.update(at + weight_of(now) - bar.n)
                        bar.set_postfix_str(f"{len(self.jobs) - left}/{len(self.jobs)} files")
                        if outcome == MADE:
                            log.info("%s: %.2f s", now.source.path, time.monotonic() - begun)
                            yield now.target
        finally:
            log.info(self._summary(left))
        if failed := self._counts[FAILED]:
            raise RuntimeError(f"{failed} of {self._count} files failed, each named above.")

    def run_together(self, color: Color, rates: Callable[[], str]) -> Iterator[Path]:
        """`run` with ``color``, which is at work on many jobs at a time; `rates` says how fast."""
        elsewhere: list[Job] = []
        held: set[Begun] = set()
        left = len(self.jobs)
        bar = bar_over(self.jobs)
        so_far: dict[Job, int] = {}

        def report(begun: Begun, done: int, total: int) -> None:
            now = weight_of(begun.job) * done // max(total, 1)
            bar.update(now - so_far.get(begun.job, 0))
            so_far[begun.job] = now
            bar.set_postfix_str(f"{rates()}, {len(self.jobs) - left}/{len(self.jobs)} files")

        def count(job: Job, outcome: State | str) -> None:
            nonlocal left
            left -= 1
            self._counts[outcome] += 1
            bar.update(weight_of(job) - so_far.pop(job, 0))

        def begin(jobs: list[Job], *, again: bool) -> Iterator[Begun]:
            for job in jobs:
                try:
                    begun = self._begin(job)
                except (ValueError, RuntimeError, OSError, MemoryError) as error:
                    begun = self._failed(job, error)
                if isinstance(begun, Begun):
                    held.add(begun)
                    yield begun
                elif begun == ELSEWHERE and not again:
                    elsewhere.append(job)
                else:
                    count(job, begun)

        try:
            with bar:
                for jobs in (self.jobs, elsewhere):
                    begin_each = begin(list(jobs), again=jobs is elsewhere)
                    for begun, outcome in color(begin_each, len(jobs), report):
                        job = begun.job
                        if outcome.is_damaged:
                            self._damaged.append(job.source.path)
                        if outcome.is_incomplete:
                            self._incomplete.append(job.target)
                        with begun.claim:
                            held.discard(begun)
                            if outcome.error:
                                count(job, self._failed(job, outcome.error))
                                continue
                            count(job, self._end(begun, outcome.why_left))
                        if not outcome.why_left:
                            yield job.target
        finally:
            for begun in held:
                begun.claim.close()
            log.info(self._summary(left))
        if failed := self._counts[FAILED]:
            raise RuntimeError(f"{failed} of {self._count} files failed, each named above.")

    def _outcome(self, job: Job, paint: Paint, bar: Any) -> State | str:
        try:
            return self._do(job, paint, bar)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            return self._failed(job, error)

    def _failed(self, job: Job, error: Exception) -> str:
        of_disk = disk_error(error, job.target)
        if isinstance(of_disk, OSError) and _ends_all(of_disk, job, self.jobs):
            raise of_disk from error
        self._fail(job, of_disk)
        return FAILED

    def _do(self, job: Job, paint: Paint, bar: Any) -> State | str:
        begun = self._begin(job)
        if not isinstance(begun, Begun):
            return begun
        with begun.claim:
            at, weight = bar.n, weight_of(job)

            def report(done: int, total: int, preview: object = None) -> None:
                bar.update(at + weight * done // max(total, 1) - bar.n)

            why_left = paint(job, begun.overwrite, report)
            return self._end(begun, why_left)

    def _begin(self, job: Job) -> Begun | State | str:
        """Claim a job; or how things stand with it, if there is nothing to do."""
        if job.source.problem:
            raise ValueError(job.source.problem)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        journal = self._ledger.journal(job.target.parent)
        with ExitStack() as claim:
            if not claim.enter_context(claimed(job.target)):
                return ELSEWHERE
            journal.refresh()
            settings = self._settings(job)
            state = self._state(job, settings)
            if state not in TO_DO:
                return state
            source = source_of(job.source)  # before it is read, lest it change meanwhile
            overwrite = self._overwrite or state is State.CHANGED
            return Begun(job, overwrite, source, settings, claim.pop_all())

    def _end(self, begun: Begun, why_left: str) -> State | str:
        """Note what was made of a job."""
        job = begun.job
        is_incomplete = job.target in self._incomplete
        self._ledger.journal(job.target.parent).add(
            job.target, begun.source, begun.settings, why_left, incomplete=is_incomplete
        )
        return State.LEFT if why_left else MADE

    def _state(self, job: Job, settings: str) -> State:
        state = self._ledger.state(job, settings)
        if state is State.INCOMPLETE:
            self._incomplete.append(job.target)
        return state

    def _fail(self, job: Job, error: Exception) -> None:
        text, source = str(error) or "there is not enough memory", job.source.path
        if isinstance(error, OSError) and error.strerror:
            text = f"{error.filename or source}: {error.strerror}."
        if source.name not in text:
            text = f"{source}: {text}"
        log.error(text if text.endswith(".") else f"{text}.", exc_info=self._traceback and error)

    def _summary(self, left: int) -> str:
        parts = []
        if made := self._counts[MADE]:
            seconds = time.monotonic() - self._begun
            each = seconds / made
            parts.append(f"{made} {MADE} in {_duration(seconds)} ({each:.2f} s each)")
        for what in (*State, ELSEWHERE, FAILED):
            if count := self._counts[what]:
                parts.append(f"{count} {getattr(what, 'value', what)}")
        if left:
            parts.append(f"{left} not done")
        if self._damaged:
            parts.append(_named(f"{len(self._damaged)} of damaged sources", self._damaged))
        for reason, paths in self._skipped.items():
            if paths:
                parts.append(_named(f"skipped {len(paths)}, {reason}", paths))
        return "; ".join(parts or ["nothing to do"]) + "."


def _named(what: str, paths: Sequence[Path]) -> str:
    names = ", ".join(path.name or str(path) for path in paths[:MOST_NAMES])
    more = len(paths) - MOST_NAMES
    return f"{what}: {names}" + (f" and {more} more" if more > 0 else "")


def disk_error(error: Exception, target: Path) -> Exception:
    """``error``, or where that is ffmpeg's word of a full disk and the like, the ``OSError``."""
    for words, number in _OF_THE_DISK.items():
        if words in str(error) and not isinstance(error, OSError):
            return OSError(number, words, str(target))
    return error


def _ends_all(error: OSError, job: Job, jobs: Sequence[Job]) -> bool:
    """Whether what has met ``job`` would meet all ``jobs``."""
    if error.errno in ENDS_ALL:
        return True
    folder, named = job.target.parent, str(error.filename)
    in_output = named.startswith(str(folder)) and named != str(job.source.path)
    if not (isinstance(error, PermissionError) and in_output):
        return False
    return all(folder in (job.target.parent, *job.target.parents) for job in jobs)


def bar_over(jobs: Sequence[Job]) -> Any:
    """A progress bar over the bytes of the jobs' sources."""
    from tqdm import tqdm

    total = sum(map(weight_of, jobs))
    return tqdm(
        total=total, desc="all", unit="B", unit_scale=True, dynamic_ncols=True, disable=None
    )


def weight_of(job: Job) -> int:
    try:
        return max(1, job.source.path.stat().st_size)
    except OSError:
        return 1


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
