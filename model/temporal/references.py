"""The colours of coloured frames, carried to where the same surfaces are seen again.

Each frame is matched to the reference before it and to the one after it (`correspondence`). What
they show there is mixed by how well they match and how near they are. Where surfaces turn until
they match no longer, their colours are carried on from the frame before. A guess, a network's,
fills what is not known so.
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
from ..resize import resize, scaled, short_side_scale
from .blend import Known, blend, carry, fill, size_of
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
from .operations import warp
from .stabilizer import LOOK_AHEAD, ChromaBatch, stabilize_chroma

MATCH_SIDE = 112  # pixels on the short side at which frames are matched, at most
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
    size = height, width
    return scaled(size, min(1.0, short_side_scale(size, MATCH_SIDE)))


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
        self.before: _Before | None = None  # of the same shot
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
            self.before = None
            return RecalledBatch(guess, torch.zeros_like(luma), size_of(guess))
        present = features(luma)
        shot = self.held[0].first
        if self.before and (self.before.shot, self.before.known.chroma.shape) != (
            shot,
            guess.shape,
        ):
            self.before = None
        fields, costs, carried = self._match(frame, present, flow)
        chroma = torch.cat([held.chroma for held in self.held])
        weight = torch.cat([held.weight for held in self.held])
        found = warp(torch.cat((chroma * weight, weight), dim=1), fields)
        chroma, weight = found[:, :2] / found[:, 2:].clamp_min(1e-6), found[:, 2:]
        distance = luma.new_tensor(
            [max(KEYFRAME_DISTANCE, abs(held.frame - frame)) for held in self.held]
        )
        distance = distance.view(-1, 1, 1, 1)
        known = blend(chroma, costs, weight, distance, guess, carried)
        self.before = _Before(shot, present, known)
        return RecalledBatch(*fill(known, guess, weight.amax(0, keepdim=True)))

    def _match(
        self, frame: int, present: Features, flow: Tensor
    ) -> tuple[Tensor, Tensor, Known | None]:
        """The fields in what is held and their mismatch, and what is carried from before."""
        for held in self.held:
            if held.frame == frame:
                held.take_place(present)
        before = self.before
        pictures = [held.features for held in self.held]
        joined = join(pictures if before is None else [*pictures, before.features])
        fields = refine(present.fine, joined.fine, search(present, joined))
        costs = mismatch(present.fine, joined.fine, fields)
        carried = None
        if before is not None:
            step = refine(present.fine, before.features.fine, flow)
            cost = mismatch(present.fine, before.features.fine, step)
            flow, cost = better(step, cost, fields[-1:], costs[-1:])
            fields, costs, carried = fields[:-1], costs[:-1], carry(before.known, flow, cost)
        known = [n for n, held in enumerate(self.held) if held.field is not None]
        if known:
            fine = join([pictures[n] for n in known]).fine
            last = [held.field for held in self.held if held.field is not None]
            field = refine(present.fine, fine, propagate(torch.cat(last), flow))
            cost = mismatch(present.fine, fine, field)
            fields[known], costs[known] = better(field, cost, fields[known], costs[known])
        for n, held in enumerate(self.held):
            if held.frame == frame:
                fields[n], costs[n] = 0, 0
            held.field = fields[n : n + 1]
        return fields, costs, carried

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


class _Before(NamedTuple):
    """The frame before: what it is matched by, and what is known of its colours."""

    shot: int
    features: Features
    known: Known
