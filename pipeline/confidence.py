"""How well a film's colours are known from its keyframes: a score a frame, and maps to look at."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ..model import resize, rgb_to_luma, scaled
from ..video import Clip, read_frames
from .frames import to_images

MAPS = 6  # the least known frame of so many equal parts of the film
MAP_WIDTH = 384  # px, at most
GUESSED = (1.0, 0.45, 0.0)  # orange
TINT = 0.75  # of the tint where nothing is known


class FilmConfidence:
    """Hears how well each frame's colours are known: ``hear`` is `colorize_film`'s hook for it.

    ``scores``: the mean of each frame over its pixels, 0 (all guessed) to 1. Memory holds those and
    a few small maps.
    """

    def __init__(self, frame_count: int) -> None:
        self.scores: list[float] = []
        self._frame_count = max(1, frame_count)
        self._least: dict[int, tuple[float, int, Tensor]] = {}

    def hear(self, frame: int, known: Tensor) -> None:
        """Take in the map ``known`` ``(h, w)`` of the next frame, number ``frame``."""
        score = float(known.mean())
        self.scores.append(round(score, 4))
        part = frame * MAPS // self._frame_count
        if part not in self._least or score < self._least[part][0]:
            self._least[part] = score, frame, known.clone()

    @property
    def mean(self) -> float:
        """The mean of the scores; 0 without any."""
        return sum(self.scores) / max(1, len(self.scores))

    def pictures(self, clip: Clip, frames: range) -> Tensor:
        """The least known frames ``(n, h, w, 3)`` of each part of the film, in order.

        They are grey where their colours are known, and the more orange the more is guessed.
        ``clip`` and its ``frames`` are what was coloured.
        """
        size = scaled((clip.height, clip.width), min(1.0, MAP_WIDTH / clip.width))
        found = []
        for _, frame, known in sorted(self._least.values(), key=lambda entry: entry[1]):
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
            guessed = (1 - resize(known[None], size)).clamp(0, 1) * TINT
            found.append(torch.lerp(luma, luma.new_tensor(GUESSED).view(3, 1, 1), guessed))
        return torch.stack(found).permute(0, 2, 3, 1)

    def write(self, path: Path, clip: Clip) -> None:
        """Write the scores as JSON."""
        path.write_text(json.dumps({"clip": clip.path.name, "confidence": self.scores}))
