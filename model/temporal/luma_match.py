"""Whether two pictures' luma show the same surface at a pixel."""

from torch import Tensor

from .operations import box_mean, median

MIN_NOISE = 0.004  # standard deviation of luma that is added to the noise measured
DETAIL_RATIO = 3  # local detail to the error that misplaced edges of it may cause
MATCH_WINDOW = 3  # pixels of a side over which squared errors are averaged
MATCH_SIGMAS = 1.5  # tolerances of error up to which it is surely the same surface
MISMATCH_SIGMAS = 2.6  # tolerances of error from which on it is surely another


def luma_tolerance(luma: Tensor, expected: Tensor, slack: float = 1) -> Tensor:
    """The squared error of the luma that the noise and the picture's own edges explain.

    All ``(n, 1, h, w)``. The noise is taken from the errors' median (1.4826 of it is the standard
    deviation of a Gaussian), so that what is really another surface does not count. The error may
    be ``slack`` times as large.
    """
    noise = median((luma - expected).abs()) * 1.4826 + MIN_NOISE
    detail = box_mean((box_mean(luma, MATCH_WINDOW) - luma).abs(), MATCH_WINDOW)
    return (slack * (noise + detail / DETAIL_RATIO)).square()


def match_confidence(error: Tensor, tolerance: Tensor) -> Tensor:
    """1 where the luma show the same surface, 0 where they do not: ``(n, 1, h, w)``."""
    squared_sigmas = box_mean(error.square(), MATCH_WINDOW) / tolerance
    same, other = MATCH_SIGMAS**2, MISMATCH_SIGMAS**2
    return ((other - squared_sigmas) / (other - same)).clamp(0, 1)
