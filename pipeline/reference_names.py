"""Which frame of a film a coloured picture belongs to, told by its file's name."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from ..video import Clip

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
SAVED = re.compile(r"_\d{5}_$")  # the counter that ComfyUI's Save Image puts behind a name
# 1m05.200s, as in the names of Shot Keyframes' previews
MINUTES = re.compile(r"(?<!\d)(\d+)m(\d{2}(?:[.,]\d{1,6})?)s$")
# 00:01:05.200 and, where a file system has no colons, 00-01-05.200 or 00_01_05.200
TIME = re.compile(r"(?<!\d)(\d{1,2})[:_-](\d{2})[:_-](\d{2}(?:[.,]\d{1,6})?)$")
NUMBER = re.compile(r"(\d+)$")


def frame_or_time(name: str) -> int | Fraction:
    """A frame's number, or its time in seconds as a ``Fraction``, as ``name`` without suffix ends.

    ``frame_000123`` is frame 123, ``00:01:05.200`` and ``1m05.200s`` are 65.2 seconds. The counter
    of ComfyUI's Save Image behind it (``_00001_``) counts for nothing. Raises ``ValueError`` for a
    name that ends with neither.
    """
    whole, name = name, SAVED.sub("", name)
    if match := MINUTES.search(name):
        return 60 * int(match[1]) + Fraction(match[2].replace(",", "."))
    if match := TIME.search(name):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds.replace(",", "."))
    if match := NUMBER.search(name):
        return int(match[1])
    raise ValueError(
        f"{whole} names no frame; name the picture by its frame's number (frame_000123.png) "
        "or time (00:01:05.200.png)."
    )


def in_order(files: Iterable[Path]) -> list[Path]:
    """Pictures in the order of the film: by the frames, or by the times, that their names tell.

    Where not every name tells one, by all the numbers in their names.
    """
    files = sorted(files)
    try:
        places = [frame_or_time(file.stem) for file in files]
    except ValueError:
        places = []
    if len({type(place) for place in places}) == 1:
        return [file for _, file in sorted(zip(places, files, strict=True))]
    return sorted(files, key=lambda file: [int(part) for part in re.findall(r"\d+", file.stem)])


def find_references(folder: Path, clip: Clip) -> list[tuple[int, Path]]:
    """The pictures of ``folder`` with the frames of ``clip`` that they colour, in their order.

    Frames count from 0; hidden files are none. Raises ``ValueError`` for a picture whose name
    tells no frame of the clip, and for two of one frame.
    """
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PICTURES and not file.name.startswith(".")
    )
    if not files:
        raise ValueError(f"There is no picture in {folder}; put the coloured frames there.")
    return _by_frame((_frame(file, clip), file) for file in files)


def _frame(file: Path, clip: Clip) -> int:
    place = frame_or_time(file.stem)
    frame = place if isinstance(place, int) else clip.frame_at(float(place))
    late = not isinstance(place, int) and place > clip.start + Fraction(clip.duration)
    if late or frame >= clip.frame_count:
        raise ValueError(
            f"{file.name} is beyond the end of {clip.path.name}, which has {clip.frame_count} "
            "frames, the first of them frame 0; give it the number or time of one of them."
        )
    return frame


def _by_frame(found: Iterable[tuple[int, Path]]) -> list[tuple[int, Path]]:
    result = sorted(found)
    for (frame, file), (other, second) in zip(result, result[1:], strict=False):
        if frame == other:
            raise ValueError(
                f"{file.name} and {second.name} are both of frame {frame}; take one away."
            )
    return result
