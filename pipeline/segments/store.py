"""The hidden folder beside a film's result in which its finished segments wait for the others."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ...callbacks import Check
from ...files import PREFIX, AtomicOutput
from ...video import Part, count_pictures
from .plan import Segment, from_json, to_json

log = logging.getLogger(__name__)

PLAN = "plan.json"


class SegmentStore:
    """The segments of the film that becomes ``target``, and of its settings, in ``folder``.

    ``key`` is a digest of all that the segments depend on. What a run left of the same target with
    another key is removed: its source or settings have changed.
    """

    def __init__(self, target: Path, key: str) -> None:
        self.target = target
        self._prefix = _prefix(target)
        self.folder = target.parent / f"{self._prefix}{key}"

    @staticmethod
    def is_begun(target: Path) -> bool:
        """Whether an earlier run has left segments of a film that was to become ``target``."""
        return any(target.parent.glob(f"{_prefix(target)}*"))

    @property
    def taught(self) -> Path:
        """Where the networks wait that were taught for the film."""
        return self.folder / "taught"

    @property
    def has_taught(self) -> bool:
        """Whether one of these is there."""
        return any(self.taught.glob("[!.]*.safetensors"))

    def open(self, frames: range) -> list[Segment] | None:
        """Make the folder; the segments of ``frames`` that an earlier run had planned, if any."""
        for other in self.target.parent.glob(f"{self._prefix}*"):
            if other != self.folder:
                log.info(
                    "%s: the source or the settings have changed since an earlier run; "
                    "what it had finished is removed",
                    self.target,
                )
                shutil.rmtree(other, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        try:
            return from_json((self.folder / PLAN).read_text(), frames)
        except (OSError, UnicodeDecodeError):
            return None

    def plan(self, segments: Sequence[Segment]) -> None:
        """Keep the plan; files of another one are removed."""
        for path in self.folder.iterdir():
            if path.is_file():
                with suppress(OSError):
                    path.unlink()
        with AtomicOutput(self.folder / PLAN, overwrite=True) as part:
            part.write_text(to_json(segments))

    def part(self, segment: Segment) -> Part:
        """The segment's frames and file, which may not be there yet."""
        return Part(segment.frames, self.folder / f"{segment.name}{self.target.suffix.lower()}")

    def is_finished(self, segment: Segment, check: Check | None = None) -> bool:
        """Whether the segment's file is there with all its pictures; a broken one is removed."""
        path = self.part(segment).path
        if not path.exists():
            return False
        if count_pictures(path, check) == len(segment.frames):
            return True
        log.warning("%s is broken and made anew", path)
        path.unlink()
        return False

    def size(self) -> int:
        """Bytes of the finished segments."""
        sizes = []
        for path in self._finished():
            with suppress(OSError):
                sizes.append(path.stat().st_size)
        return sum(sizes)

    def count(self) -> int:
        """How many segments are finished."""
        return sum(1 for _ in self._finished())

    def _finished(self) -> Iterator[Path]:
        """Not those that are being written, whose names begin with a dot."""
        return self.folder.glob("[0-9]*-*")

    def remove(self) -> None:
        """Remove the folder: the film is whole, or nothing was finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _prefix(target: Path) -> str:
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
    return f"{PREFIX}film-{name}-"
