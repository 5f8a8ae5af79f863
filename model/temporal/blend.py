"""What is known of a frame's colours: mixed from references, carried on, filled by a guess."""

from typing import NamedTuple

import torch
from torch import Tensor

from .operations import box_mean, warp

MIN_MISMATCH = 0.02  # that noise alone makes
MISMATCH_POWER = 1.5  # of the mismatch, in the variance of a reference's colour
USUAL_DISAGREEMENT = 0.05  # of a reference's chroma and the guess
DISAGREEMENT_POWER = 0.4
USUAL_DISTANCE = 8  # frames
DISTANCE_POWER = 0.3
GUESS_PRECISION = 1.0  # the precision (1 / variance) of the guess, in the references' units
STEP_VARIANCE = 0.3  # that a step to the next frame adds, at a mismatch of 1
STEP_POWER = 2  # of the mismatch in that
STEP_KEEPS = 0.97  # of the precision
MAX_CARRIED = 5  # precision: what references know better than that they show better, too
CARRIED_TRUST = 0.5  # of what is carried, beside the guess
NOTHING = 1e-6  # share of a reference that is none
UNKNOWN = 0.04  # confidence around a pixel at which the guess is half restrained
UNKNOWN_WINDOW = 11  # pixels of a side of what is around
RESTRAINED = 0.3  # of a guess is left where nothing around is known
LOUDER = 1.1  # times as colourful as the references a guess may be where both are known
LOUDNESS_PRIOR = 0.01  # share of a frame that counts as known, and as guessed well


class Known(NamedTuple):
    """Chroma ``(1, 2, h, w)`` that is known, and how well, as 1 / variance ``(1, 1, h, w)``."""

    chroma: Tensor
    precision: Tensor
    trusted: Tensor
    """The same beside the guess, whose precision is `GUESS_PRECISION`."""


def blend(
    chroma: Tensor,
    costs: Tensor,
    weight: Tensor,
    distance: Tensor,
    guess: Tensor,
    carried: Known | None = None,
) -> Known:
    """What ``n`` references show together, and what is ``carried`` from the frame before.

    ``chroma`` ``(n, 2, h, w)`` at mismatch ``costs`` from references ``weight``, ``(n, 1, h, w)``
    both, ``distance`` ``(n, 1, 1, 1)`` frames away. References that match alike are mixed by
    nearness, so that from one keyframe to the next their colours pass over evenly. The ``guess``
    ``(1, 2, h, w)`` is no part of it, but makes unlikely what is far from it.
    """
    disagreement = size_of(chroma - guess) + USUAL_DISAGREEMENT / 5
    variance = (costs + MIN_MISMATCH) ** MISMATCH_POWER
    variance = variance * (disagreement / USUAL_DISAGREEMENT) ** DISAGREEMENT_POWER
    variance = variance * (distance.clamp_min(1) / USUAL_DISTANCE) ** DISTANCE_POWER
    precision = weight / variance
    share = precision / distance
    total = share.sum(0, keepdim=True) + NOTHING
    # What no reference tells of, as outside of strokes, is kept from darkening what lies beside it.
    mixed = ((share * chroma).sum(0, keepdim=True) + NOTHING * guess) / total
    known = (share * precision).sum(0, keepdim=True) / total
    if carried is None:
        return Known(mixed, known, known)
    # What is carried came from the same references: it adds colour, but no precision.
    total = known + carried.precision + NOTHING
    mixed = ((known + NOTHING) * mixed + carried.precision * carried.chroma) / total
    precision, trusted = (torch.maximum(known, part) for part in carried[1:])
    return Known(mixed, precision, trusted)


def carry(known: Known, flow: Tensor, cost: Tensor) -> Known:
    """What is ``known`` of a frame, in the next, whose pixels lay at ``flow`` at this mismatch."""
    # Bicubic, since bilinear sampling would blur a little more with every frame.
    chroma = warp(known.chroma, flow, "bicubic")
    precision = warp(known.precision.clamp_max(MAX_CARRIED), flow)
    variance = STEP_VARIANCE * (cost + MIN_MISMATCH) ** STEP_POWER
    precision = STEP_KEEPS * precision / (1 + precision * variance)
    return Known(chroma, precision, CARRIED_TRUST * precision)


def fill(known: Known, guess: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Chroma of what is ``known`` and of the ``guess``, the share of the first, and its error.

    The error is what is expected, ``(1, 1, h, w)``. ``weight`` ``(1, 1, h, w)``: how far references
    tell of a place at all, 0 to 1.
    """
    confidence = known.trusted / (known.trusted + GUESS_PRECISION)
    # The variance of the mean of two with these precisions, by how far the two are apart.
    error = size_of(weight * known.chroma - guess) * (1 - confidence).sqrt()
    guess = _restrained(guess, known.chroma, confidence, weight)
    return torch.lerp(guess, known.chroma, confidence), confidence, error


def _restrained(guess: Tensor, mixed: Tensor, confidence: Tensor, weight: Tensor) -> Tensor:
    """``guess`` with less colour where it is likely to be wrong.

    In all of the frame, where it is louder than the references are in what both know; and where
    nothing around is known, as far as the references tell of that place at all: strokes do not.
    """
    common = (confidence * mixed * guess).sum(1).mean()
    energy = guess.square().sum(1)
    prior = LOUDNESS_PRIOR * energy.mean()
    loudness = (confidence[:, 0] * energy).mean() + prior
    level = (LOUDER * (common + prior) / loudness.clamp_min(1e-12)).clamp(0, 1)
    around = box_mean(confidence, UNKNOWN_WINDOW).square_()
    unknown = 1 - around / (around + UNKNOWN**2)
    return guess * (level * (1 - (1 - RESTRAINED) * weight * unknown))


def size_of(chroma: Tensor) -> Tensor:
    """The length of each pixel's ``chroma`` ``(n, 2, h, w)``."""
    return chroma.square().sum(1, keepdim=True).sqrt_()
