"""A long film in segments, each coloured into a file of its own, which are joined at the end."""

from ..film import FilmColors, FilmProgress
from .disk import DiskNeed
from .film import PlannedFilm, colorize_long_film, is_divisible
from .paint import FilmWork, color_segments, runs_of
from .plan import LENGTH, LONG, Segment, at_nearest, even_boundaries, segments_between
from .source import SourceState
from .store import SegmentStore

__all__ = [
    "LENGTH",
    "LONG",
    "DiskNeed",
    "FilmColors",
    "FilmProgress",
    "FilmWork",
    "PlannedFilm",
    "Segment",
    "SegmentStore",
    "SourceState",
    "at_nearest",
    "color_segments",
    "colorize_long_film",
    "even_boundaries",
    "is_divisible",
    "runs_of",
    "segments_between",
]
