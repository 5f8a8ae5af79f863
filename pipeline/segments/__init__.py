"""A long film in segments, each coloured into a file of its own, which are joined at the end."""

from ..film import FilmColors
from .film import colorize_long_film, is_divisible
from .paint import FilmWork, color_segments
from .plan import Segment, at_nearest, even_boundaries, segments_between
from .source import SourceState
from .store import SegmentStore

__all__ = [
    "FilmColors",
    "FilmWork",
    "Segment",
    "SegmentStore",
    "SourceState",
    "at_nearest",
    "color_segments",
    "colorize_long_film",
    "even_boundaries",
    "is_divisible",
    "segments_between",
]
