"""What is done on the workers of a cluster: a few segments of a film, a few files, a teaching."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from ...files import temp_prefix
from ...options import TeachOptions
from ...pipeline import ClipShots, Network, TaughtNetworks, key_of_taught, save_model, teach
from ...pipeline.segments import (
    FilmColors,
    FilmProgress,
    FilmWork,
    Segment,
    SegmentStore,
    SourceState,
    color_segments,
    runs_of,
)
from ...video import Part
from ..jobs import Job, Outcome
from .here import Call, Failed, Link, answered, forget, renamed
from .report import Piece
from .tokens import Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...callbacks import OnProgress

DEFAULT_TEACHING = TeachOptions()
ENCODER_THREADS = 2  # a CPU: an encoder by itself starts more than a machine has cores


class Painter(Protocol):
    """What colours whole files by the settings of the command line."""

    damaged: list[Path]
    incomplete: list[Path]

    def use(self, network: Network) -> None: ...

    def paint(
        self, job: Job, overwrite: bool, on_progress: OnProgress | None, into: Path | None
    ) -> str: ...


@dataclass(frozen=True)
class Film:
    """What all tasks of a film have in common."""

    work: FilmWork
    store: SegmentStore
    token: Token
    weights: SourceState | None
    shots: ClipShots | None = None
    keyframes: Sequence[Tensor] | None = None
    strokes: bool = False
    teaching: TeachOptions = DEFAULT_TEACHING

    def colors(self, network: Network, kept: TaughtNetworks | None = None) -> FilmColors:
        return FilmColors.of(
            network,
            self.work.color,
            self.shots,
            self.keyframes,
            strokes=self.strokes,
            teaching=self.teaching,
            kept=kept,
        )


@dataclass(frozen=True)
class Taught:
    """What the shot of this number was taught: a safetensors file."""

    shot: int
    weights: bytes


@dataclass(frozen=True)
class File:
    """A file to colour whole: its result goes to ``into`` first."""

    job: Job
    source: SourceState | None  # of a film of pictures: none
    into: Path
    token: Token


@answered
def color_run(
    call: Call, film: Film, segments: Sequence[Segment], *taught: Taught | Failed
) -> list[Segment] | Failed:
    """Colour segments of a film, but for those that an earlier attempt has finished."""
    for one in taught:
        if isinstance(one, Failed):
            return one
    link = _begin(call)
    source = link.source(film.work.source)
    clip = replace(film.work.clip, path=source.path)
    work = replace(film.work, source=source, clip=clip, threads=ENCODER_THREADS * call.cpus)
    network, device = link.network(film.weights), _device(call)
    is_shared = link.sees(film.token)
    final = {segment.frames: film.store.part(segment).path for segment in segments}
    at = time.monotonic()
    with _scratch() as scratch:
        colors = film.colors(network, TaughtNetworks(scratch / "taught"))
        for one in taught:
            _put(one, colors, device)

        def part(segment: Segment) -> Part:
            path = final[segment.frames]
            return Part(segment.frames, path if is_shared else scratch / path.name)

        def finished(part: Part) -> None:
            nonlocal at
            if not is_shared:
                link.deliver(part.path, final[part.frames])
            now = time.monotonic()
            name = final[part.frames].stem
            link.tell("piece", _piece(link, name, "segment", len(part.frames), now - at))
            at = now

        def there(segment: Segment) -> bool:
            path = final[segment.frames]
            return path.exists() if is_shared else link.ask("exists", path)

        progress = FilmProgress(
            lambda done, total, preview=None: link.tell_progress(done),
            sum(len(segment.frames) for segment in segments),
        )
        missing = [segment for segment in segments if not there(segment)]
        progress.done = progress.total - sum(len(segment.frames) for segment in missing)
        for run in runs_of(missing):
            color_segments(
                work,
                run,
                list(map(part, run)),
                colors,
                device=device,
                progress=progress,
                on_part=finished,
            )
    return list(segments)


@answered
def color_files(call: Call, painter: Painter, files: Sequence[File], weights: Any) -> Any:
    """Colour whole files; what fails of them hinders none of the others."""
    link = _begin(call)
    painter.use(link.network(weights))
    return [_color_file(link, painter, number, file) for number, file in enumerate(files)]


def _color_file(link: Link, painter: Painter, number: int, file: File) -> Outcome | Failed:
    began = time.monotonic()
    job, total_frames = file.job, 1
    is_carried = False
    painter.damaged.clear()  # of the file before
    painter.incomplete.clear()
    try:
        if file.source is not None:
            here = link.source(file.source).path
            is_carried = here != file.source.path
            job = replace(job, source=replace(job.source, path=here))
        is_shared = link.sees(file.token)

        def report(done: int, total: int, preview: object = None) -> None:
            nonlocal total_frames
            total_frames = total if job.source.is_clip else 1
            link.tell_progress((number, done, total))

        with _scratch() as scratch:
            into = file.into if is_shared else scratch / file.into.name
            why_left = painter.paint(job, True, report, into)
            if not is_shared and not why_left:
                link.deliver(into, file.into)
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        if file.source is not None:
            renamed(error, job.source.path, file.source.path)
        return Failed(error, link.node)
    finally:
        if is_carried and file.source:
            forget(file.source)
    kind = "film" if job.source.is_clip else "photo"
    link.tell("piece", _piece(link, job.source.path.name, kind, total_frames, _since(began)))
    return Outcome(why_left, bool(painter.damaged), bool(painter.incomplete))


@answered
def teach_shot(call: Call, film: Film, shot: int) -> Taught:
    """Teach a shot, so that its segments on all workers are coloured by one network."""
    link = _begin(call)
    began = time.monotonic()
    colors = film.colors(link.network(film.weights))
    keyframes = colors.shots[shot].keyframes
    assert keyframes is not None
    taught = teach(
        colors.network,
        keyframes,
        film.teaching,
        strokes=film.strokes,
        device=_device(call),
    )
    with _scratch() as scratch:
        path = scratch / "taught.safetensors"
        save_model(taught, path, taught.metadata)
        link.tell("piece", _piece(link, f"shot {shot}", "teaching", 0, _since(began)))
        return Taught(shot, path.read_bytes())


def _begin(call: Call) -> Link:
    call.check_version()
    torch.set_num_threads(call.cpus)
    if not call.on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return Link(call)


def _device(call: Call) -> str:
    return "cuda" if call.on_gpu and torch.cuda.is_available() else "cpu"


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=temp_prefix()) as folder:
        yield Path(folder)


def _put(taught: Taught, colors: FilmColors, device: str) -> None:
    """Lay a taught network where its shot will look for it."""
    kept = colors.kept
    assert kept is not None
    kept.folder.mkdir(exist_ok=True)
    name = f"{key_of(colors, taught.shot, device)}.safetensors"
    (kept.folder / name).write_bytes(taught.weights)


def key_of(colors: FilmColors, shot: int, device: str = "cpu") -> str:
    """The key under which a shot's network is looked for on a device."""
    keyframes = colors.shots[shot].keyframes or []
    return key_of_taught(
        colors.network, keyframes, colors.teaching, strokes=colors.strokes, device=device
    )


def _piece(link: Link, name: str, kind: str, frames: int, seconds: float) -> Piece:
    piece = Piece(
        name,
        kind,
        link.node,
        frames,
        seconds,
        bytes_in=link.bytes_in,
        bytes_out=link.bytes_out,
    )
    link.bytes_in = link.bytes_out = 0
    return piece


def _since(began: float) -> float:
    return time.monotonic() - began
