"""Files that appear whole or not at all, and names that are still free. Standard library only."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

PREFIX, MARK = ".colorizationnet-", ".part"
STALE = 24 * 3600  # seconds since the last write; a writer at work writes far more often


class AtomicOutput:
    """Writes ``part``, a temporary name beside ``path``, and renames it when it is whole.

    A context manager: it yields ``part``, commits at a clean exit and removes the part after an
    exception. ``part`` is new for each output and keeps the suffix of ``path``; it may become a
    file or a folder. Parts that a killed program left in the folder are removed a day later.

    Raises ``FileExistsError`` at once, and again at `commit`, when ``path`` is there already and
    ``overwrite`` is off (a folder is never replaced), and ``FileNotFoundError`` when its folder
    is missing.
    """

    def __init__(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        folder = self.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(f"{self.path}: the folder {folder} does not exist.")
        self._refuse_existing()
        self.part = folder / f"{PREFIX}{secrets.token_hex(8)}{MARK}{self.path.suffix}"
        remove_stale_parts(folder)

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        try:
            if exception_type is None:
                self.commit()
        finally:
            self.discard()

    def _refuse_existing(self) -> None:
        if self.path.is_dir() or (self.path.exists() and not self._overwrite):
            raise FileExistsError(f"{self.path} is there already; choose another name.")

    def commit(self) -> None:
        """Give the part its name."""
        self._refuse_existing()
        if self.part.is_dir() or self._overwrite:
            os.replace(self.part, self.path)
            return
        try:
            os.link(self.part, self.path)  # unlike a rename it never replaces
        except FileExistsError:
            raise FileExistsError(f"{self.path} is there already; choose another name.") from None
        except OSError:  # a file system without links
            os.replace(self.part, self.path)
        self.discard()

    def discard(self) -> None:
        """Remove what there is of the part."""
        _remove(self.part)


def remove_stale_parts(folder: Path) -> None:
    """Remove the parts in ``folder`` that nothing has written to for a day."""
    for part in folder.glob(f"{PREFIX}*{MARK}*"):
        with suppress(OSError):  # it has just gone, or is somebody else's
            if time.time() - part.stat().st_mtime > STALE:
                _remove(part)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def is_within(folder: str | os.PathLike, path: str | os.PathLike) -> bool:
    """Whether ``path`` is inside ``folder`` once every symbolic link is followed."""
    try:
        folder = os.path.realpath(folder)
        return os.path.commonpath((folder, os.path.realpath(path))) == folder
    except ValueError:  # another drive, or a null byte
        return False


def free_name(path: Path) -> Path:
    """``path``, or the first of ``name (1).png``, ``name (2).png`` ... that is free."""
    candidates = (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in count(1))
    return path if not path.exists() else next(name for name in candidates if not name.exists())


def counted_names(folder: Path, stem: str, suffix: str) -> Iterator[Path]:
    """The names ``stem_00001_suffix``, ... in ``folder``, counted on from the highest one there."""
    row = re.compile(rf"{re.escape(stem)}_(\d+)(?:[_.].*)?", re.IGNORECASE)
    taken = [int(found[1]) for name in os.listdir(folder) if (found := row.fullmatch(name))]
    for number in count(max(taken, default=0) + 1):
        yield folder / f"{stem}_{number:05}_{suffix}"
