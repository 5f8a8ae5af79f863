"""Which frame of a film a coloured picture belongs to, told by its file's name."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from ..video import Clip

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
# 00:01:05.200 and, where a file system has no colons, 00-01-05.200 or 00_01_05.200
TIME = re.compile(r"(?<!\d)(\d{1,2})[:_-](\d{2})[:_-](\d{2}(?:[.,]\d{1,6})?)$")
NUMBER = re.compile(r"(\d+)$")


def frame_or_time(name: str) -> int | Fraction:
    """A frame's number, or its time in seconds as a ``Fraction``, as ``name`` without suffix ends.

    ``frame_000123`` is frame 123, and ``00:01:05.200`` is 65.2 seconds. Raises ``ValueError`` for
    a name that ends with neither.
    """
    if match := TIME.search(name):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds.replace(",", "."))
    if match := NUMBER.search(name):
        return int(match[1])
    raise ValueError(
        f"{name} names no frame; name the picture by its frame's number (frame_000123.png) "
        "or time (00:01:05.200.png)."
    )


def find_references(folder: Path, clip: Clip) -> list[tuple[int, Path]]:
    """The pictures of ``folder`` with the frames of ``clip`` that they colour, in their order.

    Frames count from 0. Raises ``ValueError`` for a picture whose name tells no frame of the clip,
    and for two of one frame.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
    if not files:
        raise ValueError(f"There is no picture in {folder}; put the coloured frames there.")
    return _in_order((_frame(file, clip), file) for file in files)


def _frame(file: Path, clip: Clip) -> int:
    place = frame_or_time(file.stem)
    frame = place if isinstance(place, int) else clip.frame_at(float(place))
    late = not isinstance(place, int) and place > clip.duration
    if late or frame >= clip.frame_count:
        raise ValueError(
            f"{file.name} is beyond the end of {clip.path.name}, which has {clip.frame_count} "
            "frames, the first of them frame 0; give it the number or time of one of them."
        )
    return frame


def _in_order(found: Iterable[tuple[int, Path]]) -> list[tuple[int, Path]]:
    result = sorted(found)
    for (frame, file), (other, second) in zip(result, result[1:], strict=False):
        if frame == other:
            raise ValueError(
                f"{file.name} and {second.name} are both of frame {frame}; take one away."
            )
    return result
