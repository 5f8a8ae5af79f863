"""The peak memory of a process and its children (Linux)."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path


class Peak:
    """Watches process ``pid`` while the context lasts; then ``bytes`` is what was most resident."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._watcher.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        before = {self._pid}
        while not self._ended.wait(0.05):
            pids = _tree(self._pid)
            # A child that is just being started still has its parent's memory.
            self.bytes = max(self.bytes, resident(before.intersection(pids)))
            before = set(pids)


def resident(pids: Iterable[int]) -> int:
    """Bytes in memory; pages of files, such as ffmpeg's own code, once for each program."""
    own, files = 0, {}
    for one in pids:
        try:
            program = os.readlink(f"/proc/{one}/exe")
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if "kB" in line}
        own += kilobytes.get("RssAnon", 0) + kilobytes.get("RssShmem", 0)
        files[program] = max(files.get(program, 0), kilobytes.get("RssFile", 0))
    return (own + sum(files.values())) * 1024


def _tree(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, task.read_text().split())
        except OSError:
            continue
    return [pid, *(below for child in children for below in _tree(child))]
