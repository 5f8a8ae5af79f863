"""Work spread over the CPU's cores by the piece, each piece in a thread of its own.

torch's own way is every operation over all threads, with a barrier after each. Our pieces are
many operations of a tenth of a millisecond, and often a decoder and an encoder run on the same
cores: the threads would mostly wait for each other.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(
    work: Callable[[Piece], None],
    pieces: Iterable[Piece],
    tick: Callable[[], None] | None = None,
) -> None:
    """Do ``work`` on all ``pieces``, as many at a time as torch has threads, one core each.

    ``tick`` is called several times a second, in the caller's thread. What it or ``work`` raises
    ends the work, once the pieces begun are through.
    """
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def run(piece: Piece) -> None:
        # Modes are a thread's own.
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            work(piece)

    pool = _pool(torch.get_num_threads())
    waiting = {pool.submit(run, piece) for piece in pieces}
    try:
        while waiting:
            done, waiting = wait(waiting, 0.2, FIRST_COMPLETED)
            for piece in done:
                piece.result()
            if tick:
                tick()
    finally:
        for piece in waiting:
            piece.cancel()
        wait(waiting)


def on_one_core(work: Callable[[], Result]) -> Result:
    """What ``work`` gives, done in one thread.

    Over all of torch's threads many small operations gain nothing, and the threads wait for the
    next one busily, on cores that an encoder may need.
    """
    result: list[Result] = []
    spread(lambda work: result.append(work()), [work])
    return result[0]


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    started = threading.Barrier(threads)

    def start() -> None:
        torch.get_num_threads()  # a thread's first work would otherwise set its count again
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "colorizationnet", start)
    wait([pool.submit(int) for _ in range(threads)])
    # The count is a thread's own, but for threads to come it is the one set last.
    torch.set_num_threads(threads)
    return pool
