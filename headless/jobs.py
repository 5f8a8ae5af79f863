"""What is to be done with which file: its result's name, and whether that is there already."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import remove_stale_parts
from ..host import SUFFIXES
from ..options import TeachOptions
from .claims import remove_stale_claims
from .journal import Entry, Journal, result_of, source_of
from .sources import RESULT, Source

if TYPE_CHECKING:
    from torch import Tensor

    from ..options import ColorOptions, EncodeOptions, FilmOptions
    from ..pipeline import Clip, ClipShots


DEFAULT_TEACHING = TeachOptions()


class State(enum.Enum):
    """How things stand with a result, in the words of the summary."""

    TO_DO = "to do"
    CHANGED = "to do anew, because their source has changed"
    DONE = "already there"
    INCOMPLETE = "already there, but frames of their source are missing"
    LEFT = "left, in colour already"
    OTHER_SETTINGS = "already there, made with other settings (--overwrite replaces them)"
    FOREIGN = "already there, made or changed by others (--overwrite replaces them)"


@dataclass(frozen=True)
class Job:
    source: Source
    target: Path


@dataclass(eq=False)
class Begun:
    """A job that this process has claimed, and whether its result may replace what is there."""

    job: Job
    overwrite: bool
    source: Entry = field(default_factory=dict)
    settings: str = ""
    claim: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done, left (and why), or what went wrong."""

    why_left: str = ""
    is_damaged: bool = False
    is_incomplete: bool = False
    error: Exception | None = None


@dataclass(frozen=True)
class FilmRequest:
    """What is to be done with a film, as `colorize_film` takes it."""

    clip: Clip
    frames: range
    color: ColorOptions
    film: FilmOptions
    encode: EncodeOptions
    shots: ClipShots | None = None
    keyframes: list[Tensor] | None = None
    strokes: bool = False
    teaching: TeachOptions = DEFAULT_TEACHING


@dataclass(frozen=True)
class Output:
    """What ``-o`` names; ``to_folder``: a folder, for what has no other name."""

    path: Path | None
    to_folder: bool

    @classmethod
    def of(cls, text: str | None, inputs: list[Path], *, as_film: bool = False) -> Output:
        """A folder is what is one, what ends in a slash or has no suffix, and for several results.

        With ``as_film`` a folder among the inputs has one result.

        Raises ``ValueError`` where something else lies at the name of a folder.
        """
        if text is None:
            return cls(None, False)
        path = Path(text)
        to_folder = (
            path.is_dir()
            or text.endswith(("/", os.sep))
            or not path.suffix
            or len(inputs) > 1
            or (not as_film and any(named.is_dir() for named in inputs))
        )
        for folder in (path, *path.parents) if to_folder else path.parents:
            if folder.is_dir():
                break
            if os.path.lexists(folder):
                raise ValueError(f"{folder} is no folder; name another with -o.")
        return cls(path, to_folder)


def plan(sources: list[Source], output: Output, clip_format: str) -> Iterator[Job]:
    """Each source with the name of its result, all checked before the first is begun.

    Where two results would get one name, the second keeps its whole name in it. Raises
    ``ValueError`` for a name that a result cannot have, or that is a source's.
    """
    from ..pipeline import result_paths

    suffixes = [_suffix(source, output, clip_format) for source in sources]
    if output.path is not None and not output.to_folder:
        targets = [output.path]
    else:
        folders = [
            output.path / source.below if output.path else source.path.parent for source in sources
        ]
        paths = [source.path for source in sources]
        targets = result_paths(list(zip(paths, folders, suffixes, strict=True)), RESULT)
    names = {os.path.abspath(source.path) for source in sources}
    for source, target in zip(sources, targets, strict=True):
        if os.path.abspath(target) in names or _is_same(target, source.path):
            raise ValueError(f"{target} is one of the sources; name another with -o.")
        yield Job(source, target)


def _suffix(source: Source, output: Output, clip_format: str) -> str:
    """The suffix of the result; raises ``ValueError`` if the name that was asked for has none.

    Of a source that cannot be done it is what its name promises, so that no other takes its
    result's name.
    """
    named = output.path if output.path is not None and not output.to_folder else None
    own = source.path.suffix
    if source.is_clip or (source.problem and own.lower() in SUFFIXES["video"]):
        from ..pipeline import find_format

        entry = find_format(clip_format)
        if named is not None:
            entry.container(named)
        return own if own.lower() in entry.containers else entry.suffix
    from ..pipeline.photo import PHOTO_SUFFIXES, RESULT_SUFFIXES, result_suffix

    if named is not None and named.suffix.lower() not in RESULT_SUFFIXES:
        raise ValueError(
            f"{named} is no name for a photo; end it in .png, .tif or .jpg, or in a slash if it is "
            "to be a folder."
        )
    if source.problem and own.lower() not in PHOTO_SUFFIXES:
        return ""
    return result_suffix(source.path)[0]


def _is_same(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:
        return False


class Ledger:
    """The journals of the folders of results, and how things stand by them."""

    def __init__(self, *, overwrite: bool, skip_color: bool, sweep: bool) -> None:
        self._overwrite, self._skip_color, self._sweep = overwrite, skip_color, sweep
        self._journals: dict[Path, Journal] = {}

    def journal(self, folder: Path) -> Journal:
        if folder not in self._journals:
            if self._sweep and folder.is_dir():
                remove_stale_parts(folder)
                remove_stale_claims(folder)
            self._journals[folder] = Journal(folder)
        return self._journals[folder]

    def state(self, job: Job, settings: str) -> State:
        """How things stand with a job of these ``settings`` now."""
        journal = self.journal(job.target.parent)
        entry = journal.entry(job.target)
        result = result_of(job.target)
        source = source_of(job.source)
        same_source = entry is not None and source.items() <= entry.items()
        same_settings = entry is not None and entry.get("settings") == settings
        is_ours = entry is not None and result is not None and result.items() <= entry.items()
        if same_source and same_settings:
            if entry.get("left") and result is None and self._skip_color:
                return State.LEFT
            # Of two that overwrite, what the other has made since is not done again.
            if is_ours and (not self._overwrite or journal.is_news(job.target)):
                return State.INCOMPLETE if entry.get("incomplete") else State.DONE
        if self._overwrite or (result is None and not os.path.lexists(job.target)):
            return State.TO_DO
        if not is_ours or entry["source"] != source["source"]:
            return State.FOREIGN
        return State.OTHER_SETTINGS if same_source else State.CHANGED
