"""What stands between the driver and the workers, as an actor on the driver's machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from ...files import AtomicOutput


class News(NamedTuple):
    """What a worker tells: of an attempt at a task that is ``begun``, ``done`` so far, ..."""

    kind: str
    task: int
    node: str
    time: float
    facts: Any


class Courier:
    """Hears how far the tasks are, and carries bytes where nodes do not see the driver's files.

    It hands out pieces of sources and takes pieces of results, one a call, so that no more of
    them is in memory than there are calls. A result has its name when it is whole.
    """

    def __init__(self) -> None:
        self._news: list[News] = []
        self._lock = threading.Lock()
        self._outputs: dict[int, AtomicOutput] = {}
        self._numbers = 0

    def tell(self, kind: str, task: int, node: str, facts: Any = None) -> None:
        """Hear of a task; the driver asks for it by `news`."""
        with self._lock:
            self._news.append(News(kind, task, node, time.time(), facts))

    def news(self) -> list[News]:
        """What has been told since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def read(self, state: Any, offset: int, size: int) -> bytes:
        """A piece of a source, which must be as it was when the work began."""
        state.check()
        with state.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def begin(self, target: Path, overwrite: bool) -> int:
        """Begin a file that will be called ``target``; `write` and `commit` take its number."""
        output = AtomicOutput(target, overwrite=overwrite)
        output.part.touch()
        with self._lock:
            self._numbers += 1
            self._outputs[self._numbers] = output
            return self._numbers

    def write(self, number: int, piece: bytes) -> None:
        with self._outputs[number].part.open("ab") as file:
            file.write(piece)

    def commit(self, number: int, size: int) -> None:
        output = self._outputs.pop(number)
        try:
            if output.part.stat().st_size != size:
                raise RuntimeError(f"{output.path} has not come whole.")
            output.commit()
        finally:
            output.discard()

    def close(self) -> None:
        """Remove what was not committed."""
        for output in self._outputs.values():
            output.discard()
        self._outputs.clear()
