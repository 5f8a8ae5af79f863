"""Segments of a film into files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ...callbacks import Check
from ...options import ColorOptions, EncodeOptions, FilmOptions
from ...video import Clip, Part, recolor_parts
from ..film import FilmColors, FilmPainter, FilmProgress, OnConfidence
from .plan import Segment
from .source import SourceState


@dataclass(frozen=True)
class FilmWork:
    """What all segments of a film have in common: plain data that other machines can be sent.

    ``threads`` of the encoder, where a machine is shared; None: its own choice.
    """

    source: SourceState
    clip: Clip
    frames: range
    color: ColorOptions
    film: FilmOptions
    encode: EncodeOptions
    threads: int | None = None


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
        colors,
        work.color,
        work.film,
        torch.device(device),
        work.frames,
        first=first.frames.start - lead,
        kept=range(first.frames.start, last.frames.stop),
        progress=progress,
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
        threads=work.threads,
        on_part=on_part,
        check=check,
    )
    work.source.check()
