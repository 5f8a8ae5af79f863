"""The colours of coloured frames, carried to where the same surfaces are seen again.

Each frame is matched to the reference before it and to the one after it (`correspondence`). What
they show there is mixed by how well they match and how near they are, and mixed with a guess, a
network's, which fills what no reference shows.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ...options import FilmOptions
from ..parallel import run_single_threaded
from ..resize import resize, scaled
from .correspondence import (
    Features,
    align,
    better,
    features,
    join,
    mismatch,
    propagate,
    refine,
    search,
)
from .motion import estimate_motion
from .operations import box_mean, warp
from .stabilizer import LOOK_AHEAD, ChromaBatch, stabilize_chroma

MATCH_SIDE = 112  # pixels on the short side at which frames are matched, at most
MIN_MISMATCH = 0.02  # that noise alone makes
MISMATCH_POWER = 1.5  # of the mismatch, in the variance of a reference's colour
USUAL_DISAGREEMENT = 0.05  # of a reference's chroma and the guess
DISAGREEMENT_POWER = 0.4
USUAL_DISTANCE = 8  # frames
DISTANCE_POWER = 0.3
GUESS_PRECISION = 1.0  # the precision (1 / variance) of the guess, in the references' units
UNKNOWN = 0.04  # confidence around a pixel at which the guess is half restrained
UNKNOWN_WINDOW = 11  # pixels of a side of what is around
RESTRAINED = 0.3  # of a guess is left where nothing around is known
LOUDER = 1.1  # times as colourful as the references a guess may be where both are known
LOUDNESS_PRIOR = 0.01  # share of a frame that counts as known, and as guessed well
KEYFRAME_DISTANCE = 1e-3  # of a frame from the reference that it is itself, in frames


@dataclass(frozen=True)
class Reference:
    """A coloured frame of a film: what is known of the shot around it.

    ``luma`` ``(1, h, w)`` in [0, 1] and ``chroma`` ``(2, h, w)``, both as small as `match_size` or
    larger. ``frame`` is its number in the film, and ``first`` and ``stop`` bound the shot whose
    frames it may colour. ``weight`` ``(1, h, w)`` says how much of a pixel is reference, 0 to 1, as
    where strokes are painted; by default all of it.
    """

    frame: int
    first: int
    stop: int
    luma: Tensor
    chroma: Tensor
    weight: Tensor | None = None


class RecalledBatch(NamedTuple):
    """Frames in colours from references and guess."""

    chroma: Tensor
    """``(n, 2, h, w)``."""

    confidence: Tensor
    """``(n, 1, h, w)``, 0 (the guess) to 1: how well a colour is known from the references."""

    error: Tensor
    """``(n, 1, h, w)``: by how much the chroma is expected to be off, in its own units.

    Where references and guess agree nothing is lost, however little is known; where no reference
    shows anything, the guess may be off by all its colour.
    """


def match_size(height: int, width: int) -> tuple[int, int]:
    """The size at which frames of ``height`` x ``width`` are matched."""
    return scaled((height, width), min(1.0, MATCH_SIDE / min(height, width)))


def recall_chroma(
    batches: Iterable[ChromaBatch], references: Iterable[Reference], first_frame: int = 0
) -> Iterator[RecalledBatch]:
    """Guessed chroma of a film's frames, with the references' colours where they match.

    The first of the ``batches``' frames is number ``first_frame``; the result has the luma's size,
    which `match_size` tells. ``references`` in the order of their frames; they are taken when their
    turn comes, so that memory holds the nearest two only. How the frames are batched does not
    change the result.
    """
    for _, recalled in _recall(batches, references, first_frame):
        yield recalled


def stabilize_recalled(
    batches: Iterable[ChromaBatch],
    references: Iterable[Reference],
    stability: float = FilmOptions.stability,
    *,
    first_frame: int = 0,
    look_ahead: int = LOOK_AHEAD,
) -> Iterator[RecalledBatch]:
    """The colours of `recall_chroma` held still over time: one frame at a time, in order.

    The temporal filter (`stabilize_chroma`) sees all colours, so that known ones last where their
    surface no longer matches; but the better a pixel is known, the less it is filtered, since the
    filter blurs what moves. A frame comes out when ``look_ahead`` frames more are known.
    """
    waiting: deque[tuple[Tensor, ...]] = deque()

    def recalled() -> Iterator[ChromaBatch]:
        for batch, found in _recall(batches, references, first_frame):
            waiting.extend(zip(*(part.split(1) for part in found), strict=True))
            yield batch._replace(chroma=found.chroma)

    for filtered in stabilize_chroma(recalled(), stability, look_ahead=look_ahead):
        chroma, confidence, error = waiting.popleft()
        yield RecalledBatch(torch.lerp(filtered[None], chroma, confidence), confidence, error)


def _recall(
    batches: Iterable[ChromaBatch], references: Iterable[Reference], first_frame: int
) -> Iterator[tuple[ChromaBatch, RecalledBatch]]:
    """Each batch beside what is recalled of its frames."""
    memory, frame = ReferenceMemory(references), first_frame
    for batch in batches:
        flow, recalled = run_single_threaded(
            partial(memory.recall, frame, batch.luma, batch.chroma)
        )
        yield batch._replace(flow=flow), recalled
        frame += len(batch.luma)


class ReferenceMemory:
    """The references near the present frame, and where each pixel of that frame lies in them."""

    def __init__(self, references: Iterable[Reference]) -> None:
        self.to_come = iter(references)
        self.next = next(self.to_come, None)
        self.held: list[_Held] = []
        self.last: Tensor | None = None  # luma of the last frame (1, 1, h, w)

    def recall(self, first: int, luma: Tensor, guess: Tensor) -> tuple[Tensor, RecalledBatch]:
        """The motion and the chroma of frames from number ``first`` on, by ``luma`` and ``guess``.

        The motion is that from each frame to the one before, none where that had another size.
        """
        luma = luma.cpu()
        guess = resize(guess.cpu(), luma.shape[2:])
        if self.last is None or self.last.shape != luma[:1].shape:
            self.last = luma[:1]
        flow = estimate_motion(torch.cat((self.last, luma)))
        self.last = luma[-1:]
        frames = zip(luma.split(1), guess.split(1), flow.split(1), strict=True)
        parts = [self._recall(frame, *parts) for frame, parts in enumerate(frames, first)]
        return flow, RecalledBatch(*map(torch.cat, zip(*parts, strict=True)))

    def _recall(self, frame: int, luma: Tensor, guess: Tensor, flow: Tensor) -> RecalledBatch:
        self._move_window(frame, luma.shape[2:])
        if not self.held:
            return RecalledBatch(guess, torch.zeros_like(luma), _size(guess))
        present = features(luma)
        fields, costs = self._match(frame, present, flow)
        chroma = torch.cat([held.chroma for held in self.held])
        weight = torch.cat([held.weight for held in self.held])
        found = warp(torch.cat((chroma * weight, weight), dim=1), fields)
        chroma, weight = found[:, :2] / found[:, 2:].clamp_min(1e-6), found[:, 2:]
        distance = luma.new_tensor(
            [max(KEYFRAME_DISTANCE, abs(held.frame - frame)) for held in self.held]
        )
        return blend(chroma, costs, weight, distance.view(-1, 1, 1, 1), guess)

    def _match(self, frame: int, present: Features, flow: Tensor) -> tuple[Tensor, Tensor]:
        for held in self.held:
            if held.frame == frame:
                held.take_place(present)
        pictures = join([held.features for held in self.held])
        fields = refine(present.fine, pictures.fine, search(present, pictures))
        costs = mismatch(present.fine, pictures.fine, fields)
        carried = [n for n, held in enumerate(self.held) if held.field is not None]
        if carried:
            fine = join([self.held[n].features for n in carried]).fine
            known = [held.field for held in self.held if held.field is not None]
            field = propagate(torch.cat(known), flow)
            field = refine(present.fine, fine, field)
            cost = mismatch(present.fine, fine, field)
            fields[carried], costs[carried] = better(field, cost, fields[carried], costs[carried])
        for n, held in enumerate(self.held):
            if held.frame == frame:
                fields[n], costs[n] = 0, 0
            held.field = fields[n : n + 1]
        return fields, costs

    def _move_window(self, frame: int, size: torch.Size) -> None:
        def fits(x: _Held) -> bool:
            return x.first <= frame < x.stop and x.size == size

        self.held = [held for held in self.held if fits(held)]
        after = any(held.frame > frame for held in self.held)
        while self.next is not None and not after:
            reference = self.next
            if reference.first > frame:
                break
            if reference.stop > frame:
                self.held.append(_Held(reference, size))
                after = reference.frame > frame
            self.next = next(self.to_come, None)
        # The last one before the frame and the next one after it.
        before = [held for held in self.held if held.frame <= frame]
        self.held = before[-1:] + [held for held in self.held if held.frame > frame]


class _Held:
    """A reference in the window: ``(1, c, h, w)`` each."""

    def __init__(self, reference: Reference, size: torch.Size) -> None:
        self.frame, self.size = reference.frame, size
        self.first, self.stop = reference.first, reference.stop
        self.features = features(resize(reference.luma[None].cpu(), size).clamp_(0, 1))
        self.chroma = resize(reference.chroma[None].cpu(), size)
        self.weight = torch.ones_like(self.chroma[:, :1])
        if reference.weight is not None:
            self.weight = resize(reference.weight[None].cpu(), size).clamp_(0, 1)
        self.field: Tensor | None = None  # of the last frame

    def take_place(self, present: Features) -> None:
        """This is the frame that the reference is of, as the film shows it.

        The film's own luma is what other frames look like; a reference's may differ, and lie a
        little off.
        """
        found = align(present, self.features)
        if found.any():
            planes = warp(torch.cat((self.chroma * self.weight, self.weight), dim=1), found)
            self.chroma, self.weight = planes[:, :2] / planes[:, 2:].clamp_min(1e-6), planes[:, 2:]
        self.features, self.field = present, torch.zeros_like(present.fine.gradient)


def blend(
    chroma: Tensor, costs: Tensor, weight: Tensor, distance: Tensor, guess: Tensor
) -> RecalledBatch:
    """Mix what ``n`` references show with the guess ``(1, 2, h, w)``.

    ``chroma`` ``(n, 2, h, w)`` at mismatch ``costs`` from references ``weight``, ``(n, 1, h, w)``
    both, ``distance`` ``(n, 1, 1, 1)`` frames away. References that match alike are mixed by
    nearness, so that from one keyframe to the next their colours pass over evenly.
    """
    disagreement = _size(chroma - guess) + USUAL_DISAGREEMENT / 5
    variance = (costs + MIN_MISMATCH) ** MISMATCH_POWER
    variance = variance * (disagreement / USUAL_DISAGREEMENT) ** DISAGREEMENT_POWER
    variance = variance * (distance.clamp_min(1) / USUAL_DISTANCE) ** DISTANCE_POWER
    precision = weight / variance
    share = precision / distance
    total = share.sum(0, keepdim=True).clamp_min(1e-9)
    mixed = (share * chroma).sum(0, keepdim=True) / total
    known = (share * precision).sum(0, keepdim=True) / total
    confidence = known / (known + GUESS_PRECISION)
    # The variance of the mean of two with these precisions, by how far the two are apart.
    error = _size(mixed - guess) * (1 - confidence).sqrt()
    guess = _restrained(guess, mixed, confidence, weight.amax(0, keepdim=True))
    return RecalledBatch(torch.lerp(guess, mixed, confidence), confidence, error)


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


def _size(chroma: Tensor) -> Tensor:
    return chroma.square().sum(1, keepdim=True).sqrt_()
