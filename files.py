"""Files that appear whole or not at all, and names that are still free. Standard library only."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from .owners import OWNER, is_dead, owner

PREFIX, MARK = ".colorizationnet-", ".part"
TEMP_PREFIX = "colorizationnet-"
STALE = 24 * 3600  # seconds since the last write; a writer at work writes far more often
SWEEP_AGAIN = 10  # seconds; a folder of thousands of results is not searched for each of them

_swept: dict[Path, float] = {}
_parts: set[Path] = set()  # that this process has begun


class AtomicOutput:
    """Writes ``part``, a temporary name beside ``path``, and renames it when it is whole.

    A context manager: it yields ``part``, commits at a clean exit and removes the part after an
    exception. ``part`` is new for each output and keeps the suffix of ``path``; it may become a
    file or a folder. Parts that a killed program left in the folder are removed by the next one
    (of another host: a day later).

    Raises ``FileExistsError`` at once, and again at `commit`, when ``path`` is there already and
    ``overwrite`` is off (only a plain file is ever replaced), ``FileNotFoundError`` when its
    folder is missing, and ``OSError`` for a name that no file can have or a folder that cannot
    be written to.
    """

    def __init__(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        folder = self.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(f"{self.path}: the folder {folder} does not exist.")
        self._refuse_existing()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        name = f"{PREFIX}{owner()}-{secrets.token_hex(4)}{MARK}{self.path.suffix}"
        self.part = folder / name
        if time.monotonic() - _swept.get(folder, -SWEEP_AGAIN) >= SWEEP_AGAIN:
            remove_stale_parts(folder)
        _parts.add(self.part)

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        try:
            if exception_type is None:
                self.commit()
        finally:
            self.discard()

    def _refuse_existing(self) -> None:
        try:
            mode = os.lstat(self.path).st_mode  # raises for a name that is too long, too
        except FileNotFoundError:
            return
        replaceable = stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and self.path.is_file())
        if not (self._overwrite and replaceable):
            raise FileExistsError(f"{self.path} is there already; choose another name.")

    def commit(self) -> None:
        """Give the part its name."""
        self._refuse_existing()
        if self.part.is_dir() or self._overwrite:
            os.replace(self.part, self.path)
            return
        try:
            try:
                os.link(self.part, self.path)  # unlike a rename it never replaces
            except (FileExistsError, FileNotFoundError):
                raise
            except OSError:  # a file system without links: the name is taken first
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                try:
                    os.replace(self.part, self.path)
                except OSError:
                    self.path.unlink()
                    raise
        except FileExistsError:
            raise FileExistsError(f"{self.path} is there already; choose another name.") from None
        self.discard()

    def discard(self) -> None:
        """Remove what there is of the part."""
        _remove(self.part)
        _parts.discard(self.part)


def discard_open_parts() -> None:
    """Remove the parts that this process has begun and neither committed nor discarded."""
    for part in list(_parts):
        with suppress(OSError):
            _remove(part)
        _parts.discard(part)


def remove_stale_parts(folder: Path) -> None:
    """Remove the parts in ``folder`` whose process has ended.

    Where that cannot be known, those that nothing has written to for a day.
    """
    _swept[folder] = time.monotonic()
    for part in folder.glob(f"{PREFIX}*{MARK}*"):
        with suppress(OSError):  # it has just gone, or is somebody else's
            dead = is_dead(part.name)
            if dead or (dead is None and time.time() - part.stat().st_mtime > STALE):
                _remove(part)


def temp_prefix() -> str:
    """How the names of temporary folders begin, so that `remove_stale_temp` finds them."""
    return f"{TEMP_PREFIX}{owner()}-"


def remove_stale_temp(folder: str | os.PathLike) -> None:
    """Remove the temporary folders that killed programs left in ``folder``."""
    for left in Path(folder).glob(f"{TEMP_PREFIX}*-*-*-*"):
        # By its whole name, lest a user's own folder be taken for one.
        if re.match(f"{TEMP_PREFIX}{OWNER.pattern}-", left.name) and is_dead(left.name):
            with suppress(OSError):
                _remove(left)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
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


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
