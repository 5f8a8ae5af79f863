"""How well a film's colours are known from its keyframes: a score a frame, and maps to look at."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ..model import resize, rgb_to_luma, scaled
from ..video import Clip, read_frames
from .frames import to_images

MAPS = 6  # the frame that may be most off of so many equal parts of the film
MAP_WIDTH = 384  # px, at most
ORANGE = (1.0, 0.45, 0.0)
TINT = 0.75  # of the tint at most
TINTED = 24  # levels of 255 by which chroma may be off where the tint is full
LEVELS = 255


class FilmConfidence:
    """Hears how well each frame's colours are known: ``hear`` is `colorize_film`'s hook for it.

    ``scores``: the mean of each frame over its pixels, 0 (all guessed) to 1. ``errors``: by how
    much each frame's chroma is expected to be off, RMS in levels of 255; unlike a score this can
    be compared from film to film. Memory holds those and a few small maps.
    """

    def __init__(self, frame_count: int) -> None:
        self.scores: list[float] = []
        self.errors: list[float] = []
        self._frame_count = max(1, frame_count)
        self._worst: dict[int, tuple[float, int, Tensor]] = {}

    def hear(self, frame: int, known: Tensor, error: Tensor) -> None:
        """Take in the maps ``(h, w)`` of the next frame, number ``frame``: how well it is known,
        and by how much its chroma may be off."""
        off = float(error.square().mean().sqrt()) * LEVELS
        self.scores.append(round(float(known.mean()), 4))
        self.errors.append(round(off, 2))
        part = frame * MAPS // self._frame_count
        if part not in self._worst or off > self._worst[part][0]:
            self._worst[part] = off, frame, error.clone()

    @property
    def mean(self) -> float:
        """The mean of the scores; 0 without any."""
        return sum(self.scores) / max(1, len(self.scores))

    @property
    def summary(self) -> str:
        """A sentence for the log."""
        off = sum(self.errors) / max(1, len(self.errors))
        return (
            f"{100 * self.mean:.0f} % of its colours known from keyframes; "
            f"they may be off by {off:.1f} levels of 255 (RMS of chroma)"
        )

    def pictures(self, clip: Clip, frames: range) -> Tensor:
        """Of each part of the film the frame that may be most off, in order: ``(n, h, w, 3)``.

        They are grey where their colours are right, and the more orange the more they may be off.
        ``clip`` and its ``frames`` are what was coloured.
        """
        size = scaled((clip.height, clip.width), min(1.0, MAP_WIDTH / clip.width))
        found = []
        for _, frame, error in sorted(self._worst.values(), key=lambda entry: entry[1]):
            (image,) = to_images(
                next(
                    read_frames(
                        clip,
                        start_frame=frames[frame],
                        frame_count=1,
                        size=size[::-1],
                        alpha=False,
                        allow_hdr=True,
                    )
                )
            )
            luma = rgb_to_luma(image.permute(2, 0, 1))
            off = (resize(error[None], size) * (LEVELS / TINTED)).clamp(0, 1) * TINT
            found.append(torch.lerp(luma, luma.new_tensor(ORANGE).view(3, 1, 1), off))
        return torch.stack(found).permute(0, 2, 3, 1)

    def write(self, path: Path, clip: Clip) -> None:
        """Write the scores as JSON."""
        scores = {"clip": clip.path.name, "confidence": self.scores, "error": self.errors}
        path.write_text(json.dumps(scores))
