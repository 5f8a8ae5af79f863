"""`colorizationnet colorize`: the short way for photos, clips and folders of them."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import SOFTWARE
from . import colorize_options, signals
from .batch import Batch, bar_over, disk_error
from .claims import claimed
from .jobs import Begun, Ledger, Output, plan
from .painter import Painter
from .references import check_folder
from .sources import Source, find_sources

if TYPE_CHECKING:
    from .cluster import Engine

PHOTO_DEPTHS = (8, 16)

log = logging.getLogger(__name__)


def add_parser(commands: argparse._SubParsersAction) -> None:
    colorize_options.add_parser(commands).set_defaults(main=main)


def main(args: argparse.Namespace) -> Iterator[Path | str]:
    """Colorize one after the other, yielding each file as it is written."""
    colorize_options.check_part(args)
    painter = Painter(args)
    output = Output.of(args.output, args.inputs, as_film=args.as_film)
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
    failed = True
    try:
        with (
            connected(args.ray) as ray,
            Engine(ray, painter, report, check=signals.check, carry=args.ray_send) as engine,
        ):
            yield engine
        failed = False
    except KeyboardInterrupt:
        signals.check()  # while Ray waits, it makes one of every signal's exception
        raise
    finally:
        if args.ray_report:
            try:
                report.write(args.ray_report, overwrite=args.overwrite)
            except OSError as error:
                if not failed:
                    raise
                log.error("The report is lost: %s", error)


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


def _check_kinds(sources: list[Source], args: argparse.Namespace) -> None:
    """Raise ``ValueError`` for options that do not go with what there is to colorize."""
    clips = [source for source in sources if source.is_clip]
    photos = [source for source in sources if not (source.is_clip or source.problem)]
    if args.fps is None and any(source.pictures for source in sources):
        raise ValueError("How fast do the pictures follow each other? Say it with --fps.")
    if args.fps and not any(source.pictures for source in sources):
        raise ValueError("--fps is for pictures: a name like %05d.png, or a folder --as-film.")
    if args.keyframes and (len(sources) != 1 or not clips):
        raise ValueError("--keyframes belongs to one clip; colorize it by itself.")
    if args.keyframes:
        check_folder(args.keyframes)
    if args.confidence and not args.keyframes:
        raise ValueError("--confidence tells of --keyframes; give those as well.")
    if args.confidence and args.ray:
        raise ValueError("--confidence tells of a film in one piece; leave out --ray.")
    if (args.ray_report or args.ray_send) and not args.ray:
        raise ValueError("--ray-report and --ray-send belong to --ray; give that as well.")
    if args.ray and args.encoder != SOFTWARE:
        raise ValueError("--encoder is for one machine, as parts must fit; leave out --ray.")
    if args.ray_report:
        from .cluster.report import check_name

        check_name(args.ray_report, overwrite=args.overwrite)
    if args.teach_steps is not None and not args.keyframes:
        raise ValueError("--teach-steps tells how to learn from --keyframes; give those as well.")
    if args.strokes and not args.keyframes:
        raise ValueError("--strokes tells how --keyframes are painted; give those as well.")
    if args.compare == "wipe" and photos and not clips:
        raise ValueError("--compare wipe moves across a clip; a photo shows both by half.")
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
