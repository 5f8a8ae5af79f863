"""What `colorizationnet colorize` does to one photo or clip, here or on another machine."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import AtomicOutput, sha256_of
from ..host import current, for_clip
from ..options import SHIPPED_WEIGHTS, SOFTWARE, EncodeOptions, FilmOptions, TeachOptions
from . import signals
from .colorize_options import color_options
from .importing import import_torch
from .jobs import FilmRequest, Job
from .record import Made
from .references import read_references, shot_options
from .terminal import harmless

if TYPE_CHECKING:
    from ..callbacks import OnProgress
    from ..pipeline import Clip, Network
    from ..pipeline.photo import Colorize

log = logging.getLogger(__name__)


class Painter:
    """Colours photos and clips by the options of the command line."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self.color = color_options(args)
        self._film = FilmOptions(args.stability, args.compare)
        self._shots = shot_options(args.keyframes, args.sensitivity)
        self._teaching = (
            TeachOptions() if args.teach_steps is None else TeachOptions(args.teach_steps)
        )
        self._encode = EncodeOptions(args.format, args.crf, args.bit_depth, encoder=args.encoder)
        self.network: Network | None = None
        self.weights: Path | None = args.model
        self.is_whole: bool = args.whole
        self.damaged: list[Path] = []  # photos that could not be read whole
        self.incomplete: list[Path] = []  # results whose sources lack frames
        self._probed: dict[Path, Clip] = {}
        self._colorize: Colorize | None = None  # of photos, by one model for all

    def load(self, first: Job | None = None) -> None:
        """Load the network; look at the ``first`` clip meanwhile, for torch is long to import."""
        if first is None or not first.source.is_clip or first.source.pictures:
            self._load()
            return
        from ..pipeline import probe

        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(self._load)
            self._probed[first.source.path] = probe(first.source.path, signals.check)
            loading.result()

    def _load(self) -> None:
        import_torch()
        from ..pipeline import load_model

        self.use(load_model(self._args.model))

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs of it, which gives it the network by `use`."""
        own = {"network": None, "_probed": {}, "_colorize": None, "damaged": [], "incomplete": []}
        return self.__dict__ | own

    def use(self, network: Network) -> None:
        self.network, self._colorize = network, None

    def in_one_piece(self) -> Painter:
        """The same for films that are not divided, in a form for other machines."""
        other = copy.copy(self)
        other.is_whole = True
        _ = other._weights  # the digest, for their path may lead nowhere there
        return other

    def settings(self, job: Job) -> str:
        """A digest of all that a result depends on beside its source."""
        return self._settings_of_clips if job.source.is_clip else self._settings_of_photos

    @cached_property
    def _settings_of_photos(self) -> str:
        color, depth = asdict(self.color), self._args.bit_depth
        # Only where it is given, so that what was done without it is known again.
        compare = [] if self._args.compare == "off" else ["compare"]
        return _digest(self._weights, color, depth, *compare, *self._without_metadata)

    def _record(self, job: Job, clip: Clip | None = None) -> dict[str, str]:
        """What made a result, of a photo or a ``clip``, for its metadata, if that is wanted."""
        args = self._args
        if args.no_metadata:
            return {}
        weights = (args.model or SHIPPED_WEIGHTS).name, self._weights
        made = Made(weights, self.color, args.bit_depth, compare=args.compare != "off")
        if clip is not None:
            from ..video import as_encoded

            made = replace(
                made,
                film=self._film,
                encode=as_encoded(clip, self._encode),
                start=args.start,
                duration=args.duration,
                keyframes=args.keyframes and args.keyframes.resolve().name,
                from_pictures=bool(job.source.pictures),
                strokes=args.strokes,
                teach_steps=args.teach_steps,
                sensitivity=args.sensitivity,
                fps=args.fps and str(args.fps),
            )
        return made.record(job.source.path, job.target)

    @cached_property
    def _settings_of_clips(self) -> str:
        args = self._args
        part = (args.start, args.duration, args.fps)
        color, film, encode = map(asdict, (self.color, self._film, self._encode))
        keyframes = args.keyframes
        files = sorted(keyframes.iterdir()) if keyframes and keyframes.is_dir() else []
        # Only where they are given, so that what was done without them is known again.
        more = [*map(_facts, files), *(["strokes"] if args.strokes else [])]
        more += [["teach_steps", args.teach_steps]] if args.teach_steps is not None else []
        more += [["sensitivity", args.sensitivity]] if args.sensitivity is not None else []
        if encode.pop("encoder") != SOFTWARE:
            more.append(args.encoder)
        return _digest(self._weights, color, film, encode, part, *more, *self._without_metadata)

    @property
    def _without_metadata(self) -> list[str]:
        return ["no metadata"] if self._args.no_metadata else []

    @cached_property
    def _weights(self) -> str:
        path = self._args.model or SHIPPED_WEIGHTS
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}; check the name.")
        return sha256_of(path)

    def paint(
        self,
        job: Job,
        overwrite: bool,
        on_progress: OnProgress | None = None,
        into: Path | None = None,
    ) -> str:
        """Colorize one file, ``into`` another than its target; gives why it was left, if it was."""
        into = into or job.target
        source, host = job.source.path, current()
        with host.progress(1, harmless(source.name)) as progress:

            def report(done: int, total: int, preview: Any = None) -> None:
                progress.report(done, total, preview)
                if on_progress:
                    on_progress(done, total)

            if job.source.is_clip:
                self._paint_clip(job, overwrite, report, into)
                return ""
            return self._paint_photo(job, overwrite, report, into)

    def _paint_photo(self, job: Job, overwrite: bool, report: OnProgress, into: Path) -> str:
        from ..pipeline.photo import paint_photo, photo_colorizer

        if self._colorize is None:
            self._colorize = photo_colorizer(
                self.network,
                self.color,
                compare=self._args.compare != "off",
                device=current().device(),
                check=signals.check,
            )
        result = paint_photo(
            job.source.path,
            into,
            self._colorize,
            bit_depth=self._args.bit_depth,
            overwrite=overwrite,
            skip_color=self._args.skip_color,
            record=self._record(job),
            on_progress=report,
            check=signals.check,
        )
        if result.is_damaged:
            self.damaged.append(job.source.path)
        return "in colour already" if result.path is None else ""

    def film(self, job: Job, overwrite: bool) -> FilmRequest:
        """What is to be done with a clip."""
        from ..pipeline import probe, probe_pictures

        args = self._args
        if job.source.pictures:
            clip = probe_pictures(job.source.pictures, args.fps, signals.check)
        else:
            known = self._probed.pop(job.source.path, None)
            clip = known or probe(job.source.path, signals.check)
        frames = clip.frames(args.start, args.duration)
        shots = keyframes = None
        if args.keyframes:
            shots, keyframes = read_references(
                args.keyframes, clip, frames, strokes=args.strokes, options=self._shots
            )
        metadata = for_clip(self._record(job, clip), clip.tags)
        return FilmRequest(
            clip,
            frames,
            self.color,
            self._film,
            replace(self._encode, metadata=metadata, overwrite=overwrite),
            shots,
            keyframes,
            args.strokes,
            self._teaching,
        )

    def _paint_clip(self, job: Job, overwrite: bool, report: OnProgress, into: Path) -> None:
        from ..pipeline import FilmConfidence, colorize_film, colorize_long_film

        args, film = self._args, self.film(job, overwrite)
        clip, frames = film.clip, film.frames
        confidence = FilmConfidence(len(frames))
        scores = AtomicOutput(args.confidence, overwrite=overwrite) if args.confidence else None
        # A run that goes on does not hear of all frames, of which the scores tell.
        count = (colorize_film if self.is_whole or scores else colorize_long_film)(
            clip,
            into,
            self.network,
            film.color,
            film.film,
            film.encode,
            frames=frames,
            shots=film.shots,
            keyframes=film.keyframes,
            strokes=film.strokes,
            teaching=film.teaching,
            device=current().device(),
            on_progress=report,
            check=signals.check,
            on_confidence=confidence.hear,
        )
        lost = len(frames) - count
        if frames.stop == clip.frame_count:
            lost += clip.missing_frames
        if lost:
            self.incomplete.append(job.target)
        if confidence.scores:
            log.info("%s: %s.", clip.path, confidence.summary)
        if scores:
            with scores as part:
                confidence.write(part, clip)


def _facts(file: Path) -> tuple[str, int, int]:
    """What tells whether a file has changed."""
    facts = file.stat()
    return file.name, facts.st_size, facts.st_mtime_ns


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:16]
