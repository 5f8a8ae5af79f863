"""Names from a workflow, kept inside the folders that the host gives out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..files import counted_names, is_within

# The system's own table of content types often lacks .mkv and .webp.
SUFFIXES = {
    "image": {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"},
    "video": {
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
        ".vob", ".wmv", ".flv", ".ogv", ".3gp", ".mxf", ".dv", ".gif",
    },
}  # fmt: skip
KINDS = {"image": "picture", "video": "clip"}


@dataclass(frozen=True)
class SavePath:
    """A free name: `path` on disk; `filename`, `subfolder` and `type` are what a node shows."""

    path: Path
    filename: str
    subfolder: str
    type: str


def find_input(name: str, folders: dict[str, str], kind: str | None = None) -> Path:
    """The file that a widget's text names: `a.png`, `sub/a.png` or `a.png [output]`.

    Raises FileNotFoundError when it is missing, ValueError when it leads outside its folder or has
    no suffix of `kind`, "image" or "video".
    """
    name, where, path = _place(name, folders)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {name!r} in the {where} folder ({folders[where]})."
        )
    # A playlist, for one, would make ffmpeg read the files that it names, wherever they are.
    if kind is not None and path.suffix.lower() not in SUFFIXES[kind]:
        raise ValueError(f"{path.name} is no {KINDS[kind]} by its suffix; rename it if it is one.")
    return path


def find_files(
    name: str, folders: dict[str, str], kind: str, suffixes: Collection[str] | None = None
) -> list[Path]:
    """The files of `kind` right in the folder `name`, by the numbers in their names, then by name.

    Those of `kind` are told by its `SUFFIXES`, or by other `suffixes`; hidden ones do not count.

    Raises FileNotFoundError for a folder that is missing or holds none, ValueError for one outside.
    """
    name, where, path = _place(name, folders)
    names = list_files(str(path), kind, suffixes)
    files = [path / name for name in names if not name.startswith(".")]
    if not files:
        raise FileNotFoundError(
            f"There is no {KINDS[kind]} in the folder {name!r} of the {where} folder ({path})."
        )
    return sorted(files, key=lambda file: [int(part) for part in re.findall(r"\d+", file.stem)])


def _place(name: str, folders: dict[str, str]) -> tuple[str, str, Path]:
    """Name, kind of folder and path of what a widget's text names."""
    match = re.fullmatch(r"(.*?)\s*\[(input|output|temp)\]", name, re.DOTALL)
    name, where = (match[1], match[2]) if match else (name, "input")
    path = Path(folders[where], name)
    if not is_within(folders[where], path):
        raise ValueError(f"{name!r} leads outside the {where} folder; put the file into it.")
    return name, where, path


def list_files(folder: str, kind: str, suffixes: Collection[str] | None = None) -> list[str]:
    """Names of the pictures (`kind` "image") or clips ("video") right in `folder`, sorted.

    A folder that cannot be read has none, and a link that leads nowhere is none.
    """
    suffixes = SUFFIXES[kind] if suffixes is None else suffixes
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    # Not DirEntry.is_file(), which raises for a link that leads round in a circle.
    return sorted(
        name
        for name in names
        if os.path.splitext(name)[1].lower() in suffixes
        and os.path.isfile(os.path.join(folder, name))
    )


def find_folder(folder: str, name: str, kind: str) -> Path:
    """The folder `name` below `folder`, made when it is missing.

    Raises ValueError for a name that leads outside.
    """
    target = Path(folder, name)
    if not is_within(folder, target):
        raise ValueError(f"{name!r} leads outside the {kind} folder; choose a folder in it.")
    target.mkdir(parents=True, exist_ok=True)
    return target


def expand(prefix: str, width: int, height: int) -> str:
    """`prefix` with ComfyUI's %width%, %height%, %year% ... %second% filled in."""
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda found: values.get(found[1], found[0]), prefix)


def free_path(folder: str, prefix: str, suffix: str, kind: str) -> SavePath:
    """The next free name `<prefix>_00001_<suffix>`, counted on from the highest one there.

    `folder` is made when it is missing. Raises ValueError for a prefix that leads outside it.
    """
    subfolder, stem = os.path.split(os.path.normpath(prefix))
    target = Path(folder, subfolder)
    if not is_within(folder, target):
        raise ValueError(f"The file name prefix {prefix!r} leads outside the {kind} folder.")
    target.mkdir(parents=True, exist_ok=True)
    path = next(counted_names(target, stem, suffix))
    return SavePath(path, path.name, subfolder, kind)
