"""What was measured of a film's segments: written by `measure`, read by the simulation."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .cluster import Archive, Times

HOUR = 3600.0


@dataclass(frozen=True)
class Measured:
    """One film on local nodes. Seconds and bytes; ``None`` and nothing: not measured."""

    machine: str
    date: str
    width: int
    height: int
    fps: float
    frames: int
    segment_frames: int
    one_piece: float  # seconds, on one node's share of the machine
    segments: dict[str, list[float]]  # seconds of each segment, by node
    bytes_in: float  # of the whole film
    bytes_out: float
    start: float | None = None  # until a node works
    plan: float | None = None  # of the film
    dispatch: float | None = None  # of a segment
    join: float | None = None  # of the film
    teach: list[float] = field(default_factory=list)  # of each shot
    runs: list[dict] = field(default_factory=list)  # what was run, for the page
    preliminary: bool = False  # other work ran on the machine

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Raises ``ValueError`` for a file that `write` did not make."""
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            found.archive(1, 1)
        except (TypeError, KeyError, ValueError, ArithmeticError) as error:
            raise ValueError(
                f"{path} is no measurement ({error}); make one with "
                "python -m colorizationnet.benchmarks.scale.measure."
            ) from None
        return found

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @property
    def film_hours(self) -> float:
        return self.frames / self.fps / HOUR

    @property
    def overhead(self) -> float:
        """Seconds of a segment beside its share of the film in one piece."""
        return max(0.0, statistics.mean(self._seen()) - self._share())

    def archive(
        self, hours: float, film_hours: float, segment_frames: int | None = None, shots: float = 0
    ) -> Archive:
        """Hours of such film, in segments of ``segment_frames`` (those measured)."""
        factor = (segment_frames or self.segment_frames) / self.segment_frames
        share = factor * self.segment_frames / self.frames
        seen, overhead = self._seen(), self.overhead
        mean = statistics.mean(seen)
        # The overhead is the same each time; what varies is the work, around its share.
        work = [max(0.0, self._share() + seconds - mean) for seconds in seen]
        return Archive(
            hours=hours,
            film_hours=film_hours,
            segment_hours=factor * self.segment_frames / self.fps / HOUR,
            work=Times(tuple(work)).scaled(factor),
            overhead=Times((overhead,)),
            bytes_in=share * self.bytes_in,
            bytes_out=share * self.bytes_out,
            teach=Times(tuple(self.teach)) if self.teach else Times((0.0,)),
            shots=shots if self.teach else 0,
        )

    def _seen(self) -> list[float]:
        return [seconds for times in self.segments.values() for seconds in times]

    def _share(self) -> float:
        return self.one_piece * self.segment_frames / self.frames
