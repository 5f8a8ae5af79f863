"""The recursive filter of the chroma: for each pixel a scalar Kalman filter along the motion.

Motion-compensated recursive noise reduction (Dubois and Sabri 1984, "Noise reduction in image
sequences using motion-compensated temporal filtering"), where the chroma is filtered and the luma
tells the motion. Each frame takes three steps:

- `predict`: the state is warped along the motion and brought to the frame's exposure;
- `gate`: how many frames the estimate may count for; none where the luma is another surface's;
- `update`: ``estimate += gain * innovation``. The gain is that of a mean, 1 / frames averaged. An
  innovation that lasts longer than flicker explains opens it again, and a surface just come into
  view is corrected as its neighbourhood is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .exposure import match_exposure
from .luma_match import luma_tolerance, match_confidence
from .motion import estimate_motion
from .operations import box_mean, warp, weighted_local_mean

MAX_FRAMES = 4000  # frames averaged at stability 1
MOVING = 0.15  # pixels a frame from which on a surface moves
DISSOLVE_FRAMES = 2  # frames that the old picture counts for when a dissolve is found
LUMA_FRAMES = 4  # frames averaged of the luma, which has little noise and changes with the light
INNOVATION_GAIN = 0.25  # weight of a frame in the mean innovation
VARIANCE_GAIN = 0.1  # weight of a frame in the variance of the flicker
MAX_VARIANCE_GROWTH = 4  # times in a frame, or a change of colour would count as flicker
INNOVATION_WINDOW = 5  # pixels of a side over which innovations are averaged
INNOVATION_GATE = 6  # normalized innovation from which on the chroma has changed, at stability 0
FIRM_SLACK = 2  # times the error of luma that may be the same surface, at stability 1
FIRM_MOVING = 4  # times the frames averaged of what moves, at stability 1


def averaged_frames(stability: float) -> float:
    """Frames averaged of a surface that stands still: 1 at ``stability`` 0, 63 at 0.5."""
    return MAX_FRAMES**stability


class FilterTuning(NamedTuple):
    """What depends on the kind of chroma."""

    detailed: bool  # it has edges and grain of its own, and grows and fades with the light
    max_frames_moving: float  # frames averaged of what moves: errors of the motion add up
    max_path: float  # pixels that a surface is followed at most into the frames ahead
    visibility_threshold: float  # deviation of chroma that nobody sees
    luma_slack: float  # times the error of luma that may be the same surface

    def held_at(self, stability: float) -> FilterTuning:
        """This, made for ``stability``: above the default colours hold on to more than is sure.

        Few surfaces are in sight for longer than the average at 0.5. What ends it is luma that
        differs, by light and shade and grain, and motion; more of both is then borne.
        """
        firmness = max(0.0, 2 * stability - 1)
        return self._replace(
            max_frames_moving=self.max_frames_moving * FIRM_MOVING**firmness,
            luma_slack=self.luma_slack * FIRM_SLACK**firmness,
        )


class FilterState(NamedTuple):
    """What is known of the surface at each pixel of the last frame, ``(1, c, h, w)`` each."""

    estimate: Tensor  # filtered chroma (c = 2)
    luma: Tensor  # mean over a few frames
    frames_seen: Tensor  # for which the surface has been in view
    frames_averaged: Tensor  # that the estimate is worth: fewer where the light has risen
    mean_innovation: Tensor  # moving average (c = 2)
    flicker_variance: Tensor  # of the chroma, from frame to frame

    @staticmethod
    def first(chroma: Tensor, luma: Tensor) -> FilterState:
        """The state after the first frame of a shot."""
        zero, one = torch.zeros_like(luma), torch.ones_like(luma)
        return FilterState(chroma, luma, one, one, torch.zeros_like(chroma), zero)

    def warp(self, flow: Tensor) -> FilterState:
        """The state read along ``flow``; bicubic for the estimate, which would blur otherwise."""
        others = self[1:]
        moved = warp(torch.cat(others, dim=1), flow).split([t.shape[1] for t in others], dim=1)
        return FilterState(warp(self.estimate, flow, "bicubic"), *moved)

    def scale_chroma(self, ratio: Tensor) -> FilterState:
        """The state under light that is ``ratio`` as bright: true colours change with it."""
        return self._replace(
            estimate=self.estimate * ratio,
            # What was darker tells less of what is brighter now.
            frames_averaged=self.frames_averaged / ratio.clamp(min=1),
            mean_innovation=self.mean_innovation * ratio,
            flicker_variance=self.flicker_variance * ratio.square(),
        )


class Measurement(NamedTuple):
    """Frames, and how each compares with the one before: ``(n, c, h, w)`` each."""

    chroma: Tensor
    luma: Tensor
    flow: Tensor  # to the frame before (c = 2)
    is_moving: Tensor
    exposure_gain: Tensor
    exposure_offset: Tensor
    exposure_ratio: Tensor
    tolerance: Tensor  # squared error of luma that may be the same surface
    flicker_variance: Tensor  # of the chroma, as these two frames show it

    def frames(self) -> Iterator[Measurement]:
        """One frame after the other, ``(1, c, h, w)``."""
        return map(Measurement._make, zip(*(part.split(1) for part in self), strict=True))


def measure(
    chroma: Tensor,
    luma: Tensor,
    previous: Tensor,
    tuning: FilterTuning,
    flow: Tensor | None = None,
) -> Measurement:
    """Compare consecutive frames, ``previous`` being luma and chroma before the first of them.

    ``flow`` is the motion from each to the one before, where it is known.
    """
    frames = torch.cat((previous, torch.cat((luma, chroma), dim=1)))
    if flow is None:
        flow = estimate_motion(frames[:, :1])
    moved_luma, moved_chroma = warp(frames[:-1], flow).split((1, 2), dim=1)
    exposure = match_exposure(moved_luma, luma)
    if tuning.detailed:
        moved_chroma = exposure.ratio * moved_chroma
    expected = exposure.gain * moved_luma + exposure.offset
    tolerance = luma_tolerance(luma, expected, tuning.luma_slack)
    is_moving = flow.square().sum(1, keepdim=True) > MOVING**2
    # Half the squared difference of two frames is their variance (von Neumann 1941).
    difference = (chroma - moved_chroma).square().sum(1, keepdim=True)
    flicker_variance = box_mean(difference, INNOVATION_WINDOW) / 2
    return Measurement(chroma, luma, flow, is_moving, *exposure, tolerance, flicker_variance)


def predict(state: FilterState, frame: Measurement, tuning: FilterTuning) -> FilterState:
    """The state where, and in the light in which, ``frame`` shows the same surfaces."""
    if frame.flow.any():
        state = state.warp(frame.flow)
    if tuning.detailed:
        state = state.scale_chroma(frame.exposure_ratio)
    return state._replace(luma=frame.exposure_gain * state.luma + frame.exposure_offset)


def gate(
    state: FilterState,
    frame: Measurement,
    stability: float,
    tuning: FilterTuning,
    *,
    dissolve: bool = False,
) -> Tensor:
    """How many frames a predicted estimate may count for at each pixel, ``(1, 1, h, w)``.

    ``dissolve``: one has been found that ended what was there.
    """
    longest = averaged_frames(stability)
    limit = torch.where(frame.is_moving, min(longest, tuning.max_frames_moving), longest)
    limit = limit * match_confidence(frame.luma - state.luma, frame.tolerance)
    return limit.clamp(max=DISSOLVE_FRAMES) if dissolve else limit


def update(
    state: FilterState,
    frame: Measurement,
    max_frames: Tensor,
    stability: float,
    tuning: FilterTuning,
) -> FilterState:
    """The state after ``frame``, of the predicted one, whose estimate counts for ``max_frames``.

    The innovation is tested by its moving average, normalized by the variance that flicker alone
    would give that (Roberts 1959, "Control chart tests based on geometric moving averages"); beyond
    the gate (Bar-Shalom and Fortmann 1988, "Tracking and Data Association") averaging starts anew.
    """
    innovation, invisible = frame.chroma - state.estimate, tuning.visibility_threshold**2
    mean_innovation = torch.lerp(
        state.mean_innovation * max_frames.clamp(max=1), innovation, INNOVATION_GAIN
    )
    most = MAX_VARIANCE_GROWTH * state.flicker_variance + invisible
    flicker_variance = torch.lerp(
        state.flicker_variance, torch.minimum(frame.flicker_variance, most), VARIANCE_GAIN
    )
    expected = flicker_variance * (INNOVATION_GAIN / (2 - INNOVATION_GAIN)) + invisible
    local_mean = box_mean(mean_innovation, INNOVATION_WINDOW)
    normalized_innovation = local_mean.square().sum(1, keepdim=True) / expected
    openness = (1 - stability) / INNOVATION_GATE
    reset_weight = (normalized_innovation * openness - 1).clamp(0, 1)
    frames_seen, frames_averaged = (
        torch.minimum(count, max_frames) * (1 - reset_weight) + 1
        for count in (state.frames_seen, state.frames_averaged)
    )
    estimate = state.estimate + innovation / frames_averaged
    luma = state.luma + (frame.luma - state.luma) / frames_averaged.clamp(max=LUMA_FRAMES)
    return FilterState(
        _blend_with_neighbours(estimate, frame, frames_averaged, tuning),
        luma,
        frames_seen,
        frames_averaged,
        mean_innovation * (1 - reset_weight),
        flicker_variance,
    )


def _blend_with_neighbours(
    estimate: Tensor, frame: Measurement, frames_averaged: Tensor, tuning: FilterTuning
) -> Tensor:
    """The newer a surface, the more its chroma is corrected as that of its neighbours is."""
    correction = estimate - frame.chroma
    neighbour_weight = 1 / frames_averaged.square()
    if tuning.detailed:
        # What moves is blurred in the estimate, so only what is smooth in its correction is used.
        neighbour_weight = torch.where(frame.is_moving, 1, neighbour_weight)
    confidence = 1 - 2 / (frames_averaged + 1)
    local_mean = weighted_local_mean(correction, confidence, wide_prior=tuning.detailed)
    return estimate + (local_mean - correction) * neighbour_weight
