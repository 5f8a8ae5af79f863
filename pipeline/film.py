"""A film from grey to colour, streamed: video's planes through the model's eyes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from .. import host
from ..model import merge
from ..model.parallel import run_single_threaded
from ..model.planes import Coding, checked, chroma_planes, small_luma
from ..model.resize import resize, scaled
from ..model.temporal import LOOK_AHEAD, ChromaBatch, filter_size
from ..model.temporal.stabilizer import ChromaStabilizer
from ..pipeline.images import Colorizer
from ..video import Clip, Planes, recolor
from ..video.read import as_clip

Shots = Iterable[tuple[int, Callable[[], Colorizer]]]

PREVIEW_WIDTH = 384  # px
PREVIEW_INTERVAL = 0.5  # seconds


class Painter:
    """Makes the chroma planes of a film's frames, which come in order.

    ``shots`` are ``(first frame, colorizer factory)`` in order, the first at frame 0: each shot
    is seen by its own colorizer, made when the shot begins. With one shot alone the film's cuts
    are found on the way.
    """

    def __init__(self, shots: Shots, stability: float) -> None:
        self.shots = list(shots)
        self.colorizer: Colorizer | None = None
        self.stabilizer = ChromaStabilizer(stability, False, LOOK_AHEAD)
        self.frame = 0
        self.ready: deque[Tensor] = deque()  # small chroma (2, h, w) of frames not yet painted
        self.preview: Tensor | None = None  # (H, W, 3), small: a frame painted of late
        self.previewed = -PREVIEW_INTERVAL

    def see(self, luma: np.ndarray, planes: Planes) -> None:
        """Look at the next Y planes, ``stabilizer.look_ahead`` frames before they are painted."""
        coding = _coding(planes)
        for begins, rows in self._by_shot(len(luma)):
            self.ready += self._see(begins, luma[rows], coding)
        self.frame += len(luma)

    def paint(self, luma: np.ndarray, planes: Planes) -> tuple[np.ndarray, np.ndarray]:
        """The chroma planes of the next Y planes that were seen."""
        if len(self.ready) < len(luma):  # the film has no frames to come
            self.ready += run_single_threaded(self.stabilizer.flush)
        coding, done, parts = _coding(planes), 0, []
        chroma = [self.ready.popleft() for _ in luma]
        for _, frames in groupby(chroma, lambda frame: frame.shape):
            small = torch.stack(list(frames))
            rows = slice(done, done + len(small))
            parts.append(chroma_planes(small, luma[rows], planes.chroma_size, coding))
            done = rows.stop
        if time.monotonic() - self.previewed >= PREVIEW_INTERVAL:
            self.preview = small_picture(luma[-1], chroma[-1], coding)
            self.previewed = time.monotonic()
        u, v = zip(*parts, strict=True)
        return np.concatenate(u), np.concatenate(v)

    def _by_shot(self, count: int) -> Iterable[tuple[bool, slice]]:
        ends = [first for first, _ in self.shots[1:]] + [self.frame + count]
        for (first, make_colorizer), end in zip(self.shots, ends, strict=True):
            start, stop = max(first, self.frame), min(end, self.frame + count)
            if start < stop:
                if start == first:
                    self.colorizer = make_colorizer()
                yield start == first, slice(start - self.frame, stop - self.frame)

    def _see(self, begins: bool, luma: np.ndarray, coding: Coding) -> list[Tensor]:
        chroma, small = see_planes(self.colorizer, luma, coding, host.check_cancelled)
        fine = filter_size(*small.shape[2:])
        if self.stabilizer.stability and fine != small.shape[2:]:
            small = small_luma(luma, fine, coding)
        cuts = [begins] + [False] * (len(luma) - 1) if len(self.shots) > 1 else None
        # On the CPU: for another device the many small operations would be no quicker, and not all
        # of them are there on each.
        chroma, small = chroma.cpu() * self.colorizer.strength, small.cpu()
        batch = ChromaBatch(chroma, small, cuts)
        return run_single_threaded(lambda: self.stabilizer.push(batch))


def see_planes(
    colorizer: Colorizer,
    planes: np.ndarray,
    coding: Coding,
    tick: Callable[[], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """What the colorizer sees in Y ``planes`` ``(n, H, W)``: small chroma and small luma.

    Returns chroma ``(n, 2, h, w)`` (BT.601, as ``Colorizer.see``) and the luma ``(n, 1, h, w)``
    in [0, 1] that it was made from, on the colorizer's device. ``tick`` is called several times a
    second; what it raises ends the work.
    """
    size = colorizer.small_size(*checked(planes, coding).shape[1:])
    small = small_luma(planes, size, coding).to(colorizer.device)
    return colorizer.see_small(small, tick), small


def _coding(planes: Planes) -> Coding:
    return Coding(planes.bit_depth, planes.full_range, planes.matrix)


def small_picture(plane: np.ndarray, chroma: Tensor, coding: Coding) -> Tensor:
    """A Y plane ``(H, W)`` in its ``chroma`` ``(2, h, w)``, at most `PREVIEW_WIDTH` wide."""
    scale = min(1.0, PREVIEW_WIDTH / plane.shape[1])
    size = scaled(plane.shape, scale)
    luma = small_luma(plane[None], size, coding)[0]
    return merge(luma, resize(chroma, size)).permute(1, 2, 0)


@torch.inference_mode()
def colorize_film(
    source: Clip | str | os.PathLike,
    target: str | os.PathLike,
    shots: Shots,
    *,
    stability: float,
    start: float = 0.0,
    duration: float | None = None,
    **encoding,
) -> None:
    """Colorize the clip ``source`` into ``target``; ``encoding`` goes to `video.recolor`.

    ``start`` and ``duration`` in seconds trim the clip; shots count from there. Progress and
    cancel are the host's.
    """
    clip = as_clip(source)
    painter = Painter(shots, stability)
    shown = 0

    def show(done: int, _: int) -> None:
        nonlocal shown
        progress.update(done - shown, painter.preview)
        shown = done

    first, end = clip.window(start, duration)
    with host.Progress(max(1, end - first)) as progress:
        recolor(
            clip,
            target,
            painter.paint,
            see=painter.see,
            look_ahead=painter.stabilizer.look_ahead,
            start=start,
            duration=duration,
            progress=show,
            check=host.check_cancelled,
            **encoding,
        )
