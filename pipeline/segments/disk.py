"""The disk that a film's segments need beside the film itself: said beforehand, and watched."""

from __future__ import annotations

import errno
import logging
import shutil

from ...video import Part
from .paint import FilmWork
from .store import SegmentStore

log = logging.getLogger(__name__)

# Bits a pixel of grainy film at each format's own quality, for a first guess.
BITS_A_PIXEL = {
    "h264": 0.3,
    "hevc": 0.2,
    "av1": 0.2,
    "vp9": 0.2,
    "prores": 3.6,
    "prores4444": 5.4,
    "ffv1": 6.0,
}


class DiskNeed:
    """What is to come of a film's segments and of the film, which are there together at the end."""

    def __init__(self, store: SegmentStore, work: FilmWork, finished: int, total: int) -> None:
        self._store, self._count = store, len(work.frames)
        pixels = work.clip.width * work.clip.height * self._count
        guess = pixels * BITS_A_PIXEL.get(work.encode.format, 1.0) / 8
        there = store.size()
        self._frames = self._bytes = 0  # of the segments finished since
        log.info(
            "%s: %d segments%s, kept in %s until the film is whole: about %s of disk with it, "
            "%s are free",
            work.clip.path,
            total,
            f", {finished} of them finished before" if finished else "",
            store.folder,
            _bytes(max(0, 2 * guess - there)),
            _bytes(self._free()),
        )

    def check(self, part: Part) -> None:
        """Raise ``OSError`` when, by the segments so far, the disk will be full before the end."""
        self._frames += len(part.frames)
        self._bytes += part.path.stat().st_size
        whole = self._bytes / self._frames * self._count
        need, free = 2 * whole - self._store.size(), self._free()
        if need > free:
            raise OSError(
                errno.ENOSPC,
                f"the disk is too small, about {_bytes(need)} more are needed and {_bytes(free)} "
                "are free; make room, or name an output on another disk",
                str(self._store.target),
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._store.folder).free


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
