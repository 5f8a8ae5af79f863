"""Segments of a film into files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ...callbacks import Check
from ...model import Network, Reference, load_model, save_model
from ...options import ColorOptions, EncodeOptions, FilmOptions
from ...video import Clip, Part, recolor_parts
from ..film import FilmPainter, FilmProgress, OnConfidence
from ..shots import ShotColors
from .plan import Segment
from .source import SourceState


@dataclass(frozen=True)
class FilmWork:
    """What all segments of a film have in common: plain data that other machines can be sent."""

    source: SourceState
    clip: Clip
    frames: range
    color: ColorOptions
    film: FilmOptions
    encode: EncodeOptions


@dataclass(frozen=True)
class FilmColors:
    """What a film's colours come from.

    ``shots`` and ``references`` (a new iterator at each call) count from the film's first frame.
    ``taught_network`` gives a shot's.
    """

    network: Network
    shots: Sequence[ShotColors] = field(default_factory=lambda: [ShotColors(0)])
    references: Callable[[], Iterable[Reference]] | None = None
    taught_network: Callable[[ShotColors], Network] | None = None


def runs_of(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """The segments, in order, in runs without a gap between them."""
    run: list[Segment] = []
    for segment in segments:
        if run and run[-1].frames.stop != segment.frames.start:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


@torch.inference_mode()
def color_segments(
    work: FilmWork,
    run: Sequence[Segment],
    parts: Sequence[Part],
    colors: FilmColors,
    *,
    device: torch.device | str = "cpu",
    progress: FilmProgress | None = None,
    on_part: Callable[[Part], None] | None = None,
    check: Check | None = None,
    on_confidence: OnConfidence | None = None,
) -> None:
    """Colour a run of segments without gaps into the files of ``parts``.

    Within the run colours are held still as in the whole film; what lies before it is seen as far
    as its first segment asks.
    """
    work.source.check()
    first, last = run[0], run[-1]
    lead = min(first.lead(work.film), first.frames.start - work.frames.start)
    painter = FilmPainter(
        colors.network,
        work.color,
        work.film,
        colors.shots,
        colors.references and colors.references(),
        device=torch.device(device),
        first_frame=first.frames.start - lead,
        start=first.frames.start - lead - work.frames.start,
        lead=lead,
        taught_network=colors.taught_network or (lambda shot: colors.network),
        progress=progress or FilmProgress(None, 0),
        on_confidence=on_confidence,
        check=check,
    )
    recolor_parts(
        work.clip,
        parts,
        painter.paint,
        frames=work.frames,
        lead=lead,
        tail=last.tail(work.film),
        encode=work.encode,
        blend=work.color.strength,
        on_part=on_part,
        check=check,
    )
    work.source.check()


def kept_network(path: Path, teach: Callable[[], Network]) -> Network:
    """The taught network of the file ``path``, or what ``teach`` gives, which is kept there."""
    if path.exists():
        return load_model(path)
    network = teach()
    save_model(network, path, network.metadata)  # type: ignore[arg-type]  # the teachable one
    return network
