"""Shots with true frames for keyframes, and every stage of carrying those frames' colours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..model import (
    ChromaBatch,
    ColorizationNet,
    Reference,
    load_model,
    match_size,
    merge,
    recall_chroma,
    resize,
    rgb_to_chroma,
    rgb_to_luma,
    save_model,
    stabilize_recalled,
)
from ..model.temporal import CutDetector, KeyframePicker
from ..options import ColorOptions, TeachOptions
from ..pipeline import teach
from ..video import probe, read_frames

SHORT_SIDE = 160
COUNTS = (1, 3)  # keyframes a shot
PUBLISHED_STEP = 25  # frames from one keyframe to the next, in place of three a shot
BATCH = 32


@dataclass
class Shot:
    frames: Tensor  # (n, 3, H, W), uint8
    keyframes: dict[int, list[int]]  # by how many

    def rgb(self, indices: list[int]) -> Tensor:
        return self.frames[indices].float().div_(255)

    def judged(self, every: int) -> list[int]:
        """Every so many frames, without those that are keyframes in any set."""
        taken = {index for keyframes in self.keyframes.values() for index in keyframes}
        return [i for i in range(0, len(self.frames), every) if i not in taken]


@dataclass
class Carried:
    """A shot's colours by each way, at `match_size`: ``(n, 2, h, w)``, a row a frame."""

    stages: dict[str, Tensor]  # taught, memory, both, filtered
    confidence: Tensor  # (n, 1, h, w)
    error: Tensor  # (n, 1, h, w), as expected
    milliseconds: tuple[float, float]  # CPU a frame of memory, and of memory and filter


def read_shots(file: Path) -> list[Shot]:
    """The shots of a clip, with the keyframes that the pack would pick."""
    detector = CutDetector()
    batches, cuts = [], []
    for frames in _read(file):
        batches.append(frames)
        cuts += detector(rgb_to_luma(frames.float().div_(255)))
    shots = []
    for frames in torch.cat(batches).tensor_split(cuts):
        picker = KeyframePicker()
        for part in frames.split(64):
            picker(rgb_to_luma(part.float().div_(255)))
        shots.append(Shot(frames, {count: picker.pick(count) for count in COUNTS}))
    return shots


def read_published(file: Path) -> list[Shot]:
    """Source and another method's result side by side: the result is what is to be met.

    One shot; its keyframes are the first frame, and every `PUBLISHED_STEP` frames.
    """
    frames = torch.cat([part[..., part.shape[3] // 2 :] for part in _read(file)])
    sets = [[0], list(range(0, len(frames), PUBLISHED_STEP))]
    return [Shot(frames, dict(zip(COUNTS, sets, strict=True)))]


def _read(file: Path):
    clip = probe(file)
    scale = min(1.0, SHORT_SIDE / min(clip.width, clip.height))
    size = round(clip.width * scale), round(clip.height * scale)
    for batch in read_frames(clip, size=size, alpha=False):
        frames = torch.from_numpy(batch if batch.dtype == np.uint8 else (batch >> 8).astype("u1"))
        yield frames.permute(0, 3, 1, 2)


def taught_network(
    start: ColorizationNet, references: Tensor, steps: int, kept: Path | None
) -> ColorizationNet:
    """``start`` taught by ``references`` ``(k, 3, H, W)``; ``kept`` has it, or gets it."""
    if kept is not None and kept.exists():
        return load_model(kept)
    images = list(references.permute(0, 2, 3, 1))
    taught = teach(start, images, TeachOptions(steps))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_model(taught, kept, taught.metadata)
    return taught


def guess(network: ColorizationNet, shot: Shot) -> Tensor:
    """What a network alone makes of each frame, small."""
    options = ColorOptions(int(network.metadata["render_size"]))
    model = network.chroma_model(options, film=True)
    size = model.input_size(*shot.frames.shape[2:])
    return torch.cat(
        [
            model.chroma(resize(rgb_to_luma(part.float() / 255), size).clamp_(0, 1))
            for part in shot.frames.split(BATCH)
        ]
    )


@torch.inference_mode()
def carry(shot: Shot, keyframes: Sequence[int], references: Tensor, taught: Tensor) -> Carried:
    """Every stage, by ``references`` ``(k, 3, H, W)`` for the keyframes and a network's guess."""
    luma, _ = small(shot)
    known = [
        Reference(frame, 0, len(luma), rgb_to_luma(image), rgb_to_chroma(image))
        for frame, image in zip(keyframes, references, strict=True)
    ]

    def batches(guess: Tensor) -> list[ChromaBatch]:
        cuts = [False] * BATCH
        parts = zip(guess.split(BATCH), luma.split(BATCH), strict=True)
        return [ChromaBatch(x, y, cuts[: len(y)]) for x, y in parts]

    began = time.process_time()
    both = list(recall_chroma(batches(taught), known))
    recalled = time.process_time()
    filtered = list(stabilize_recalled(batches(taught), known))
    ended = time.process_time()
    alone = list(recall_chroma(batches(torch.zeros_like(taught)), known))
    stages = {
        "taught": resize(taught, luma.shape[2:]),
        "memory": torch.cat([part.chroma / part.confidence.clamp_min(1e-3) for part in alone]),
        "both": torch.cat([part.chroma for part in both]),
        "filtered": torch.cat([part.chroma for part in filtered]),
    }
    each = 1e3 / len(luma)
    cost = (recalled - began) * each, (ended - recalled) * each
    confidence, error = (torch.cat(list(parts)) for parts in list(zip(*both, strict=True))[1:])
    return Carried(stages, confidence, error, cost)


def small(shot: Shot) -> tuple[Tensor, Tensor]:
    """Luma and true chroma of each frame at `match_size`."""
    size = match_size(*shot.frames.shape[2:])
    parts = [part.float() / 255 for part in shot.frames.split(64)]
    luma = torch.cat([resize(rgb_to_luma(part), size).clamp_(0, 1) for part in parts])
    return luma, torch.cat([resize(rgb_to_chroma(part), size) for part in parts])


def psnr(images: Tensor, truth: Tensor) -> list[float]:
    error = (images - truth).square().mean((1, 2, 3)).clamp_min(1e-10)
    return (-10 * error.log10()).tolist()


def score(shot: Shot, indices: list[int], chroma: Tensor) -> list[float]:
    """PSNR of RGB of these frames in small ``chroma`` of all frames."""
    truth = shot.rgb(indices)
    return psnr(merge(rgb_to_luma(truth), resize(chroma[indices], truth.shape[2:])), truth)


def steps(chroma: Tensor) -> Tensor:
    """The change of chroma from each frame to the next: RMS over the pixels, levels of 255."""
    return (chroma[1:] - chroma[:-1]).square().sum(1).mean((1, 2)).sqrt() * 255


def excess_at(keyframes: Sequence[int], chroma: Tensor, truth: Tensor) -> list[float]:
    """How much more the chroma changes into and out of each keyframe than the truth's does."""
    excess = steps(chroma) - steps(truth)
    around = sorted({frame + side for frame in keyframes for side in (-1, 0)})
    return [float(excess[step]) for step in around if 0 <= step < len(excess)]
