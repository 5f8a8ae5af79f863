"""Work shared among the CPU's cores piece by piece, each piece in a single thread.

torch's own way is to run every operation in all threads, with a barrier after each. Our pieces are
many operations of a tenth of a millisecond each, and often a decoder and an encoder run on the
same cores: the threads would mostly wait for each other.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")

CHECK_INTERVAL = 0.2  # seconds


class _Own(threading.local):
    threads = 1  # that `parallel_map` may use where torch has fewer in the calling thread


_own = _Own()


def row_bands(rows: range, width: int, pixels: int) -> Iterator[slice]:
    """``rows`` in bands of about so many pixels, a row at least."""
    step = max(1, pixels // width)
    return (slice(top, min(top + step, rows.stop)) for top in range(rows.start, rows.stop, step))


def pieces_at_once() -> int:
    """As many as torch has threads in the caller's thread, or had before `in_pieces`."""
    return max(torch.get_num_threads(), _own.threads)


def parallel_map(
    work: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    check: Callable[[], None] | None = None,
) -> list[Result]:
    """``work`` of each of the ``pieces``, in order.

    `pieces_at_once` are in work, each in a thread of its own in which torch has only that one. For
    one at once, the caller's thread does it all. ``check`` is called in the caller's thread,
    between the pieces and several times a second. What it or ``work`` raises ends the work, once
    the pieces begun are done.
    """
    threads = pieces_at_once()
    if threads > 1:
        return _map_in_pool(_shared_pools.submit(threads, _in_this_mode(work), pieces), check)
    results = []
    for piece in pieces:
        results.append(work(piece))
        if check:
            check()
    return results


@contextmanager
def in_pieces() -> Iterator[None]:
    """Within it the calling thread computes alone, and only `parallel_map` uses other cores.

    After an operation in all of torch's threads these wait busily for the next one, for some
    milliseconds, and take the cores from the pieces that come then. Threads that meet torch for the
    first time meanwhile take over the count of one, and keep it.
    """
    before, threads = torch.get_num_threads(), _own.threads
    _own.threads = pieces_at_once()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _own.threads = threads


def run_single_threaded(work: Callable[[], Result]) -> Result:
    """What ``work`` gives, computed in one thread.

    In all of torch's threads many small operations gain nothing, and between them the threads
    wait busily for the next one, on cores that an encoder may need.
    """
    return parallel_map(lambda run: run(), [work])[0]


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Within it torch uses at most ``count`` threads for what the calling thread computes.

    Threads that meet torch for the first time meanwhile take over the count, and keep it.
    """
    before, threads = torch.get_num_threads(), _own.threads
    torch.set_num_threads(min(count, before))
    _own.threads = min(count, threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _own.threads = threads


def _in_this_mode(work: Callable[[Piece], Result]) -> Callable[[Piece], Result]:
    """``work`` for another thread, in the caller's grad and inference mode."""
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def run(piece: Piece) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            return work(piece)

    return run


def _map_in_pool(futures: list[Future[Result]], check: Callable[[], None] | None) -> list[Result]:
    results = []
    try:
        for future in futures:
            while not wait([future], CHECK_INTERVAL).done:
                if check:
                    check()
            results.append(future.result())
            if check:
                check()
    finally:
        for future in futures:
            future.cancel()
        wait(futures)
    return results


class _SharedPools:
    """The process's pools of single threads, one for each number of threads asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pools: dict[int, ThreadPoolExecutor] = {}

    def submit(
        self, threads: int, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> list[Future[Result]]:
        with self.lock:
            if threads not in self.pools:
                self.pools[threads] = _start_pool(threads)
        return [self.pools[threads].submit(work, piece) for piece in pieces]


def _start_pool(threads: int) -> ThreadPoolExecutor:
    """A pool in each of whose threads torch has one thread."""
    pool = ThreadPoolExecutor(threads, "colorizationnet")
    all_started = threading.Barrier(threads)
    before = torch.get_num_threads()

    def limit_this_thread() -> None:
        torch.get_num_threads()  # a thread's first call of torch sets its count to the default
        torch.set_num_threads(1)
        all_started.wait()  # so that no thread takes two of these jobs

    wait([pool.submit(limit_this_thread) for _ in range(threads)])
    # To set a thread's own count also sets the default of the threads to come; put that back.
    torch.set_num_threads(before)
    return pool


_shared_pools = _SharedPools()
