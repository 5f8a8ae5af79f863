"""What the coloured files of many sources are called, so that no two get one name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def result_paths(wanted: Sequence[tuple[Path, Path, str]], mark: str = "") -> list[Path]:
    """Where the result of each ``(source, folder, suffix)`` goes: the source's name in the folder,
    with ``mark`` and the suffix.

    Of two that would get one name, a source that keeps its suffix has it, else the first of them;
    the other keeps its whole name in it. That goes by the names alone, so that it is the same
    again whatever becomes of the sources. Raises ``ValueError`` where that name is taken as well.
    """
    taken: set[Path] = set()
    found: dict[int, Path] = {}
    by_suffix = sorted(enumerate(wanted), key=lambda entry: entry[1][2] != entry[1][0].suffix)
    for number, (source, folder, suffix) in by_suffix:
        path = folder / f"{source.stem}{mark}{suffix}"
        if path in taken:
            path = folder / f"{source.name}{mark}{suffix}"
        if path in taken:
            raise ValueError(
                f"Two results would be named {path}; rename {source.name} or colorize it by itself."
            )
        taken.add(path)
        found[number] = path
    return [found[number] for number in range(len(wanted))]
