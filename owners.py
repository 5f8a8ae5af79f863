"""Whose a temporary file is, as its name says, and whether that process still runs."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

OWNER = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)")


def owner() -> str:
    """This process, as part of a file's name: host, process id, and when it began."""
    return _owner(os.getpid())


@cache
def _owner(pid: int) -> str:
    return f"{_host()}-{pid}-{_start(pid) or 0}"


def is_dead(text: str) -> bool | None:
    """Whether the owner that ``text`` names has ended.

    ``None`` where that cannot be known: it names none, or a process of another host.
    """
    found = OWNER.search(text)
    if found is None or found["host"] != _host() or sys.platform == "win32":
        return None
    pid, start = int(found["pid"]), int(found["start"])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # somebody else's
        pass
    now = _start(pid)
    # Another process may have got its number since; a zombie has begun at -1.
    return now is not None and start != 0 and now != start


@cache
def _host() -> str:
    """What tells this host's process ids from those of others: of containers as well."""
    import platform  # deferred: it is slow, and few commands write files

    parts = [platform.node()]
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            parts.append(Path(name).read_text())
            break
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _start(pid: int) -> int | None:
    """When a process began, in ticks since the start of the system, where Linux tells it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
