"""How a worker knows that it sees the driver's folder of results."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ...files import AtomicOutput


@dataclass(frozen=True)
class Token:
    """A file of the driver's beside its results, by which a worker knows the folder again."""

    path: Path
    text: str

    def is_here(self) -> bool:
        """Whether this machine sees the folder, and may write there."""
        try:
            return self.path.read_text() == self.text and os.access(self.path.parent, os.W_OK)
        except (OSError, UnicodeDecodeError):
            return False


class Tokens:
    """The driver's tokens, one in each folder of results."""

    def __init__(self) -> None:
        self._outputs: dict[Path, tuple[AtomicOutput, Token]] = {}
        self._lock = Lock()

    def of(self, target: Path) -> Token:
        folder = target.parent.absolute()
        with self._lock:
            if folder not in self._outputs:
                output = AtomicOutput(folder / "token")
                token = Token(output.part, secrets.token_hex(16))
                token.path.write_text(token.text)
                self._outputs[folder] = output, token
            return self._outputs[folder][1]

    def close(self) -> None:
        for output, _ in self._outputs.values():
            with suppress(OSError):
                output.discard()
