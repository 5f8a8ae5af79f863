"""`colorizationnet colorize`: the short way for photos, clips and folders of them."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import AtomicOutput, sha256_of
from ..host import current, for_clip
from ..options import (
    COMPARISONS,
    FORMATS,
    LOOKS,
    PICTURE_FORMATS,
    PRECISIONS,
    QUALITIES,
    SHIPPED_WEIGHTS,
    ColorOptions,
    EncodeOptions,
    FilmOptions,
)
from . import signals
from .batch import Batch, bar_over, disk_error
from .claims import claimed
from .jobs import Begun, FilmRequest, Job, Ledger, Output, plan
from .record import Made
from .sources import Source, find_sources
from .terminal import harmless

if TYPE_CHECKING:
    from ..callbacks import OnProgress
    from ..pipeline import Clip, Network
    from .cluster import Engine

PHOTO_DEPTHS = (8, 16)

log = logging.getLogger(__name__)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "colorize",
        help="colorize photos, clips, or folders of them",
        description="Colorize photos, clips, or folders of them, and print the files written. "
        "Results get the name of their source with -color, beside it or in the folder -o. Of "
        "several files, those that are done are left as they are, so that the same command goes on "
        "where it was stopped; what was made of what stands in .colorizationnet.jsonl beside the "
        "results.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a photo, a clip, a folder of them, or a film of numbered pictures (%%05d.png)",
    )
    parser.add_argument(
        "-o", "--output", help="the result's name, or a folder (made if need be) for several"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace results that are there already"
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave results that are there already, as is the rule for several files",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, no more")
    parser.add_argument(
        "--bit-depth",
        type=int,
        help="8 or 10 for clips, 8 or 16 for photos (default: as the source has, but 8 for H.264 "
        "that is not HDR)",
    )
    parser.add_argument(
        "--no-metadata",
        action="store_true",
        help="leave out of the results what made them (settings, weights, a workflow)",
    )
    parser.add_argument(
        "--compare",
        choices=COMPARISONS,
        default=FilmOptions.compare,
        help="show what was before: half leaves the left half of a photo as it was, and that of a "
        "clip grey; wipe begins a clip in grey and draws the colour across it (default: off)",
    )
    add_colour_options(parser)
    photos = parser.add_argument_group("photos")
    photos.add_argument(
        "--skip-colour",
        "--skip-color",
        dest="skip_color",
        action="store_true",
        help="leave photos that are in colour already",
    )
    film = parser.add_argument_group("clips")
    film.add_argument(
        "--format",
        choices=[name for name in FORMATS if name not in PICTURE_FORMATS],
        default=EncodeOptions.format,
        help="the codec (default: %(default)s)",
    )
    film.add_argument("--crf", type=float, help="the encoder's quality number (default: its own)")
    film.add_argument(
        "--stability",
        type=float,
        default=FilmOptions.stability,
        help="0 to 1: how firmly colours hold still (default: %(default)s)",
    )
    film.add_argument(
        "--keyframes",
        type=Path,
        metavar="DIR",
        help="coloured frames of this clip: a folder made by keyframes, or pictures named by their "
        "frame's number from 0 (frame_000123.png) or time (00:01:05.200.png)",
    )
    film.add_argument(
        "--strokes",
        action="store_true",
        help="the keyframes are grey frames with strokes of colour painted on them",
    )
    film.add_argument(
        "--confidence",
        type=Path,
        metavar="JSON",
        help="write here how well each frame's colours are known from the keyframes, 0 to 1, and "
        "by how many levels of 255 they may be off",
    )
    film.add_argument(
        "--as-film",
        action="store_true",
        help="take each folder for a film of its pictures, in the order of their names",
    )
    film.add_argument(
        "--fps", type=_rate, help="pictures a second, of --as-film and of a name like %%05d.png"
    )
    film.add_argument(
        "--whole",
        action="store_true",
        help="colour long clips in one piece, not in segments that a later run can go on from",
    )
    film.add_argument("--start", type=float, default=0.0, help="begin here, in seconds")
    film.add_argument("--duration", type=float, help="stop after so many seconds")
    cluster = parser.add_argument_group("a cluster")
    cluster.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="work on the nodes of a Ray cluster: that of this machine, that at HOST:PORT, or "
        "local, one of this machine's processes (pip install 'colorizationnet[cluster]')",
    )
    cluster.add_argument(
        "--ray-send",
        action="store_true",
        help="send files through Ray even where the nodes see the same disk",
    )
    cluster.add_argument(
        "--ray-report", type=Path, metavar="JSON", help="write here what was done where"
    )
    parser.set_defaults(main=main)


def add_colour_options(parser: argparse.ArgumentParser) -> None:
    """The colour settings, named as the nodes name them."""
    colour = parser.add_argument_group("colour")
    colour.add_argument("--model", type=Path, help="weights (default: the shipped ones)")
    colour.add_argument(
        "--render-size",
        type=int,
        help="short side in pixels at which the network looks; smaller gives broader, calmer "
        "colour (default: what the weights were made for)",
    )
    colour.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="0 to 1: how much of the new colour is used (default: %(default)g)",
    )
    colour.add_argument(
        "--saturation",
        type=float,
        default=1.0,
        help="gain on the network's colours (default: %(default)g)",
    )
    colour.add_argument(
        "--look",
        choices=LOOKS,
        default=ColorOptions.look,
        help="natural holds colour back where it is a guess, vivid less (default: %(default)s)",
    )
    colour.add_argument(
        "--quality",
        choices=QUALITIES,
        default=ColorOptions.quality,
        help="best looks three times, fast once for an eighth of the work, full follows small "
        "things better (default: what the weights were made for)",
    )
    colour.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=ColorOptions.precision,
        help="number format of the arithmetic (default: what the device does best)",
    )


def main(args: argparse.Namespace) -> Iterator[Path | str]:
    """Colorize one after the other, yielding each file as it is written."""
    _check_range("--start", args.start, "0 s or later", args.start >= 0)
    if args.duration is not None:
        _check_range("--duration", args.duration, "more than 0 s", args.duration > 0)
    painter = Painter(args)
    output = Output.of(args.output, args.inputs)
    sources = find_sources(args.inputs, output.path, as_film=args.as_film)
    _check_kinds(sources.found, args)
    jobs = list(plan(sources.found, output, args.format))
    several = len(jobs) > 1 or any(path.is_dir() for path in args.inputs) or args.skip_existing
    if several:
        ledger = Ledger(
            overwrite=args.overwrite, skip_color=args.skip_color, sweep=not args.dry_run
        )
        batch = Batch(
            jobs,
            ledger,
            painter.settings,
            sources.skipped,
            painter.damaged,
            painter.incomplete,
            overwrite=args.overwrite,
            traceback=args.traceback,
        )
        if args.dry_run:
            yield from batch.preview()
            return
        if batch.has_work:
            painter.load()
        with ExitStack() as stack:
            done = batch.run(painter.paint)
            if args.ray and batch.has_work:
                engine = stack.enter_context(_engine(args, painter))
                done = batch.run_together(engine.color, engine.rates)
            stack.enter_context(closing(done))
            yield from done
        _check_whole(painter.incomplete)
        return
    [job] = jobs
    if os.path.lexists(job.target) and not args.overwrite:
        raise FileExistsError(
            f"{job.target} is there already; name another with -o, or add --overwrite."
        )
    if args.dry_run:
        yield f"{job.source.path} -> {job.target}"
        return
    painter.load(job)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    with claimed(job.target) as mine:
        if not mine:
            raise RuntimeError(f"Another process is at work on {job.target}.")
        try:
            if args.ray:
                with _engine(args, painter) as engine:
                    left = _paint_together(engine, painter, Begun(job, args.overwrite))
            else:
                left = painter.paint(job, args.overwrite)
        except ValueError as error:
            if (of_disk := disk_error(error, job.target)) is not error:
                raise of_disk from error
            raise
    if left:
        log.info("%s: left, for it is %s.", job.source.path, left)
    else:
        yield job.target
    _check_whole(painter.incomplete)


@contextmanager
def _engine(args: argparse.Namespace, painter: Painter) -> Iterator[Engine]:
    """The cluster of ``--ray`` at work."""
    from .cluster import Engine, Report, connected

    report = Report()
    try:
        with (
            connected(args.ray) as ray,
            Engine(ray, painter, report, check=signals.check, carry=args.ray_send) as engine,
        ):
            yield engine
    except KeyboardInterrupt:
        signals.check()  # while Ray waits, it makes one of every signal's exception
        raise
    finally:
        if args.ray_report:
            report.write(args.ray_report)


def _paint_together(engine: Engine, painter: Painter, begun: Begun) -> str:
    """One file on a cluster; gives why it was left, if it was."""
    with bar_over([begun.job]) as bar:

        def report(begun: Begun, done: int, total: int) -> None:
            bar.update(bar.total * done // max(total, 1) - bar.n)
            bar.set_postfix_str(engine.rates())

        [(_, outcome)] = engine.color(iter([begun]), 1, report)
    if outcome.error:
        raise outcome.error
    if outcome.is_damaged:
        painter.damaged.append(begun.job.source.path)
    if outcome.is_incomplete:
        painter.incomplete.append(begun.job.target)
    return outcome.why_left


def _check_whole(incomplete: list[Path]) -> None:
    """Raise ``RuntimeError`` for results that are not all that was asked for."""
    if incomplete:
        names = ", ".join(path.name for path in incomplete)
        raise RuntimeError(f"Written, but frames of the source are missing: {names}.")


def _rate(text: str) -> Fraction | float:
    """Pictures a second: 24, 23.976 or 24000/1001."""
    try:
        rate = Fraction(text) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        rate = 0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no rate; choose one up to 1000, or 24000/1001")
    return rate


def _check_range(option: str, value: float, range: str, holds: bool) -> None:
    if not (holds and math.isfinite(value)):
        raise ValueError(f"{option} is {value:g}; choose {range}.")


def _check_kinds(sources: list[Source], args: argparse.Namespace) -> None:
    """Raise ``ValueError`` for options that do not go with what there is to colorize."""
    clips = [source for source in sources if source.is_clip]
    photos = [source for source in sources if not (source.is_clip or source.problem)]
    if args.fps is None and any(source.pictures for source in sources):
        raise ValueError("How fast do the pictures follow each other? Say it with --fps.")
    if args.fps and not any(source.pictures for source in sources):
        raise ValueError("--fps is for pictures: a name like %05d.png, or a folder --as-film.")
    if args.keyframes and (len(sources) != 1 or not clips or args.start):
        raise ValueError("--keyframes belongs to one whole clip; colorize it by itself.")
    if args.confidence and not args.keyframes:
        raise ValueError("--confidence tells of --keyframes; give those as well.")
    if args.confidence and args.ray:
        raise ValueError("--confidence tells of a film in one piece; leave out --ray.")
    if (args.ray_report or args.ray_send) and not args.ray:
        raise ValueError("--ray-report and --ray-send belong to --ray; give that as well.")
    if args.strokes and not args.keyframes:
        raise ValueError("--strokes tells how --keyframes are painted; give those as well.")
    depth = args.bit_depth
    if depth is None:
        return
    if photos and depth not in PHOTO_DEPTHS:
        raise ValueError(f"--bit-depth is {depth}; photos have 8 or 16 bits.")
    if clips:
        from ..pipeline import find_format

        entry = find_format(args.format)
        if depth not in entry.bit_depths:
            choice = " or ".join(map(str, entry.bit_depths))
            raise ValueError(f"--bit-depth is {depth}; {entry.label} has {choice} bits.")


def color_options(args: argparse.Namespace) -> ColorOptions:
    """The colour settings of the command line."""
    return ColorOptions(
        render_size=args.render_size,
        strength=args.strength,
        saturation=args.saturation,
        quality=args.quality,
        precision=args.precision,
        look=args.look,
    )


class Painter:
    """Colours photos and clips by the options of the command line."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self.color = color_options(args)
        self._film = FilmOptions(args.stability, args.compare)
        self._encode = EncodeOptions(args.format, args.crf, args.bit_depth)
        self.network: Network | None = None
        self.weights: Path | None = args.model
        self.is_whole: bool = args.whole
        self.damaged: list[Path] = []  # photos that could not be read whole
        self.incomplete: list[Path] = []  # results whose sources lack frames
        self._probed: dict[Path, Clip] = {}

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
        from ..pipeline import load_model

        self.network = load_model(self._args.model)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs of it, which gives it the network by `use`."""
        return self.__dict__ | {"network": None, "_probed": {}, "damaged": [], "incomplete": []}

    def use(self, network: Network) -> None:
        self.network = network

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
                keyframes=args.keyframes and args.keyframes.name,
                from_pictures=bool(job.source.pictures),
                strokes=args.strokes,
                fps=args.fps and str(args.fps),
            )
        return made.record(job.source.path, job.target)

    @cached_property
    def _settings_of_clips(self) -> str:
        part = (self._args.start, self._args.duration, self._args.fps)
        options = map(asdict, (self.color, self._film, self._encode))
        keyframes = self._args.keyframes
        files = sorted(keyframes.iterdir()) if keyframes and keyframes.is_dir() else []
        # Only where they are given, so that what was done without them is known again.
        more = [*map(_facts, files), *(["strokes"] if self._args.strokes else [])]
        return _digest(self._weights, *options, part, *more, *self._without_metadata)

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
        from ..pipeline import colorize_photo

        result = colorize_photo(
            job.source.path,
            into,
            self.network,
            self.color,
            bit_depth=self._args.bit_depth,
            overwrite=overwrite,
            skip_color=self._args.skip_color,
            compare=self._args.compare != "off",
            record=self._record(job),
            device=current().device(),
            on_progress=report,
            check=signals.check,
        )
        if result.is_damaged:
            self.damaged.append(job.source.path)
        return "in colour already" if result.path is None else ""

    def film(self, job: Job, overwrite: bool) -> FilmRequest:
        """What is to be done with a clip."""
        from ..pipeline import probe, probe_pictures
        from .keyframes import read_references

        args = self._args
        if job.source.pictures:
            clip = probe_pictures(job.source.pictures, args.fps, signals.check)
        else:
            known = self._probed.pop(job.source.path, None)
            clip = known or probe(job.source.path, signals.check)
        shots = keyframes = None
        if args.keyframes:
            shots, keyframes = read_references(args.keyframes, clip, strokes=args.strokes)
        metadata = for_clip(self._record(job, clip), clip.tags)
        return FilmRequest(
            clip,
            clip.frames(args.start, args.duration),
            self.color,
            self._film,
            replace(self._encode, metadata=metadata, overwrite=overwrite),
            shots,
            keyframes,
            args.strokes,
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
