"""A file or folder that appears under its name only when it is whole."""

import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from .ffmpeg import VideoError

PREFIX, SUFFIX = ".colorizationnet-", ".part"
STALE = 24 * 3600  # seconds since the last write; an encoder at work writes far more often


class Target:
    """``part`` is a temporary name beside ``path``: `commit` renames it, `discard` removes it.

    Parts that a killed program left in the folder are removed a day later.

    Raises ``FileExistsError`` at once, and again at `commit`, when ``path`` is there already and
    ``overwrite`` is off.
    """

    def __init__(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        if not self.path.parent.is_dir():
            raise VideoError(f"{self.path}: the folder {self.path.parent} does not exist.")
        self._refuse_existing()
        self.part = self.path.parent / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        for part in self.path.parent.glob(f"{PREFIX}*{SUFFIX}"):
            with suppress(OSError):  # it has just gone, or is somebody else's
                if time.time() - part.stat().st_mtime > STALE:
                    _remove(part)

    def _refuse_existing(self) -> None:
        if self.path.is_dir() or (self.path.exists() and not self._overwrite):
            raise FileExistsError(f"{self.path} is there already; choose another name.")

    def commit(self) -> None:
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
        _remove(self.part)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
