"""Which frames of a film to colour next, given those that are coloured."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import ChromaBatch, ReferenceAdvisor, match_size, recall_chroma
from ..video import Clip, as_clip
from .shots import ClipShots, Shot, read_small_luma, shot_references


@dataclass(frozen=True)
class Suggestion:
    """A frame to colour, and how much of what is unknown of the film it would tell (0 to 1)."""

    frame: int
    gain: float


@torch.inference_mode()
def suggest_keyframes(
    source: Clip | str | os.PathLike,
    shots: ClipShots,
    keyframes: Sequence[Tensor],
    count: int,
    *,
    frames: range | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> list[Suggestion]:
    """Up to ``count`` frames of the film that help most beside its ``keyframes``, best first.

    The film is matched to the keyframes of ``shots``, each ``(H, W, C)``, as when it is coloured;
    no network looks at it. Shots without any keyframe are wholly unknown.
    """
    clip = as_clip(source)
    frames = clip.frames() if frames is None else frames
    shots.check_clip(clip, frames)
    shots.check_pictures(keyframes)
    size = match_size(clip.height, clip.width)
    luma = read_small_luma(clip, frames, size, on_progress, check)
    references = shot_references(shots, keyframes, 1.0)
    firsts = [shot.first for shot in shots.shots]
    advisors = [ReferenceAdvisor() for _ in firsts]
    seen: list[Tensor] = []

    def batches() -> Iterator[ChromaBatch]:
        for frame in luma:
            seen.append(frame[None])
            yield ChromaBatch(torch.zeros(1, 2, *size), frame[None])

    for number, batch in enumerate(recall_chroma(batches(), references)):
        advisors[bisect_right(firsts, number) - 1](seen.pop(), batch.confidence)
    total = max(sum(advisor.unknown for advisor in advisors), 1e-9)
    found = [
        Suggestion(shot.first + frame, gain * advisor.unknown / total)
        for shot, advisor in zip(shots.shots, advisors, strict=True)
        for frame, gain in advisor.suggest(count, [k - shot.first for k in shot.keyframes])
    ]
    return sorted(found, key=lambda suggestion: -suggestion.gain)[:count]


def with_keyframes(shots: ClipShots, frames: list[int]) -> ClipShots:
    """``shots`` with these ``frames``, in any order, for keyframes; some may have none."""
    firsts = [shot.first for shot in shots.shots]
    by_shot: list[list[int]] = [[] for _ in firsts]
    for frame in sorted(frames):
        by_shot[bisect_right(firsts, frame) - 1].append(frame)
    return replace(shots, shots=tuple(map(Shot, firsts, map(tuple, by_shot))), thumbnails=None)
