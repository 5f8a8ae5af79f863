"""Which of the files that are named, or lie in a folder, are photos and clips: by their content."""

from __future__ import annotations

import importlib.util
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..host import SUFFIXES

RESULT = "-color"  # what results are named with
_SOUND = {
    ".aac", ".flac", ".m4a", ".m4b", ".m4r", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav",
    ".wma",
}  # fmt: skip
# By their content most of these are TIFF pictures, of which only a small preview is in colour.
_RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A file to colorize, and the folder it keeps below the output folder.

    ``problem`` says why it cannot be done. ``pictures``: what names the pictures of which it is a
    film, a folder (then ``path``) or a pattern in one.
    """

    path: Path
    below: Path = Path()
    is_clip: bool = False
    problem: str = ""
    pictures: Path | None = None


@dataclass
class Sources:
    """What was found, and the files that were left out, by the reason."""

    found: list[Source] = field(default_factory=list)
    skipped: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))


def find_sources(inputs: list[Path], output: Path | None, *, as_film: bool = False) -> Sources:
    """The photos and clips of the command line, those in folders in the order of their names.

    A name such as ``%05d.png`` is a film of pictures, and so is a folder with ``as_film``.
    Of a folder, hidden files and earlier results are no sources, nor is anything in ``output``, and
    of several names those are not that are the results of others (``*.jpg``).
    Raises ``FileNotFoundError`` for a name that is missing, and ``ValueError`` for a folder
    without sources, or a single file that is none.
    """
    from ..pipeline import is_pattern

    sources = Sources()
    originals = {path.with_suffix("") for path in inputs if path.name}
    for path in inputs:
        if path.is_dir() and as_film:
            _check_row(path)
            sources.found.append(Source(_with_name(path), is_clip=True, pictures=path))
        elif is_pattern(path):
            sources.found.append(Source(_with_name(path.parent), is_clip=True, pictures=path))
        elif path.is_dir():
            before = len(sources.found)
            _look_into(path, output, sources)
            if len(sources.found) == before:
                left = (f"{len(files)} {why}" for why, files in sources.skipped.items() if files)
                others = ", ".join(left)
                others = f" (there are {others})" if others else ""
                raise ValueError(f"There are no photos or clips to colorize in {path}{others}.")
        elif not path.exists():
            raise FileNotFoundError(f"There is no file {path}; check the name.")
        elif path.stem.endswith(RESULT) and _original(path) in originals:
            sources.skipped["earlier results"].append(path)
        else:
            is_clip, problem, _ = _look_at(path)
            sources.found.append(Source(path, is_clip=is_clip, problem=problem))
    once = {os.path.abspath(source.pictures or source.path): source for source in sources.found}
    sources.found = list(once.values())
    if len(sources.found) == 1 and not any(path.is_dir() for path in inputs):
        [source] = sources.found
        if source.problem:
            raise ValueError(f"{source.path} cannot be coloured: {source.problem}.")
    return sources


def _with_name(folder: Path) -> Path:
    """The folder as it is called, for its result bears that."""
    return folder if folder.name not in ("", "..") else folder.resolve()


def _original(result: Path) -> Path:
    """What a result is of, without the suffix."""
    return result.with_name(result.stem.removesuffix(RESULT))


def _check_row(folder: Path) -> None:
    """Raise ``ValueError`` where results of the pictures in a folder would be taken for others."""
    stems = {file.stem for file in folder.iterdir()}
    for file in sorted(folder.iterdir()):
        if file.stem.endswith(RESULT) and file.stem.removesuffix(RESULT) in stems:
            raise ValueError(
                f"{file} is the result of another picture there; move the results, or name the "
                "row of pictures, such as %05d.png."
            )


def _look_into(folder: Path, output: Path | None, sources: Sources) -> None:
    for file in _files(folder, output, sources):
        if not file.is_file():
            sources.skipped["broken links and the like"].append(file)
            continue
        is_clip, problem, reason = _look_at(file)
        if reason:
            sources.skipped[reason].append(file)
        else:
            below = file.parent.relative_to(folder)
            sources.found.append(Source(file, below, is_clip, problem))


def _files(folder: Path, output: Path | None, sources: Sources) -> Iterator[Path]:
    """The files below ``folder`` that are neither hidden nor earlier results."""

    def unreadable(error: OSError) -> None:
        sources.skipped["folders that cannot be read"].append(Path(error.filename))

    # Of an output folder in the midst of the sources, all is left out.
    left_out = None
    if output is not None and folder.resolve() in output.resolve().parents:
        left_out = output.resolve()
    for here, folders, names in os.walk(folder, onerror=unreadable):
        below = [Path(here, name) for name in sorted(folders) if not name.startswith(".")]
        # Links could lead round in a circle; they are not followed.
        sources.skipped["links to folders"] += [path for path in below if path.is_symlink()]
        folders[:] = [
            path.name
            for path in below
            if not path.is_symlink() and (left_out is None or path.resolve() != left_out)
        ]
        for name in sorted(names):
            path = Path(here, name)
            if not name.startswith(".") and not path.stem.endswith(RESULT):
                yield path


def _look_at(path: Path) -> tuple[bool, str, str]:
    """Whether a file is a clip, why it cannot be coloured, and why a folder passes it over."""
    from ..pipeline.photo import PHOTO_SUFFIXES, kind_of

    suffix = path.suffix.lower()
    if suffix in _RAW:
        return False, "it is a camera's raw file; develop it first", "raw files of cameras"
    if suffix in _SOUND:
        return False, "it is sound without pictures", "sound"
    try:
        kind = kind_of(path)
    except OSError as error:
        return False, f"it cannot be read ({error.strerror})", ""
    if kind.format == "HEIF" and importlib.util.find_spec("pillow_heif") is None:
        advice = "HEIC photos, for which pillow-heif is missing (pip install pillow-heif)"
        return False, "it is a HEIC photo; install pillow-heif (pip install pillow-heif)", advice
    if kind.kind != "neither":
        return kind.kind == "clip", "", ""
    if kind.format:
        return False, kind.reason, "moving pictures that are no clips"
    if suffix in SUFFIXES["video"] and path.stat().st_size:
        return True, "", ""  # ffmpeg knows more kinds than are told here
    return False, kind.reason, "" if suffix in PHOTO_SUFFIXES else "files of other kinds"
