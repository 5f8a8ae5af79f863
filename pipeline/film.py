"""A film from grey to colour, streamed: small chroma from small luma, onto the clip's own Y planes.

The way of a frame: Y plane -> small luma -> `ChromaModel` -> small chroma -> steady in time ->
chroma planes inside the gamut. The Y plane itself goes to the encoder untouched.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
from .keyframe_match import match_keyframes
from .looks import Looks, groups
from .previews import PREVIEW_WIDTH, small_image
from .shots import ClipShots, ShotColors, shot_colors, shot_references
from .stabilize import stabilized_size
from .taught_networks import TaughtNetworks
from .teaching import teach

DEFAULT_COLOR, DEFAULT_FILM = ColorOptions(), FilmOptions()
DEFAULT_ENCODE, DEFAULT_TEACHING = EncodeOptions(), TeachOptions()

Planes = tuple[np.ndarray, np.ndarray]
OnConfidence = Callable[[int, Tensor, Tensor], None]
OnShot = Callable[[int, int, bool], None]


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
    keyframes: Sequence[Tensor] | None = None,
    strokes: bool = False,
    teaching: TeachOptions = DEFAULT_TEACHING,
    kept: TaughtNetworks | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
    check: Check | None = None,
    on_confidence: OnConfidence | None = None,
    on_shot: OnShot | None = None,
) -> int:
    """Colorize the clip ``source`` into the file ``target``; gives the number of frames.

    As for pictures, a ``color.strength`` below 1 leaves so much of the clip's own colours. The
    luma, the times of the frames, sound, subtitles, chapters and tags are the source's. Memory
    does not grow with the length of the clip. ``frames`` (of the clip, step 1) trims it.

    With ``shots`` (of the trimmed clip) and coloured ``keyframes`` ``(H, W, 3)`` in [0, 1] of all
    or some of them (`match_keyframes`), each shot is coloured by a copy of ``network`` taught on
    its own keyframes by ``teaching`` when its turn comes (by ``network`` itself, where that cannot
    be taught); a shot whose keyframes have no colour stays grey, one without any is left to
    ``network``. Where a surface of the keyframes is seen again, it has the colour that they show.
    ``strokes``: the keyframes are grey frames with colour painted on them, and only pixels in
    colour count. Without keyframes, the film's cuts are found on the way. A network without detail
    of its own looks at every other frame, as far as those between lie midway (`looks`).

    ``kept``: where taught networks are looked for and kept. ``on_progress`` counts frames, and the
    steps of teaching beside them, with a keyframe as the preview. ``on_confidence`` hears of
    each frame coloured by keyframes its number and two maps ``(h, w)``: how well its colours are
    known from them, 0 (the taught network's guess) to 1, and by how much its chroma is expected to
    be off. ``on_shot`` hears, of a film with keyframes, the number from 1 of the shot that is next,
    of how many, and whether it is taught first (True) or coloured now. Raises ``ValueError`` for
    what cannot be done, `VideoError` for a clip that cannot be read or written, and
    ``FileExistsError`` when ``target`` exists and ``encode`` does not say to overwrite.
    """
    if (shots is None) != (keyframes is None):
        raise ValueError("Coloured keyframes need the shots that they are of, and vice versa.")
    clip = as_clip(source)
    frames = clip.frames() if frames is None else frames
    if shots is not None:
        shots.check_clip(clip, frames)
    colors = FilmColors.of(
        network, color, shots, keyframes, strokes=strokes, teaching=teaching, kept=kept
    )
    painter = FilmPainter(
        colors,
        color,
        film,
        torch.device(device),
        frames,
        progress=FilmProgress(on_progress, len(frames) + colors.steps),
        on_confidence=on_confidence,
        on_shot=on_shot,
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


@dataclass(frozen=True)
class FilmColors:
    """What a film's colours come from.

    ``shots`` and ``references`` (made anew at each call) count from the film's first frame. Where
    there is but one shot, cuts are found in the luma. A shot with keyframes has a network of its
    own, which is looked for in ``kept`` first.
    """

    network: Network
    shots: Sequence[ShotColors] = (ShotColors(0),)
    references: Callable[[], Iterable[Reference]] | None = None
    strokes: bool = False
    teaching: TeachOptions = DEFAULT_TEACHING
    kept: TaughtNetworks | None = None

    @classmethod
    def of(
        cls,
        network: Network,
        color: ColorOptions = DEFAULT_COLOR,
        shots: ClipShots | None = None,
        keyframes: Sequence[Tensor] | None = None,
        *,
        strokes: bool = False,
        teaching: TeachOptions = DEFAULT_TEACHING,
        kept: TaughtNetworks | None = None,
    ) -> FilmColors:
        """Those of ``keyframes`` of ``shots``, or of the ``network`` alone."""
        colors = cls(network, strokes=strokes, teaching=teaching, kept=kept)
        if shots is None or keyframes is None:
            return colors
        known, pictures = match_keyframes(shots, keyframes)
        return replace(
            colors,
            shots=shot_colors(known, pictures, strokes=strokes),
            references=lambda: shot_references(known, pictures, color.saturation, strokes=strokes),
        )

    @property
    def steps(self) -> int:
        """Steps of teaching, for all shots together."""
        if not self.network.teachable:
            return 0
        return self.teaching.steps * sum(shot.keyframes is not None for shot in self.shots)


class FilmProgress:
    """Counts what is done of a film: its frames, and the steps of teaching beside them."""

    def __init__(self, on_progress: OnProgress | None, total: int, done: int = 0) -> None:
        self.on_progress, self.done, self.total = on_progress, done, max(1, total)

    def reach(self, done: int, preview: Callable[[], Tensor] | None = None) -> None:
        self.done = min(done, self.total)
        if self.on_progress:
            self.on_progress(self.done, self.total, preview)


class FilmPainter:
    """What colours the Y planes of consecutive frames of a film.

    ``frames`` of the clip are the film; those painted begin with ``first``, and ``kept`` are kept
    (None: all). The others are thrown away: they are looked at for the sake of these, and painted
    grey.
    """

    def __init__(
        self,
        colors: FilmColors,
        color: ColorOptions,
        film: FilmOptions,
        device: torch.device,
        frames: range,
        *,
        first: int | None = None,
        kept: range | None = None,
        progress: FilmProgress | None = None,
        on_confidence: OnConfidence | None = None,
        on_shot: OnShot | None = None,
        check: Check | None = None,
    ) -> None:
        self.colors, self.network, self.color, self.film = colors, colors.network, color, film
        self.shots, self.device = colors.shots, device
        # Beside a decoder and an encoder, threads that wait for each other cost more than they
        # bring; teaching has the cores for itself.
        self.threads = max(1, torch.get_num_threads() // 2)
        self.check, self.on_confidence, self.on_shot = check, on_confidence, on_shot
        self.references = colors.references and colors.references()  # of all shots, in order
        self.progress = progress or FilmProgress(None, 0)
        self.first_frame, self.frame_count = frames.start, len(frames)
        self.start = 0 if first is None else first - frames.start  # counted in the film
        self.painted = self.start
        if kept is None:  # of a clip that goes on after what was counted, the rest as well
            kept = range(frames.start, sys.maxsize)
        self.kept = range(kept.start - frames.start, kept.stop - frames.start)

    def paint(self, luma: Iterator[np.ndarray], planes: PlaneFormat) -> Iterator[Planes]:
        """The U and V planes of each batch of Y planes, read as far ahead as steadying needs."""
        waiting: deque[np.ndarray] = deque()
        details: deque[_Detail] = deque()
        ready: list[Tensor] = []
        batches = self._small_chroma(luma, planes, waiting, details)
        for chroma, known in self._steady(batches):
            ready.append(details.popleft().corrected(chroma, known) if details else chroma)
            if len(ready) == len(waiting[0]):
                batch = waiting.popleft()
                first, self.painted = self.painted, self.painted + len(batch)
                new = min(self.painted, self.kept.stop) - max(first, self.kept.start)
                if new <= 0:
                    yield _grey(len(batch), planes)
                    ready = []
                    continue
                with limited_threads(self.threads):
                    painted = _full_size(ready, batch, planes)
                self._compare(painted, planes)
                shown = batch[-1], ready[-1] * self.color.strength, planes
                self.progress.reach(self.progress.done + new, partial(small_picture, *shown))
                yield painted
                ready = []

    def _compare(self, painted: Planes, planes: PlaneFormat) -> None:
        """Take the colour off what shall be seen as it was before."""
        if self.film.compare == "off":
            return
        none, _ = planes.chroma
        width = planes.chroma_size[1]
        first = self.painted - len(painted[0])
        for number in range(len(painted[0])):
            before = slice(width // 2)
            if self.film.compare == "wipe":
                before = slice(width * (first + number) // max(1, self.frame_count - 1), None)
            for plane in painted:
                plane[number, :, before] = none

    def _steady(self, batches: Iterator[ChromaBatch]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each frame's chroma ``(2, h, w)``, steady in time, by the references where they match.

        With references also how well it is known from them, ``(1, h, w)``.
        """
        stability = self.film.stability
        if self.references is None:
            for chroma in stabilize_chroma(batches, stability, detailed=self.network.detailed):
                yield chroma, None
            return
        recalled = stabilize_recalled(batches, self.references, stability, first_frame=self.start)
        for frame, found in enumerate(recalled, self.start):
            if self.on_confidence and frame in self.kept:
                self.on_confidence(frame, found.confidence[0, 0], found.error[0, 0])
            yield found.chroma[0], found.confidence[0]

    def _small_chroma(
        self,
        luma: Iterator[np.ndarray],
        planes: PlaneFormat,
        waiting: deque[np.ndarray],
        details: deque[_Detail],
    ) -> Iterator[ChromaBatch]:
        """Batches to steady; what was read goes to ``waiting``, kept detail to ``details``."""
        first = self.start
        looks = None

        def taken() -> Iterator[np.ndarray]:
            for batch in luma:
                waiting.append(batch)
                yield batch

        for group in groups(taken(), self.first_frame + first):
            count = sum(map(len, group))
            for begins, shot, rows in _by_shot(self.shots, first, count):
                if begins or looks is None:
                    model = self._model(shot)
                    sparse = not self.network.detailed
                    looks = Looks(model, planes.luma_size, sparse=sparse)
                with limited_threads(self.threads):
                    small = self._small_luma(looks.size, group, rows, planes)
                    start = self.first_frame + first + rows.start
                    # On the CPU: for another device the many small operations of steadying would
                    # be no quicker, and not all of them are there on each.
                    chroma = looks.chroma(small, start, self.check).cpu()
                if self.network.detailed and (self.film.stability or self.references is not None):
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
        elif shot.keyframes is not None and network.teachable and self._keeps(shot):
            self._tell(shot, taught=True)
            network = self._taught(shot.keyframes)
        self._tell(shot, taught=False)
        return network.chroma_model(color, self.device, film=True)

    def _keeps(self, shot: ShotColors) -> bool:
        """Whether frames of it are kept, and not only looked at beside those."""
        later = (other.first for other in self.shots if other.first > shot.first)
        return shot.first < self.kept.stop and min(later, default=sys.maxsize) > self.kept.start

    def _tell(self, shot: ShotColors, *, taught: bool) -> None:
        if self.on_shot is not None and self.references is not None:
            number = next(n for n, known in enumerate(self.shots, 1) if known is shot)
            self.on_shot(number, len(self.shots), taught)

    def _taught(self, keyframes: list[Tensor]) -> Network:
        before, colors = self.progress.done, self.colors

        def report(done: int, total: int, preview: object = None) -> None:
            self.progress.reach(before + done, lambda: small_image(keyframes[0]))

        taught = teach(
            self.network,
            keyframes,
            colors.teaching,
            strokes=colors.strokes,
            device=self.device,
            kept=colors.kept,
            on_progress=report,
            check=self.check,
        )
        self.progress.done = before + colors.teaching.steps  # it may have ended early
        return taught


class _Detail(NamedTuple):
    """A frame's chroma ``(2, h, w)``, and the same at the size at which it is steadied."""

    chroma: Tensor
    small: Tensor

    def corrected(self, steadied: Tensor, known: Tensor | None) -> Tensor:
        """The chroma with the change that steadying made.

        Where colours are ``known`` ``(1, h, w)`` from elsewhere, they have no part in its detail.
        """
        size = self.chroma.shape[1:]
        chroma = self.chroma + resize(steadied - self.small, size)
        if known is None:
            return chroma
        return torch.lerp(chroma, resize(steadied, size), resize(known, size).clamp_(0, 1))


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
    if len(parts) == 1:
        return parts[0]
    u, v = zip(*parts, strict=True)
    return np.concatenate(u), np.concatenate(v)


def small_picture(plane: np.ndarray, chroma: Tensor, planes: PlaneFormat) -> Tensor:
    """A Y plane ``(H, W)`` in its ``chroma`` ``(2, h, w)``, at most `PREVIEW_WIDTH` wide."""
    scale = min(1.0, PREVIEW_WIDTH / plane.shape[1])
    size = scaled(plane.shape, scale)
    luma = small_luma(plane[None], size, planes)[0]
    return merge(luma, resize(chroma, size)).permute(1, 2, 0)
