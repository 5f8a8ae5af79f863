"""What was made of what: a hidden list in each folder of results, so that a run can go on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from ..version import pack_version
from .sources import Source

NAME = ".colorizationnet.jsonl"

Entry = dict[str, object]


class Journal:
    """The list in ``folder``, a JSON object a line; the last line of a result counts.

    Each names the source (``source``, ``size``, ``mtime_ns``), the ``settings`` (a digest, with
    the weights) and the ``result`` (``result_size``, ``result_mtime_ns``; none of it if the
    source was left, and why: ``left``; ``incomplete`` if frames of the source are missing).
    Several processes may append; a line that a killed one left unfinished is passed over.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._entries: dict[str, Entry] = {}
        self._read_to = 0
        self._news: set[str] = set()
        self.refresh()
        self._news.clear()

    def refresh(self) -> None:
        """Read what was appended since the last time, by whomever."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._read_to:  # begun anew by somebody
                    self._read_to = 0
                file.seek(self._read_to)
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return
        self._read_to += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("name"), str) and "source" in entry:
                self._entries[entry["name"]] = entry
                self._news.add(entry["name"])

    def entry(self, target: Path) -> Entry | None:
        """What is known of the result ``target``."""
        return self._entries.get(target.name)

    def is_news(self, target: Path) -> bool:
        """Whether an entry of ``target`` was added since this run began."""
        return target.name in self._news

    def add(
        self,
        target: Path,
        source: Entry,
        settings: str,
        left: str = "",
        *,
        incomplete: bool = False,
    ) -> None:
        """Note that ``target`` is made, of all of its source or not, or why that was ``left``."""
        entry: Entry = {"name": target.name, **source, "settings": settings}
        entry |= {"left": left} if left else result_of(target) or {}
        entry |= {"incomplete": True} if incomplete else {}
        entry["version"] = pack_version()
        line = json.dumps(entry).encode() + b"\n"
        flags = os.O_CREAT | os.O_APPEND | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if size:
                os.lseek(descriptor, size - 1, os.SEEK_SET)
                if os.read(descriptor, 1) != b"\n":  # a killed process has left half a line
                    line = b"\n" + line
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def source_of(source: Source) -> Entry:
    """What tells one state of a source from another: of a row of pictures, of all of them."""
    if source.pictures is None:
        found = source.path.stat()
        return {"source": source.path.name, "size": found.st_size, "mtime_ns": found.st_mtime_ns}
    from ..pipeline import find_pictures

    pictures, _ = find_pictures(source.pictures)
    facts = [(file.name, (found := file.stat()).st_size, found.st_mtime_ns) for file in pictures]
    return {
        "source": source.pictures.absolute().name,
        "size": sum(size for _, size, _ in facts),
        "mtime_ns": max(mtime_ns for *_, mtime_ns in facts),
        "pictures": hashlib.sha256(repr(facts).encode()).hexdigest()[:16],
    }


def result_of(path: Path) -> Entry | None:
    """What tells a result from one that somebody has changed; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return {"result_size": found.st_size, "result_mtime_ns": found.st_mtime_ns}
