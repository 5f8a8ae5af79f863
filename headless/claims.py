"""Several processes at one folder: who works on a result claims its name first."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..files import PREFIX, STALE
from ..owners import is_dead, owner
from .signals import held

CLAIM = f"{PREFIX}claim-"
BEING_WRITTEN = 60  # seconds that a claim may be empty

_taken: set[Path] = set()  # by this process


@contextmanager
def claimed(target: Path) -> Iterator[bool]:
    """Whether this process has ``target`` to itself in the block; False if another is at it.

    The claim of a process that has ended is taken over. No harm is done where two believe to
    have it: then the one that ends first gives its result the name.
    """
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    claim = target.parent / f"{CLAIM}{digest}"
    mine = False
    try:
        with held():  # a signal comes before there is a file, or when it is known to be ours
            if _take(claim):
                _taken.add(claim)
                mine = True
        yield mine
    finally:
        if mine:
            _give_up(claim)


def give_up_claims() -> None:
    """Give up all that this process has claimed: a signal may have come amid giving one up."""
    for claim in list(_taken):
        _give_up(claim)


def _give_up(claim: Path) -> None:
    with suppress(OSError):
        claim.unlink()
    _taken.discard(claim)


def remove_stale_claims(folder: Path) -> None:
    """Remove the claims that killed programs left in ``folder``."""
    for claim in folder.glob(f"{CLAIM}*"):
        with suppress(OSError):
            _remove_if_stale(claim)


def _take(claim: Path) -> bool:
    for _ in range(3):
        try:
            descriptor = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except PermissionError as error:
            raise PermissionError(error.errno, error.strerror, str(claim.parent)) from None
        except FileExistsError:
            with suppress(FileNotFoundError):  # it has just been given up
                if not _remove_if_stale(claim):
                    return False
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(owner())
        return True
    return False


def _remove_if_stale(claim: Path) -> bool:
    whose = claim.read_text(errors="replace")
    stale = is_dead(whose)
    if stale is None:  # of another host, or not written yet
        age = time.time() - claim.stat().st_mtime
        stale = age > (STALE if whose else BEING_WRITTEN)
    if stale:
        claim.unlink()
    return stale
