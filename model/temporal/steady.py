"""Colours that hold still: chroma averaged over time along the motion of the luma."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ..resize import resize, scaled
from .cuts import CutDetector
from .exposure import match_exposure
from .motion import box, estimate_motion, median, warp

DEFAULT_STABILITY = 0.5
LONGEST = 4000  # frames averaged at stability 1
ALIKE, OTHER = 1.5, 2.6  # error of the luma, in tolerances: surely the same surface, surely another
MOVING = 0.15  # pixels a frame from which on a surface moves
LEAN = 0.25  # weight of a frame in the recent deviation of the chroma
CALM = 0.1  # and in the variance of its flicker
SURPRISE = 6  # (deviation / flicker)^2 at which a change of colour is one that lasts
FADED = 2  # frames that the old picture counts for when a dissolve is found
LOOK_AHEAD = 12  # frames, half a second of film
LEAST = 48  # rows and columns of luma that motion is found in, at least
FEW = 0.05  # share of what is around that counts no more than what lies farther


def steady_size(height: int, width: int) -> tuple[int, int]:
    """The size of luma by which chroma ``(height, width)`` is steadied best: no less than 48 px."""
    return scaled((height, width), max(1.0, LEAST / min(height, width)))


class _Manner(NamedTuple):
    """What depends on the kind of chroma."""

    longest_moving: int  # frames averaged of what moves: errors of the motion add up
    farthest: float  # pixels that a surface is followed at most into the frames ahead
    unseen: float  # deviation of chroma that nobody minds


SMOOTH = _Manner(16, 1.5, 3 / 255)
DETAILED = _Manner(40, 24, 1 / 255)


class _Waiting(NamedTuple):
    """A frame as the frames up to it tell it: ``(1, c, h, w)`` each."""

    held: Tensor
    count: Tensor
    luma: Tensor


class _Due(NamedTuple):
    """A frame that has waited, and what is known ``age`` frames later, ``path`` from its pixels."""

    frame: _Waiting
    path: Tensor
    later: Tensor  # held chroma, luma and frames seen (1, 4, h, w)
    age: int


class Steady:
    """Holds chroma still over time where the scene does, and follows it where it moves.

    A recursive average per pixel, carried along by the motion of the luma (as in
    motion-compensated noise reduction). How many frames a pixel averages grows with each frame
    that shows the same surface, up to ``4000 ** stability``; it starts anew where the luma, once
    its exposure is matched, says that something else is there, and where the chroma itself changes
    for longer than its own flicker explains. A surface newly seen is corrected as its neighbours
    are, and by what is known of it ``look_ahead`` frames later (fixed-lag smoothing), so that many
    frames later is when a frame comes out.

    ``stability``: 0 (the chroma untouched, at once) to 1 (a surface keeps its mean colour for as
    long as its luma says that it is the same). ``detailed``: the chroma has detail of its own (a
    camera's, or another colorizer's, not a small network's): it grows and fades with the light,
    and where the picture moves or shows something new, only what is smooth in the corrections
    around is used. Memory does not grow with the length of the clip.
    """

    def __init__(
        self,
        stability: float = DEFAULT_STABILITY,
        *,
        look_ahead: int = LOOK_AHEAD,
        detailed: bool = False,
    ) -> None:
        if not 0 <= stability <= 1:
            raise ValueError(f"stability is {stability}; choose a value from 0 to 1.")
        self.stability, self.detailed = stability, detailed
        self.look_ahead = look_ahead if stability else 0
        self.manner = DETAILED if detailed else SMOOTH
        self.longest = LONGEST**stability
        self._forget()

    def _forget(self) -> None:
        self.detector = CutDetector()
        self.last: Tensor | None = None  # luma and chroma of the last frame (1, 3, h, w)
        self.waiting: deque[_Waiting] = deque()
        self.paths: Tensor | None = None  # from the pixels of each waiting frame to the last one's

    def __call__(
        self, chroma: Tensor, luma: Tensor, cuts: Sequence[bool] | None = None
    ) -> list[Tensor]:
        """Steady the next ``chroma`` ``(n, 2, h, w)`` by their ``luma`` ``(n, 1, h, w)``.

        Gives the frames that are ready by now, in order, ``(2, h, w)`` each. The luma may be finer
        than the chroma (`steady_size`); the result is then as fine. Batches of any size: the size
        does not change the result. ``cuts`` says for each frame whether a shot begins with it; by
        default the luma is asked (`CutDetector`), which also tells when a dissolve has ended what
        was there.
        """
        if self.stability == 0 or not len(chroma):
            return list(chroma)
        chroma = resize(chroma, luma.shape[2:])
        dissolves = [False] * len(luma)
        if cuts is None:
            first = self.detector.index
            told = list(enumerate(self.detector.by_frame(luma), first))
            cuts = [frame in found for frame, found in told]
            dissolves = [any(cut < frame for cut in found) for frame, found in told]
        ready, due = self._settle(self._release() if cuts[0] else []), []
        frames = torch.cat((luma, chroma), dim=1)
        # Nothing comes before the first frame of a shot, which may have a size of its own.
        cuts = [cuts[0] or self.last is None, *cuts[1:]]
        frames = torch.cat((frames[:1] if cuts[0] else self.last, frames))
        flow = estimate_motion(frames[:, :1])
        moved, moved_chroma = warp(frames[:-1], flow).split((1, 2), dim=1)
        gain, offset, ratio = match_exposure(moved, luma)
        if self.detailed:
            moved_chroma = ratio * moved_chroma
        tolerance = _tolerance(luma, gain * moved + offset)
        flicker = box((chroma - moved_chroma).square().sum(1, keepdim=True), 5) / 2
        moving = flow.square().sum(1, keepdim=True) > MOVING**2
        longest = torch.where(moving, min(self.longest, self.manner.longest_moving), self.longest)
        moves = flow.flatten(1).any(1).tolist()
        for i in range(len(chroma)):
            now = slice(i, i + 1)
            if cuts[i]:
                due += self._release()
                self._begin(chroma[now], luma[now])
            else:
                if moves[i]:
                    self.held = warp(self.held, flow[now], "bicubic")
                    self.state = warp(self.state, flow[now])
                    # Of what is smooth only the nearest is followed: there the flow is the same.
                    step = flow[now]
                    if self.detailed:
                        step = warp(step.expand_as(self.paths), self.paths)
                    self.paths = self.paths - step
                if self.detailed:
                    self._fade(ratio[now])
                reference = gain[now] * self.state[:, :1] + offset[now]
                limit = longest[now] * _sameness(luma[now] - reference, tolerance[now])
                if dissolves[i]:
                    limit = limit.clamp(max=FADED)
                self._step(chroma[now], luma[now], reference, limit, flicker[now], moving[now])
            self._await(luma[now])
            if len(self.waiting) > self.look_ahead:
                due += self._release(1)
        self.last = frames[-1:]
        return ready + self._settle(due)

    def finish(self) -> list[Tensor]:
        """The frames that still wait for later ones, in order; the next frame begins a new clip."""
        ready = self._settle(self._release())
        self._forget()
        return ready

    def _await(self, luma: Tensor) -> None:
        here = torch.zeros_like(self.held)
        self.paths = torch.cat((self.paths, here)) if self.waiting else here
        self.waiting.append(_Waiting(self.held, self.state[:, 2:3], luma))

    def _release(self, count: int | None = None) -> list[_Due]:
        """The first ``count`` waiting frames, or all, with what is known now."""
        count = len(self.waiting) if count is None else count
        if not count:
            return []
        later, last = torch.cat((self.held, self.state[:, :2]), dim=1), len(self.waiting) - 1
        paths, self.paths = self.paths[:count], self.paths[count:]
        return [
            _Due(self.waiting.popleft(), path, later, last - index)
            for index, path in enumerate(paths.split(1))
        ]

    def _settle(self, due: list[_Due]) -> list[Tensor]:
        """The frames corrected by what is known later, as far as it is of the same surface."""
        if not due:
            return []
        frames, path, later, age = zip(*due, strict=True)
        held, count, luma = map(torch.cat, zip(*frames, strict=True))
        path, later, age = torch.cat(path), torch.cat(later), path[0].new_tensor(age)
        if path.any():
            later = warp(later, path)
        later, reference, seen = later.split((2, 1, 1), dim=1)
        gain, offset, ratio = match_exposure(reference, luma)
        error, age = luma - gain * reference - offset, age.view(-1, 1, 1, 1)
        length = path.square().sum(1, keepdim=True).sqrt()
        # It is the same surface if it has been seen for as long.
        same = (seen - age).clamp(0, 1) * (self.manner.farthest - length).clamp(0, 1)
        same = same * _sameness(error, _tolerance(luma, luma - error))
        # Old averages have little to gain from the few frames ahead.
        young = (age / count).clamp(max=1)
        share = box(same * young, 5)
        if not self.detailed:
            return list(held + share * (later - held))
        correction = ratio * later - held
        smooth = _around(correction, share, farther=True)
        moving = torch.maximum((length / 2).clamp(max=1), 1 - box(same, 5))
        return list(held + torch.lerp(share * correction, young * smooth, moving))

    def _begin(self, chroma: Tensor, luma: Tensor) -> None:
        # The state's channels: reference luma, frames the surface was seen, frames averaged (fewer
        # where the light rose since), recent deviation of the chroma (2), variance of its flicker
        blank = torch.zeros_like(luma)
        self.held = chroma
        self.state = torch.cat((luma, blank + 1, blank + 1, blank, blank, blank), dim=1)

    def _fade(self, ratio: Tensor) -> None:
        """Bring what is known to another exposure: true colours grow and fade with the light."""
        known, count, lean, variance = self.state.split((2, 1, 2, 1), dim=1)
        self.held = self.held * ratio
        # What was darker says less of what is brighter now.
        count = count / ratio.clamp(min=1)
        self.state = torch.cat((known, count, lean * ratio, variance * ratio.square()), dim=1)

    def _step(
        self,
        chroma: Tensor,
        luma: Tensor,
        reference: Tensor,
        limit: Tensor,
        flicker: Tensor,
        moving: Tensor,
    ) -> None:
        _, counts, lean, variance = self.state.split((1, 2, 2, 1), dim=1)
        deviation, unseen = chroma - self.held, self.manner.unseen**2
        # A change that lasts leans to one side; flicker and grain do not.
        lean = torch.lerp(lean * limit.clamp(max=1), deviation, LEAN)
        # At most a few times more at once, or the change itself would count as flicker.
        variance = torch.lerp(variance, torch.minimum(flicker, 4 * variance + unseen), CALM)
        expected = variance * (LEAN / (2 - LEAN)) + unseen
        surprise = box(lean, 5).square().sum(1, keepdim=True) / expected
        turn = (surprise * ((1 - self.stability) / SURPRISE) - 1).clamp(0, 1)
        counts = torch.minimum(counts, limit) * (1 - turn) + 1
        count = counts[:, 1:]
        held = self.held + deviation / count
        reference = reference + (luma - reference) / count.clamp(max=4)
        borrowed = 1 / count.square()
        if self.detailed:
            borrowed = torch.where(moving, 1, borrowed)
        correction = held - chroma
        around = _around(correction, 1 - 2 / (count + 1), farther=self.detailed)
        self.held = held + (around - correction) * borrowed
        self.state = torch.cat((reference, counts, lean * (1 - turn), variance), dim=1)


def _tolerance(luma: Tensor, expected: Tensor) -> Tensor:
    """The squared error of the luma that the frame's own noise and its edges explain."""
    noise = median((luma - expected).abs()) * 1.4826 + 0.004
    edges = box((box(luma, 3) - luma).abs(), 3)
    return (noise + edges / 3).square()


def _sameness(error: Tensor, tolerance: Tensor) -> Tensor:
    """1 where the luma show the same surface, 0 where they do not."""
    distance = box(error.square(), 3) / tolerance
    return ((OTHER**2 - distance) / (OTHER**2 - ALIKE**2)).clamp(0, 1)


def _around(x: Tensor, weight: Tensor, *, farther: bool) -> Tensor:
    """The mean of ``x`` around each pixel by its ``weight``, towards 0 where there is little.

    ``farther``: towards the mean of a wider neighbourhood instead.
    """
    sums, otherwise = torch.cat((weight, weight * x), dim=1), 0
    if farther:
        wide = _mean(avg_pool2d(sums, 4, ceil_mode=True, count_include_pad=False), 0)
        otherwise = interpolate(wide, x.shape[2:], mode="bilinear")
    return _mean(sums, otherwise)


def _mean(sums: Tensor, otherwise: Tensor | float) -> Tensor:
    near = box(sums, 9)
    return (near[:, 1:] + FEW * otherwise) / (near[:, :1] + FEW)
