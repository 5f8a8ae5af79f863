"""A film from grey to colour, streamed: small chroma from small luma, onto the clip's own Y planes.

The way of a frame: Y plane -> small luma -> `ChromaModel` -> small chroma -> steady in time ->
chroma planes inside the gamut. The Y plane itself goes to the encoder untouched.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import (
    ChromaBatch,
    ChromaModel,
    Network,
    Reference,
    chroma_planes,
    filter_size,
    limited_threads,
    match_size,
    merge,
    resize,
    scaled,
    small_luma,
    stabilize_chroma,
    stabilize_recalled,
)
from ..options import ColorOptions, EncodeOptions, FilmOptions, TeachOptions
from ..video import Clip, PlaneFormat, as_clip, recolor
from .looks import Looks, groups
from .shots import ClipShots, ShotColors, shot_colors, shot_references
from .stabilize import stabilized_size
from .teaching import teach

DEFAULT_COLOR, DEFAULT_FILM = ColorOptions(), FilmOptions()
DEFAULT_ENCODE, DEFAULT_TEACHING = EncodeOptions(), TeachOptions()
PREVIEW_WIDTH = 384  # px

Planes = tuple[np.ndarray, np.ndarray]
OnConfidence = Callable[[int, Tensor], None]


@torch.inference_mode()
def colorize_film(
    source: Clip | str | os.PathLike,
    target: str | os.PathLike,
    network: Network,
    color: ColorOptions = DEFAULT_COLOR,
    film: FilmOptions = DEFAULT_FILM,
    encode: EncodeOptions = DEFAULT_ENCODE,
    *,
    frames: range | None = None,
    shots: ClipShots | None = None,
    keyframes: Tensor | None = None,
    teaching: TeachOptions = DEFAULT_TEACHING,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
    check: Check | None = None,
    on_confidence: OnConfidence | None = None,
) -> int:
    """Colorize the clip ``source`` into the file ``target``; gives the number of frames.

    As for pictures, a ``color.strength`` below 1 leaves so much of the clip's own colours. The
    luma, the times of the frames, sound, subtitles, chapters and tags are the source's. Memory
    does not grow with the length of the clip. ``frames`` (of the clip, step 1) trims it.

    With ``shots`` (of the trimmed clip) and their coloured ``keyframes`` ``(n, H, W, 3)`` in
    [0, 1], each shot is coloured by a copy of ``network`` taught on its own keyframes by
    ``teaching`` when its turn comes; a shot whose keyframes have no colour stays grey. Where a
    surface of the keyframes is seen again, it has the colour that they show. Without, the film's
    cuts are found on the way. A network without detail of its own looks at every other frame, as
    far as those between lie midway (`looks`).

    ``on_progress`` counts frames, and the steps of teaching beside them. ``on_confidence`` hears of
    each frame coloured by keyframes its number and how well its colours are known from them, a map
    ``(h, w)`` of 0 (the taught network's guess) to 1. Raises ``ValueError`` for
    what cannot be done, `VideoError` for a clip that cannot be read or written, and
    ``FileExistsError`` when ``target`` exists and ``encode`` does not say to overwrite.
    """
    if (shots is None) != (keyframes is None):
        raise ValueError("Coloured keyframes need the shots that they are of, and vice versa.")
    clip = as_clip(source)
    frames = clip.frames() if frames is None else frames
    parts, references = [ShotColors(0)], None
    if shots is not None and keyframes is not None:
        shots.check_clip(clip, frames)
        parts = shot_colors(shots, keyframes)
        references = shot_references(shots, keyframes, color.saturation)
    taught = sum(part.keyframes is not None for part in parts)
    progress = FilmProgress(on_progress, len(frames) + taught * teaching.steps)
    painter = FilmPainter(
        network,
        color,
        film,
        parts,
        references,
        device=torch.device(device),
        first_frame=frames.start,
        taught_network=partial(
            taught_network,
            network,
            teaching=teaching,
            device=device,
            progress=progress,
            check=check,
        ),
        progress=progress,
        on_confidence=on_confidence,
        check=check,
    )
    return recolor(
        clip,
        target,
        painter.paint,
        frames=frames,
        encode=encode,
        blend=color.strength,
        check=check,
    )


def taught_network(
    network: Network,
    shot: ShotColors,
    *,
    teaching: TeachOptions,
    device: torch.device | str,
    progress: FilmProgress,
    check: Check | None,
) -> Network:
    """A copy of ``network`` that has learned the shot's keyframes."""
    return teach(
        network,
        [] if shot.keyframes is None else list(shot.keyframes),
        teaching,
        device=device,
        on_progress=lambda *_: progress.add(1),
        check=check,
    )


class FilmProgress:
    """Counts what is done of a film: its frames, and the steps of teaching beside them."""

    def __init__(self, on_progress: OnProgress | None, total: int, done: int = 0) -> None:
        self.on_progress, self.done, self.total = on_progress, done, max(1, total)

    def add(self, steps: int, preview: Callable[[], Tensor] | None = None) -> None:
        self.done = min(self.done + steps, self.total)
        if self.on_progress:
            self.on_progress(self.done, self.total, preview)


class FilmPainter:
    """What colours a film's Y planes.

    ``shots`` and ``references`` count from the film's beginning, of which the first frame that is
    painted is number ``start``; ``first_frame`` is that one's number in the clip. Whether a frame
    begins a shot is found in the luma where ``shots`` is but one. ``taught_network`` gives the
    network of a shot with keyframes. The first ``lead`` frames are thrown away: they are looked at
    for what follows, and painted grey.
    """

    def __init__(
        self,
        network: Network,
        color: ColorOptions,
        film: FilmOptions,
        shots: Sequence[ShotColors],
        references: Iterable[Reference] | None,
        *,
        device: torch.device,
        first_frame: int,
        start: int = 0,
        lead: int = 0,
        taught_network: Callable[[ShotColors], Network],
        progress: FilmProgress,
        on_confidence: OnConfidence | None = None,
        check: Check | None = None,
    ) -> None:
        self.network, self.color, self.film = network, color, film
        self.shots, self.device = shots, device
        # Beside a decoder and an encoder, threads that wait for each other cost more than they
        # bring; teaching has the cores for itself.
        self.threads = max(1, torch.get_num_threads() // 2)
        self.check, self.on_confidence = check, on_confidence
        self.references = references  # of all shots, in order
        self.taught_network, self.progress = taught_network, progress
        self.first_frame, self.start, self.lead = first_frame, start, lead

    def paint(self, luma: Iterator[np.ndarray], planes: PlaneFormat) -> Iterator[Planes]:
        """The U and V planes of each batch of Y planes, read as far ahead as steadying needs."""
        waiting: deque[np.ndarray] = deque()
        details: deque[_Detail] = deque()
        ready: list[Tensor] = []
        done = 0
        batches = self._small_chroma(luma, planes, waiting, details)
        for chroma in self._steady(batches):
            ready.append(details.popleft().corrected(chroma) if details else chroma)
            if len(ready) == len(waiting[0]):
                batch = waiting.popleft()
                done += len(batch)
                if done <= self.lead:
                    painted = _grey(len(batch), planes)
                else:
                    with limited_threads(self.threads):
                        painted = _full_size(ready, batch, planes)
                    shown = batch[-1], ready[-1] * self.color.strength, planes
                    self.progress.add(
                        min(len(batch), done - self.lead), partial(small_picture, *shown)
                    )
                yield painted
                ready = []

    def _steady(self, batches: Iterator[ChromaBatch]) -> Iterator[Tensor]:
        """Each frame's chroma ``(2, h, w)``, steady in time, by the references where they match."""
        stability = self.film.stability
        if self.references is None:
            yield from stabilize_chroma(batches, stability, detailed=self.network.detailed)
            return
        recalled = stabilize_recalled(batches, self.references, stability, first_frame=self.start)
        for frame, (chroma, confidence) in enumerate(recalled, self.start):
            if self.on_confidence and frame >= self.start + self.lead:
                self.on_confidence(frame, confidence[0, 0])
            yield chroma[0]

    def _small_chroma(
        self,
        luma: Iterator[np.ndarray],
        planes: PlaneFormat,
        waiting: deque[np.ndarray],
        details: deque[_Detail],
    ) -> Iterator[ChromaBatch]:
        """Batches to steady; what was read goes to ``waiting``, kept detail to ``details``."""
        first = self.start
        offset = self.first_frame - self.start
        looks = None
        for group in groups(luma, self.first_frame):
            waiting += group
            count = sum(map(len, group))
            for begins, shot, rows in _by_shot(self.shots, first, count):
                if begins or looks is None:
                    model = self._model(shot)
                    sparse = not self.network.detailed
                    looks = Looks(model, planes.luma_size, sparse=sparse)
                with limited_threads(self.threads):
                    small = self._small_luma(looks.size, group, rows, planes)
                    number = offset + first + rows.start
                    # On the CPU: for another device the many small operations of steadying would
                    # be no quicker, and not all of them are there on each.
                    chroma = looks.chroma(small, number, self.check).cpu()
                if self.network.detailed and self.film.stability:
                    size = stabilized_size(*small.shape[2:])
                    steadied_at, small = resize(chroma, size), resize(small, size).clamp_(0, 1)
                    details += map(_Detail, chroma, steadied_at)
                    chroma = steadied_at
                cuts = [begins] + [False] * (len(chroma) - 1) if len(self.shots) > 1 else None
                yield ChromaBatch(chroma, small, cuts)
            first += count

    def _small_luma(
        self,
        size: tuple[int, int],
        group: list[np.ndarray],
        rows: slice,
        planes: PlaneFormat,
    ) -> Tensor:
        """The luma of these frames at the size that steadying wants, a little more than a small
        network's ``size``: the planes are shrunk once."""
        if self.references is not None:
            size = max(size, match_size(*planes.luma_size), key=min)
        elif self.film.stability and not self.network.detailed:
            size = filter_size(*size)
        return torch.cat([small_luma(part, size, planes) for part in _rows_of(group, rows)])

    def _model(self, shot: ShotColors) -> ChromaModel:
        network, color = self.network, self.color
        if shot.grey:
            color = replace(color, saturation=0.0)
        elif shot.keyframes is not None:
            network = self.taught_network(shot)
        return network.chroma_model(color, self.device, film=True)


class _Detail(NamedTuple):
    """A frame's chroma ``(2, h, w)``, and the same at the size at which it is steadied."""

    chroma: Tensor
    small: Tensor

    def corrected(self, steadied: Tensor) -> Tensor:
        """The chroma with the change that steadying made."""
        return self.chroma + resize(steadied - self.small, self.chroma.shape[1:])


def _by_shot(
    shots: Sequence[ShotColors], start: int, count: int
) -> Iterator[tuple[bool, ShotColors, slice]]:
    """The shots that ``count`` frames from ``start`` on belong to, and whether they begin there."""
    ends = [shot.first for shot in shots[1:]] + [start + count]
    for shot, end in zip(shots, ends, strict=True):
        first, stop = max(shot.first, start), min(end, start + count)
        if first < stop:
            yield first == shot.first, shot, slice(first - start, stop - start)


def _rows_of(group: list[np.ndarray], rows: slice) -> Iterator[np.ndarray]:
    """What ``rows`` of the whole group are in each of its batches."""
    first = 0
    for batch in group:
        part = batch[max(0, rows.start - first) : max(0, rows.stop - first)]
        if len(part):
            yield part
        first += len(batch)


def _grey(count: int, planes: PlaneFormat) -> Planes:
    plane = np.full((count, *planes.chroma_size), planes.chroma[0], planes.dtype)
    return plane, plane


def _full_size(chroma: list[Tensor], luma: np.ndarray, planes: PlaneFormat) -> Planes:
    """The chroma planes of Y planes; small chroma of different shots may differ in size."""
    done, parts = 0, []
    for _, run in groupby(chroma, lambda frame: frame.shape):
        small = torch.stack(list(run))
        rows = slice(done, done + len(small))
        parts.append(chroma_planes(small, luma[rows], planes.chroma_size, planes))
        done = rows.stop
    u, v = zip(*parts, strict=True)
    return np.concatenate(u), np.concatenate(v)


def small_picture(plane: np.ndarray, chroma: Tensor, planes: PlaneFormat) -> Tensor:
    """A Y plane ``(H, W)`` in its ``chroma`` ``(2, h, w)``, at most `PREVIEW_WIDTH` wide."""
    scale = min(1.0, PREVIEW_WIDTH / plane.shape[1])
    size = scaled(plane.shape, scale)
    luma = small_luma(plane[None], size, planes)[0]
    return merge(luma, resize(chroma, size)).permute(1, 2, 0)
