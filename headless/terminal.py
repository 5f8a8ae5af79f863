"""What is printed, harmless to the terminal that shows it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .text import harmless


@contextmanager
def above_bars(file: TextIO) -> Iterator[None]:
    """Let what the block writes to ``file`` stand above the progress bars that there are."""
    if "tqdm" not in sys.modules:
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=file):
        yield


class LogHandler(logging.StreamHandler):
    """The log on standard error, as `harmless` shows it."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        with above_bars(self.stream):
            super().emit(record)


def name_for_output(path: object) -> str:
    """A file's name for standard output: as it is for a program, harmless for a terminal."""
    text = str(path)
    if sys.stdout.isatty():
        return harmless(text).replace("\n", "\\n")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding, getattr(sys.stdout, "errors", None) or "strict")
    except UnicodeEncodeError:
        return ascii(text)[1:-1]
    return text
