"""Where a film is divided into segments, and how much around each must be seen to colour it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...model import LOOK_AHEAD, averaged_frames
from ...options import FilmOptions
from ...video import Clip

LENGTH = 500  # frames of a segment on one machine: what a kill costs at most
LONG = 5 * LENGTH  # frames from which on a film is worth dividing
AT_CUT = 2  # frames seen beyond a cut, by which the network's looks and the filter find it
AHEAD = LOOK_AHEAD + AT_CUT  # frames seen after a segment that ends elsewhere
LEAST_WARM_UP, MOST_WARM_UP = 24, 500  # frames seen before a segment that begins elsewhere
WARM_UP = 2  # times the frames that the filter averages; then chroma is within a level


@dataclass(frozen=True)
class Segment:
    """Consecutive ``frames`` of a clip that are coloured by themselves."""

    frames: range
    begins_at_cut: bool
    ends_at_cut: bool

    @property
    def name(self) -> str:
        """What its file is called, without the suffix."""
        return f"{self.frames.start:09}-{self.frames.stop:09}"

    def lead(self, film: FilmOptions) -> int:
        """Frames before it that are coloured and thrown away, for the temporal filter.

        That is twice as long as the filter averages what stands still, within bounds.
        """
        if self.begins_at_cut or not film.stability:
            return AT_CUT
        averaged = math.ceil(averaged_frames(film.stability))
        return min(max(WARM_UP * averaged, LEAST_WARM_UP), MOST_WARM_UP)

    def tail(self, film: FilmOptions) -> int:
        """Frames after it that are looked at."""
        return AT_CUT if self.ends_at_cut or not film.stability else AHEAD


def even_boundaries(frames: range, length: int = LENGTH) -> list[int]:
    """Where segments of about ``length`` begin, but for the first."""
    count = max(1, round(len(frames) / length))
    return [frames.start + number * len(frames) // count for number in range(1, count)]


def at_nearest(boundaries: Sequence[int], cuts: Iterable[int], reach: int) -> dict[int, bool]:
    """The boundaries, each moved to the nearest of the ``cuts`` at most ``reach`` frames away.

    Each with whether a shot begins there.
    """
    cuts = sorted(cuts)
    found = {}
    for boundary in boundaries:
        near = [cut for cut in cuts if abs(cut - boundary) <= reach]
        if near:
            found[min(near, key=lambda cut: abs(cut - boundary))] = True
        else:
            found.setdefault(boundary, False)
    return found


def likely_cuts(clip: Clip, frames: range) -> list[int]:
    """Frames at which, by the way the clip is coded, shots may begin.

    Encoders put a key frame at a cut and else at even distances: one that comes sooner may be a
    cut. Nothing is decoded for it, and where it is none, nothing is lost.
    """
    keys = [] if clip.key_frames is None else clip.key_frames.tolist()
    even = max((after - before for before, after in pairwise(keys)), default=0)
    return [key for before, key in pairwise(keys) if key - before < even and key in frames]


def segments_between(frames: range, boundaries: dict[int, bool]) -> list[Segment]:
    """The segments of ``frames``, in order, that begin at ``boundaries`` (at a cut, or not)."""
    bounds = {frames.start: True, **boundaries, frames.stop: True}
    return [
        Segment(range(start, stop), bounds[start], bounds[stop])
        for start, stop in pairwise(sorted(bounds))
    ]


def to_json(segments: Sequence[Segment]) -> str:
    return json.dumps([[s.frames.start, s.begins_at_cut] for s in segments])


def from_json(text: str, frames: range) -> list[Segment] | None:
    """The segments of ``frames`` that `to_json` wrote; None for anything else."""
    try:
        starts = {int(start): bool(at_cut) for start, at_cut in json.loads(text)}
    except (ValueError, TypeError, RecursionError):
        return None
    inner = {start: at_cut for start, at_cut in starts.items() if start != frames.start}
    if frames.start not in starts or any(start not in frames for start in inner):
        return None
    return segments_between(frames, inner)
