"""A long film on one machine, segment by segment: a run that was killed can be gone on with."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...callbacks import Check, OnProgress
from ...files import AtomicOutput
from ...model import Network
from ...options import SOFTWARE, ColorOptions, EncodeOptions, FilmOptions, TeachOptions
from ...version import pack_version
from ...video import (
    Clip,
    IncompletePart,
    VideoError,
    as_clip,
    check_recolor,
    find_format,
    join_parts,
    versions,
)
from ..film import FilmColors, FilmProgress, OnConfidence, colorize_film
from ..shots import ClipShots
from ..taught_networks import TaughtNetworks
from .disk import DiskNeed
from .paint import FilmWork, color_segments, runs_of
from .plan import LENGTH as SEGMENT_LENGTH
from .plan import LONG, Segment, at_nearest, even_boundaries, likely_cuts, segments_between
from .source import SourceState, digest, digest_of_images, digest_of_network
from .store import SegmentStore

log = logging.getLogger(__name__)

DEFAULT_COLOR, DEFAULT_FILM = ColorOptions(), FilmOptions()
DEFAULT_ENCODE, DEFAULT_TEACHING = EncodeOptions(), TeachOptions()


def colorize_long_film(
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
    length: int = SEGMENT_LENGTH,
    from_length: int = LONG,
) -> int:
    """`colorize_film`, for films that are too long to be begun again; gives the number of frames.

    A film of ``from_length`` frames or more is coloured in segments of about ``length``. Those that
    are finished, and the networks that were taught, wait in a hidden folder beside ``target``; when
    the work was ended, however that came, the same call goes on from them. The folder is removed
    when the film is whole. Luma, times, sound and tags are what `colorize_film` makes of them, and
    so is the chroma of a run that was not ended; where it went on, colours start from what the
    frames before show, within a level of what they would be (three at the highest stability). A
    clip that turns out to be damaged is begun anew, in one piece.

    ``on_confidence`` hears of the frames that this call colours. Raises what `colorize_film` does,
    and ``OSError`` when the disk will not hold the segments and the film.
    """
    clip, path = as_clip(source), Path(target)
    frames = clip.frames() if frames is None else frames
    in_one_piece = partial(
        colorize_film,
        clip,
        path,
        network,
        color,
        film,
        frames=frames,
        shots=shots,
        keyframes=keyframes,
        strokes=strokes,
        teaching=teaching,
        device=device,
        on_progress=on_progress,
        check=check,
        on_confidence=on_confidence,
    )
    if SegmentStore.is_begun(path):  # by many machines, for which shorter films are divided too
        from_length = 0
    if (shots is None) != (keyframes is None) or not is_divisible(clip, frames, from_length):
        return in_one_piece(encode, kept=kept)
    planned = PlannedFilm.of(
        clip,
        path,
        network,
        color,
        film,
        encode,
        frames=frames,
        shots=shots,
        keyframes=keyframes,
        strokes=strokes,
        teaching=teaching,
        length=length,
    )
    store, encode = planned.store, planned.work.encode
    kept = kept or TaughtNetworks(store.taught)
    try:
        colors = FilmColors.of(
            network, color, shots, keyframes, strokes=strokes, teaching=teaching, kept=kept
        )
        _fill(planned, colors, device, on_progress, check, on_confidence)
        planned.join(check)
    except IncompletePart:
        planned.tell_damaged()
        try:
            return in_one_piece(encode, kept=kept)
        finally:
            store.remove()
    except BaseException:
        planned.tell_kept()
        raise
    store.remove()
    return len(frames)


@dataclass(frozen=True)
class PlannedFilm:
    """A film's segments, planned here or by an earlier run, and where the finished ones wait."""

    work: FilmWork
    store: SegmentStore
    segments: list[Segment]

    @classmethod
    def of(
        cls,
        clip: Clip,
        target: Path,
        network: Network,
        color: ColorOptions = DEFAULT_COLOR,
        film: FilmOptions = DEFAULT_FILM,
        encode: EncodeOptions = DEFAULT_ENCODE,
        *,
        frames: range,
        shots: ClipShots | None = None,
        keyframes: Sequence[Tensor] | None = None,
        strokes: bool = False,
        teaching: TeachOptions = DEFAULT_TEACHING,
        length: int = SEGMENT_LENGTH,
    ) -> PlannedFilm:
        """``frames`` of ``clip``, divided into segments of about ``length``.

        Raises what can be said before the first is coloured.
        """
        refuse_taken(target, encode)
        encode = check_recolor(clip, target, encode)
        work = FilmWork(SourceState.of(clip.path), clip, frames, color, film, encode)
        if shots is not None:
            shots.check_clip(clip, frames)
        taught_by = (shots and shots.shots, digest_of_images(keyframes), strokes, teaching)
        store = SegmentStore(target, work_key(work, digest_of_network(network), taught_by))
        segments = store.open(frames)
        if segments is None:
            boundaries = even_boundaries(frames, length)
            if shots is None:
                # Whether it is a cut is seen when it is coloured, so the run-in stays.
                begins = at_nearest(boundaries, likely_cuts(clip, frames), length // 4)
                places = dict.fromkeys(begins, False)
            else:
                cuts = [frames.start + shot.first for shot in shots.shots]
                places = at_nearest(boundaries, cuts, length // 2)
            segments = segments_between(frames, places)
            store.plan(segments)
        return cls(work, store, segments)

    def missing(self, check: Check | None = None) -> list[Segment]:
        """The segments that are not finished yet."""
        return [segment for segment in self.segments if not self.store.is_finished(segment, check)]

    def join(self, check: Check | None = None) -> None:
        """Make the film of its finished segments."""
        self.work.source.check()
        join_parts(
            self.work.clip,
            self.store.target,
            [self.store.part(segment) for segment in self.segments],
            frames=self.work.frames,
            encode=self.work.encode,
            check=check,
        )

    def tell_damaged(self) -> None:
        """Say that it goes on in one piece."""
        log.warning(
            "%s is damaged, so it cannot be coloured in segments: it is begun anew, in one piece",
            self.work.clip.path,
        )

    def tell_kept(self) -> None:
        """Say what an ended run leaves; nothing is left where nothing was finished."""
        if count := self.store.count():
            log.info(
                "%s: %d of %d segments are finished and kept in %s; the same command goes on from "
                "them",
                self.store.target,
                count,
                len(self.segments),
                self.store.folder,
            )
        else:
            self.store.remove()


def is_divisible(clip: Clip, frames: range, from_length: int = LONG) -> bool:
    """Whether these frames of the clip are worth it, and can be found one by one."""
    is_sound = not (clip.missing_frames or clip.corrupt_packets or clip.jumps or clip.pictures)
    return len(frames) >= from_length and clip.timed and is_sound


def refuse_taken(path: Path, encode: EncodeOptions) -> None:
    """Raise at once what would be raised when the film is written at last."""
    find_format(encode.format).container(path)
    try:
        AtomicOutput(path, overwrite=encode.overwrite).discard()
    except FileNotFoundError as error:
        raise VideoError(str(error)) from None


def work_key(work: FilmWork, weights: str, taught_by: tuple) -> str:
    """A digest of all that the segments of a film depend on."""
    return digest(
        pack_version(),
        versions(),
        work.source.identity,
        work.frames,
        work.color,
        work.film,
        (work.encode.format, work.encode.quality, work.encode.bit_depth),
        *((work.encode.encoder,) if work.encode.encoder != SOFTWARE else ()),
        weights,
        taught_by,
    )


def _fill(
    planned: PlannedFilm,
    colors: FilmColors,
    device: torch.device | str,
    on_progress: OnProgress | None,
    check: Check | None,
    on_confidence: OnConfidence | None,
) -> None:
    """Colour the segments that are not finished yet."""
    work, store, segments = planned.work, planned.store, planned.segments
    missing = planned.missing(check)
    need = DiskNeed(store, work, len(segments) - len(missing), len(segments))
    left = sum(len(segment.frames) for segment in missing)
    progress = FilmProgress(on_progress, len(work.frames) + colors.steps, len(work.frames) - left)
    for run in runs_of(missing):
        color_segments(
            work,
            run,
            [store.part(segment) for segment in run],
            colors,
            device=device,
            progress=progress,
            on_part=need.check,
            check=check,
            on_confidence=on_confidence,
        )
    progress.reach(progress.total)
