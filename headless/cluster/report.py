"""What was done where, and what it cost: for the user in a line, for others in a file."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...files import AtomicOutput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """A segment, a film, a photo or a teaching that is done, and where. ``bytes_in``, ``bytes_out``
    went through the object store; ``time`` is when it was done, ``seconds`` how long it took."""

    name: str
    kind: str
    node: str
    frames: int
    seconds: float
    time: float = 0.0
    task: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass
class Report:
    """All pieces, in the order in which they were heard of, and attempts at tasks: ``attempts`` has
    one of ``(task, node, process id, time)`` for each, so that a task with two was retried."""

    pieces: list[Piece] = field(default_factory=list)
    attempts: list[tuple[int, str, int, float]] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def retries(self) -> int:
        return len(self.attempts) - len({task for task, *_ in self.attempts})

    @property
    def bytes_moved(self) -> int:
        return sum(piece.bytes_in + piece.bytes_out for piece in self.pieces)

    def by_node(self) -> dict[str, tuple[int, float]]:
        """Frames (a photo is one) and seconds of work of each node."""
        found: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        for piece in self.pieces:
            frames, seconds = found[piece.node]
            found[piece.node] = frames + piece.frames, seconds + piece.seconds
        return dict(found)

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        log.debug("%s", json.dumps(asdict(piece)))

    def tell(self) -> None:
        """Say what each node has done."""
        parts = [f"{node}: {frames} frames" for node, (frames, _) in sorted(self.by_node().items())]
        if self.retries:
            parts.append(f"tasks begun again: {self.retries}")
        if self.bytes_moved:
            parts.append(f"{self.bytes_moved / 1e6:.1f} MB sent")
        if parts:
            log.info("On the cluster: %s.", "; ".join(parts))

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write it as JSON, under the conditions of `check_name`."""
        check_name(path, overwrite=overwrite)
        facts = asdict(self) | {"retries": self.retries, "bytes_moved": self.bytes_moved}
        with AtomicOutput(path, overwrite=True) as part:
            part.write_text(json.dumps(facts, indent=1))


def check_name(path: Path, *, overwrite: bool = False) -> None:
    """Raise what `AtomicOutput` raises where no report could be written.

    An earlier report is replaced, and with ``overwrite`` any other file.
    """
    AtomicOutput(path, overwrite=overwrite or _is_report(path)).discard()


def _is_report(path: Path) -> bool:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"pieces", "attempts"} <= found.keys()
