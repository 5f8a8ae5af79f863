"""What became of one workflow for many files, here or on servers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)


def results_of(
    outcomes: Iterable[tuple[str, Iterable[Path], Exception | None]], count: int
) -> Iterator[Path]:
    """Yield the results of ``count`` outcomes: a name, its results, and what went wrong.

    What went wrong is logged by its name; at the end that is a ``RuntimeError``. The error of an
    only outcome is raised itself.
    """
    failed = 0
    for name, paths, error in outcomes:
        yield from paths
        if error is None:
            continue
        if count == 1:
            raise error
        failed += 1
        text = str(error)
        log.error(text if name in text else f"{name}: {text}")
    if failed:
        raise RuntimeError(f"{failed} of {count} failed, each named above.")
