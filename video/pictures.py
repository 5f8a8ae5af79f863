"""Numbered pictures as a clip: only where somebody chose to, never by what a file's name says."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from .clip import Clip
from .ffmpeg import VideoError
from .formats import exact_rate

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm", ".dpx")
)
_ONE_KIND = {".jpeg": ".jpg", ".jpe": ".jpg", ".tiff": ".tif"}
_NUMBER = re.compile(r"%0?(\d*)d")


def find_pictures(path: str | os.PathLike) -> tuple[list[Path], int]:
    """The pictures that ``path`` names, in order, and how many numbers are missing among them.

    ``path`` is a folder, or ends in a name with one number, such as ``%05d.png``. Raises
    `VideoError` when there are none or of more than one kind.
    """
    path = Path(path)
    if path.is_dir():
        found = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        ]
        found.sort(key=lambda file: _natural(file.name))
        missing = 0
    else:
        numbered = _numbered(path)
        found = [numbered[number] for number in sorted(numbered)]
        missing = max(numbered) - min(numbered) + 1 - len(found) if numbered else 0
    if not found:
        raise VideoError(f"{path}: there are no pictures of that name.")
    kinds = {_ONE_KIND.get(file.suffix.lower(), file.suffix.lower()) for file in found}
    if len(kinds) > 1:
        raise VideoError(
            f"{path}: there are pictures of more than one kind ({', '.join(sorted(kinds))}); name "
            "one kind, such as %05d.png."
        )
    return found, missing


def is_pattern(path: str | os.PathLike) -> bool:
    """Whether ``path`` names no file, but would with a number."""
    return _NUMBER.search(Path(path).name) is not None and not os.path.lexists(path)


def _numbered(path: Path) -> dict[int, Path]:
    parts = _NUMBER.split(path.name)
    if len(parts) != 3 or not path.parent.is_dir():
        return {}
    before, width, after = parts
    digits = rf"\d{{{int(width)},}}" if width else r"\d+"
    name = re.compile(rf"{re.escape(before)}({digits}){re.escape(after)}")
    found = {}
    for file in path.parent.iterdir():
        if (number := name.fullmatch(file.name)) and file.is_file():
            found[int(number[1])] = file
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part.lower()) for part in parts]


def picture_script(pictures: Sequence[Path]) -> bytes:
    """The pictures as ffmpeg's concat demuxer reads them, one a second.

    Of each, no more is read than the picture that its content says it is.
    """
    lines = ["ffconcat version 1.0"]
    for picture in pictures:
        name = str(picture.absolute())
        if "\n" in name or "\r" in name:
            raise VideoError(f"{name!r}: a name of two lines cannot be read; rename it.")
        escaped = name.replace("'", "'\\''")
        lines += [
            f"file 'file:{escaped}'",
            "option framerate 1",
            f"option format_whitelist {PIPES}",
        ]
    return os.fsencode("\n".join(lines)) + b"\n"


PIPES = ",".join(
    f"{kind}_pipe" for kind in ("png", "jpeg", "tiff", "bmp", "webp", "pgm", "ppm", "dpx")
)


def as_film(clip: Clip, pictures: Sequence[Path], fps: Fraction | float, missing: int) -> Clip:
    """``clip``, which is of the first ``pictures``, of all of them at ``fps``."""
    rate = exact_rate(fps)
    return replace(
        clip,
        fps=rate,
        variable_rate=False,
        frame_count=len(pictures),
        missing_frames=missing,
        start=Fraction(0),
        duration=float(len(pictures) / rate),
        time_base=1 / rate,
        timed=True,
        times=None,
        tags={},
        pictures=tuple(pictures),
    )
