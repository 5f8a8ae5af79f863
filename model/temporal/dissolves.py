"""Dissolves in a series of thumbnails.

In the middle of a dissolve the picture is a mix of the two shots, and its variance, seen over time,
dips (Alattar 1993, "Detecting and compressing dissolve regions in video sequences with a DVI
multimedia image compression algorithm"). The dip is found first; then least squares says whether
the picture there is a mix of those at both sides, and of nothing else.
"""

import torch
from torch import Tensor

from .shot_distance import align_translation, normalize_exposure, shot_distance

DISSOLVE_HALF_LENGTHS = (4, 8, 12)  # frames from within a dissolve to the pictures that mix in it
MAX_DETECTION_DELAY = DISSOLVE_HALF_LENGTHS[-1]  # frames that a dissolve is found late, at most
HISTORY = 2 * MAX_DETECTION_DELAY  # thumbnails before the current one that are looked at
MIN_MIX_WEIGHT = 0.3  # of each of the two pictures in the middle
MAX_RESIDUAL = 0.15  # share of the middle's variance that may be of neither picture
MAX_VARIANCE_RATIO = 0.85  # variance of the middle to the mean of the two pictures'


def dissolve_delays(series: Tensor, count: int, threshold: float) -> list[int]:
    """For each of the last ``count`` thumbnails: how many frames before it a dissolve is found.

    0 where none is. ``series`` ``(m, 1, h, w)`` are consecutive thumbnails, up to `HISTORY` more
    than ``count``; two pictures are of different shots if their `shot_distance` exceeds
    ``threshold``.
    """
    delays = [0] * count
    normalized, deviation = normalize_exposure(series), series.flatten(1).std(1)
    for half in DISSOLVE_HALF_LENGTHS:
        found = min(count, len(series) - 2 * half)
        if found <= 0:
            break
        ends = [len(series) - halves * half for halves in (2, 1, 0)]
        before, middle, after = (slice(end - found, end) for end in ends)
        dips = _variance_dips(deviation[before], deviation[middle], deviation[after])
        distance = (normalized[after] - normalized[before]).abs().mean((1, 2, 3))
        candidates = (dips & (distance > threshold)).nonzero().flatten()
        if len(candidates):
            x, y, z = (series[end - found + candidates] for end in ends)
            for i in candidates[_are_mixes(x, y, z, threshold)].tolist():
                delays[i - found] = delays[i - found] or half
    return delays


def _are_mixes(before: Tensor, middle: Tensor, after: Tensor, threshold: float) -> Tensor:
    """Whether each ``middle`` is a mix of two unlike pictures, about half each, and no more."""
    before, after = align_translation(before, middle), align_translation(after, middle)
    x, y, z = (t.flatten(1) - t.mean((1, 2, 3))[:, None] for t in (before, middle, after))
    pairs = torch.stack((x, z), dim=2)
    weights = torch.linalg.lstsq(pairs, y.unsqueeze(2)).solution
    residual = (y - (pairs @ weights).squeeze(2)).norm(dim=1) / y.norm(dim=1)
    mixed = weights.amin((1, 2)) > MIN_MIX_WEIGHT
    mixed &= (residual.square() < MAX_RESIDUAL) & _variance_dips(x.std(1), y.std(1), z.std(1))
    candidates = mixed.nonzero().flatten()
    if len(candidates):
        distance = shot_distance(after[candidates], before[candidates], threshold)
        mixed[candidates] = distance > threshold
    return mixed


def _variance_dips(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    """Whether the variance is lower in the middle, given the standard deviations of luma."""
    return middle.square() < MAX_VARIANCE_RATIO * (before.square() + after.square()) / 2
