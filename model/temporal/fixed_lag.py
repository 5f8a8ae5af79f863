"""Fixed-lag smoothing: each frame waits for a few later ones and is corrected by what they show.

(Anderson and Moore 1979, "Optimal Filtering", chapter 7.) The filter knows a surface best when it
has seen it longest. So a frame that has waited takes over the estimate of the latest frame, along
the path on which its pixels have moved since, as far as that is the same surface.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .chroma_filter import FilterState, FilterTuning
from .exposure import match_exposure
from .luma_match import luma_tolerance, match_confidence
from .operations import box_mean, warp, weighted_local_mean

WEIGHT_WINDOW = 5  # pixels of a side over which the weight of the later estimate is averaged
BLURRED_PATH = 2  # pixels of path from which on the later estimate is too blurred for detail


class DelayedFrame(NamedTuple):
    """A frame as the filter left it, ``(1, c, h, w)`` each."""

    estimate: Tensor
    frames_averaged: Tensor
    luma: Tensor


class SmoothingJob(NamedTuple):
    """A delayed frame and what is known ``lag`` frames later, ``(1, c, h, w)`` each."""

    frame: DelayedFrame
    path: Tensor  # from its pixels to the same surfaces in the latest frame (c = 2)
    latest: Tensor  # the filter's estimate, luma and frames seen (c = 4)
    lag: int


class DelayLine:
    """The frames that wait to be smoothed, oldest first, and the paths of their pixels."""

    def __init__(self, tuning: FilterTuning) -> None:
        self.tuning = tuning
        self.frames: deque[DelayedFrame] = deque()
        self.paths = torch.empty(0)  # (len(frames), 2, h, w)

    def __len__(self) -> int:
        return len(self.frames)

    def follow(self, flow: Tensor) -> None:
        """Lengthen the paths by the ``flow`` ``(1, 2, h, w)`` from the next frame to the last."""
        if not self.frames or not flow.any():
            return
        # Low-res chroma is followed so little way that the flow is the same all along it.
        if self.tuning.detailed:
            flow = warp(flow.expand_as(self.paths), self.paths)
        self.paths = self.paths - flow

    def push(self, state: FilterState, luma: Tensor) -> None:
        """Take the latest frame in, of which the filter has made ``state``."""
        start = torch.zeros_like(state.estimate)
        self.paths = torch.cat((self.paths, start)) if self.frames else start
        self.frames.append(DelayedFrame(state.estimate, state.frames_averaged, luma))

    def pop(self, count: int, state: FilterState) -> list[SmoothingJob]:
        """The ``count`` oldest frames, with the latest one's ``state``."""
        if not count:
            return []
        latest = torch.cat((state.estimate, state.luma, state.frames_seen), dim=1)
        last = len(self.frames) - 1
        paths, self.paths = self.paths[:count], self.paths[count:]
        return [
            SmoothingJob(self.frames.popleft(), path, latest, last - index)
            for index, path in enumerate(paths.split(1))
        ]


def smooth(jobs: Sequence[SmoothingJob], tuning: FilterTuning) -> list[Tensor]:
    """The chroma ``(2, h, w)`` of each delayed frame, all of one size."""
    if not jobs:
        return []
    estimate, frames_averaged, luma = map(torch.cat, zip(*(job.frame for job in jobs), strict=True))
    path, latest = torch.cat([job.path for job in jobs]), torch.cat([job.latest for job in jobs])
    lag = path.new_tensor([job.lag for job in jobs]).view(-1, 1, 1, 1)
    if path.any():
        latest = warp(latest, path)
    latest_estimate, latest_luma, frames_seen = latest.split((2, 1, 1), dim=1)
    gain, offset, ratio = match_exposure(latest_luma, luma)
    error = luma - gain * latest_luma - offset
    length = path.square().sum(1, keepdim=True).sqrt()
    # It is the same surface if it has been in view since.
    same = (frames_seen - lag).clamp(0, 1) * (tuning.max_path - length).clamp(0, 1)
    same = same * match_confidence(error, luma_tolerance(luma, luma - error, tuning.luma_slack))
    # An old average has little to gain from the few frames ahead.
    novelty = (lag / frames_averaged).clamp(max=1)
    weight = box_mean(same * novelty, WEIGHT_WINDOW)
    if not tuning.detailed:
        return list(estimate + weight * (latest_estimate - estimate))
    correction = ratio * latest_estimate - estimate
    local_mean = weighted_local_mean(correction, weight, wide_prior=True)
    blurred = (length / BLURRED_PATH).clamp(max=1)
    blurred = torch.maximum(blurred, 1 - box_mean(same, WEIGHT_WINDOW))
    return list(estimate + torch.lerp(weight * correction, novelty * local_mean, blurred))
