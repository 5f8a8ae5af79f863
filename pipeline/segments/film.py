"""A long film on one machine, segment by segment: a run that was killed can be gone on with."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...callbacks import Check, OnProgress
from ...files import AtomicOutput
from ...model import Network
from ...options import ColorOptions, EncodeOptions, FilmOptions, TeachOptions
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
from .plan import LONG, Segment, at_nearest, even_boundaries, segments_between
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
    frames before show, within a level of what they would be. A clip that turns out to be damaged is
    begun anew, in one piece.

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
    if (shots is None) != (keyframes is None) or not is_divisible(clip, frames, from_length):
        return in_one_piece(encode, kept=kept)
    refuse_taken(path, encode)
    encode = check_recolor(clip, path, encode)
    work = FilmWork(SourceState.of(clip.path), clip, frames, color, film, encode)
    if shots is not None:
        shots.check_clip(clip, frames)
    taught_by = (shots and shots.shots, digest_of_images(keyframes), strokes, teaching)
    store = SegmentStore(path, work_key(work, digest_of_network(network), taught_by))
    segments = store.open(frames)
    if segments is None:
        boundaries = even_boundaries(frames, length)
        cuts = [] if shots is None else [frames.start + shot.first for shot in shots.shots]
        segments = segments_between(frames, at_nearest(boundaries, cuts, length // 2))
        store.plan(segments)
    colors = FilmColors(
        network,
        strokes=strokes,
        teaching=teaching,
        kept=kept or TaughtNetworks(store.folder / "taught"),
    )
    try:
        if shots is not None and keyframes is not None:
            colors = colors.by_keyframes(shots, keyframes, color)
        _fill(store, work, segments, colors, device, on_progress, check, on_confidence)
        join(store, work, segments, check)
    except IncompletePart:
        log.warning(
            "%s is damaged, so it cannot be coloured in segments: it is begun anew, in one piece",
            clip.path,
        )
        try:
            return in_one_piece(encode, kept=colors.kept)
        finally:
            store.remove()
    except BaseException:
        tell_kept(store, len(segments))
        raise
    store.remove()
    return len(frames)


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
        weights,
        taught_by,
    )


def join(
    store: SegmentStore, work: FilmWork, segments: Sequence[Segment], check: Check | None
) -> None:
    """Make the film of its finished segments."""
    work.source.check()
    join_parts(
        work.clip,
        store.target,
        [store.part(segment) for segment in segments],
        frames=work.frames,
        encode=work.encode,
        check=check,
    )


def tell_kept(store: SegmentStore, total: int) -> None:
    """Say what an ended run leaves; nothing is left where nothing was finished."""
    if count := store.count():
        log.info(
            "%s: %d of %d segments are finished and kept in %s; the same command goes on from them",
            store.target,
            count,
            total,
            store.folder,
        )
    else:
        store.remove()


def _fill(
    store: SegmentStore,
    work: FilmWork,
    segments: Sequence[Segment],
    colors: FilmColors,
    device: torch.device | str,
    on_progress: OnProgress | None,
    check: Check | None,
    on_confidence: OnConfidence | None,
) -> None:
    """Colour the segments that are not finished yet."""
    missing = [segment for segment in segments if not store.is_finished(segment, check)]
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
