"""On a worker: the driver's files, seen on a shared disk or carried by its courier."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...files import TEMP_PREFIX, AtomicOutput, remove_stale_temp
from ...options import SHIPPED_WEIGHTS
from ...pipeline import Network, VideoError, load_model
from ...pipeline.segments import SourceState
from ...version import pack_version
from ...video import versions
from ..claims import claimed
from .tokens import Token

PIECE = 8 * 2**20  # bytes that are sent at a time
TELL_EVERY = 0.5  # seconds
FORGET_AFTER = 24 * 3600  # seconds after which a source that was carried here is not needed
RESERVE = 2**28  # bytes of disk that a source must leave


@dataclass(frozen=True)
class Call:
    """What every task is sent: whom to tell, its number, and of which version the driver is."""

    courier: Any
    task: int
    cpus: int
    on_gpu: bool
    carry: bool  # files are sent, seen or not
    pack: str
    ffmpeg: str

    def check_version(self) -> None:
        """Nodes that have come since the driver looked at all of them are checked here."""
        here = pack_version(), versions()
        if here != (self.pack, self.ffmpeg):
            raise ValueError(
                f"A node that joined the cluster has version {here[0]} of the pack and {here[1]}, "
                f"the driver {self.pack} and {self.ffmpeg}; install the same on both."
            )


class Link:
    """A worker's way to the driver, for one attempt at a task."""

    def __init__(self, call: Call) -> None:
        import ray

        self._ray, self._call = ray, call
        self.node = ray.get_runtime_context().get_node_id()
        self.bytes_in = self.bytes_out = 0
        self._next = 0.0
        self.tell("begun", os.getpid())

    def tell(self, kind: str, facts: Any) -> None:
        self._call.courier.tell.remote(kind, self._call.task, self.node, facts)

    def tell_progress(self, facts: Any) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_EVERY
            self.tell("progress", facts)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What the courier answers, or the error that it met."""
        from ray.exceptions import RayTaskError

        try:
            return self._ray.get(getattr(self._call.courier, method).remote(*arguments))
        except RayTaskError as error:
            raise error.cause from None

    def sees(self, token: Token) -> bool:
        """Whether results can be written where the driver wants them."""
        return not self._call.carry and token.is_here()

    def source(self, state: SourceState) -> SourceState:
        """The file as this machine has it: where the driver has it, or carried here, once."""
        with suppress(VideoError):
            if not self._call.carry and SourceState.of(state.path) == state:
                return state
        folder = _folder_of(state)
        path = folder / state.path.name
        while not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with claimed(path) as mine:
                if mine and not path.exists():
                    self._fetch(state, path)
            if not mine:
                time.sleep(TELL_EVERY)
        with suppress(OSError):
            os.utime(folder)  # so that it is kept while it is used
        return SourceState.of(path)

    def _fetch(self, state: SourceState, path: Path) -> None:
        free = shutil.disk_usage(path.parent).free
        if free < state.size + RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))
        with AtomicOutput(path) as part:
            with part.open("wb") as file:
                while file.tell() < state.size:
                    piece = self.ask("read", state, file.tell(), PIECE)
                    file.write(piece)
                    self.bytes_in += len(piece)
            os.utime(part, ns=(state.mtime_ns, state.mtime_ns))

    def deliver(self, path: Path, target: Path) -> None:
        """Send a file to where the driver wants it, and remove it here."""
        number = self.ask("begin", target, True)
        size = 0
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                self.ask("write", number, piece)
                size += len(piece)
        self.ask("commit", number, size)
        self.bytes_out += size
        path.unlink()

    def network(self, weights: SourceState | None) -> Network:
        """The network of these weights (None: the shipped ones, which every node has)."""
        path = SHIPPED_WEIGHTS if weights is None else self.source(weights).path
        return _network(path, path.stat().st_mtime_ns)


@cache
def _network(path: Path, _: int) -> Network:
    return load_model(path)


def _carried() -> Path:
    """The folder of what was carried here, this user's alone."""
    user = getattr(os, "getuid", int)()
    folder = Path(tempfile.gettempdir(), f"{TEMP_PREFIX}carried-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != user:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return folder


def tidy() -> None:
    """Remove what is not needed any more of what was carried here, and what killed workers left."""
    remove_stale_temp(tempfile.gettempdir())
    for folder in _carried().glob("*/*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > FORGET_AFTER:
                shutil.rmtree(folder)


def forget(state: SourceState) -> None:
    """Remove this source, if it was carried here."""
    folder = _folder_of(state)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def _folder_of(state: SourceState) -> Path:
    return _carried() / state.ends / f"{state.size}-{state.mtime_ns}"


def answered(work: Callable[..., Any]) -> Callable[..., Any]:
    """``work``, which gives what the user can mend as a value: Ray shall not try it again."""

    def run(*arguments: Any) -> Any:
        try:
            return work(*arguments)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            return Failed(error, _node())

    run.__name__, run.__qualname__, run.__module__ = work.__name__, work.__name__, work.__module__
    return run


def renamed(error: Exception, path: Path, name: Path) -> Exception:
    """``error`` with the ``name`` that the user knows in the place of a ``path``."""
    if path == name:
        return error
    if isinstance(error, OSError) and error.filename:
        error.filename = str(error.filename).replace(str(path), str(name))
    else:
        error.args = tuple(
            text.replace(str(path), str(name)) if isinstance(text, str) else text
            for text in error.args
        )
    return error


def _node() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()


@dataclass(frozen=True)
class Failed:
    """An error of a task, and the node that met it."""

    error: Exception
    node: str
