"""SIGTERM and SIGHUP end the work as Ctrl-C does: by an exception, so that nothing is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

_ended: list[int] = []
_holding = 0  # blocks of `held` that are being run
_terminals: list[int] = []  # descriptors; one that has hung up no longer says what it was


class Ended(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def raised() -> Iterator[None]:
    """Raise `Ended` in the block when a signal comes; those that are ignored stay so (nohup)."""
    before = {}
    _ended.clear()
    _terminals[:] = _of_terminals()
    if threading.current_thread() is threading.main_thread():
        ours = [n for n in NUMBERS if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, _end) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _ended.clear()


@contextmanager
def held() -> Iterator[None]:
    """Raise `Ended` at the end of the block where a signal has come within it."""
    global _holding
    before = len(_ended)
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1
        if len(_ended) > before:
            check()


def check() -> None:
    """Raise `Ended` if a signal has come: an exception out of a destructor goes no further."""
    if _ended:
        raise Ended(_ended[0])


def _end(number: int, _: object) -> None:
    if number == getattr(signal, "SIGHUP", None):
        _leave_terminal()
    if _ended and number != signal.SIGINT:
        return  # it is ending already, and shall be let clean up
    _ended.append(number)
    if not _holding:
        raise Ended(number)


def _leave_terminal() -> None:
    """Let what is still said go nowhere: writing to a terminal that has gone is an error."""
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _terminals:
        os.dup2(null, descriptor)
    os.close(null)


def _of_terminals() -> Iterator[int]:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            if stream.isatty():
                yield stream.fileno()
