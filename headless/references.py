"""The coloured keyframes of a film in a folder: its pictures, and its shots if it lists them."""

from __future__ import annotations

import json
import logging
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import current
from ..options import ShotOptions
from . import signals

if TYPE_CHECKING:
    from torch import Tensor

    from ..pipeline import Clip, ClipShots

LIST = "shots.json"
DEFAULTS = ShotOptions()

log = logging.getLogger(__name__)


def write_list(folder: Path, clip: Clip, frames: range, shots: ClipShots) -> None:
    """Write where the ``shots`` of ``frames`` of the clip begin, for `read_references`.

    Its numbers count from the clip's first frame, as those in the pictures' names.
    """
    listed = {
        "frame_count": clip.frame_count,
        "part": [frames.start, frames.stop],
        "shots": [{"first": frames.start + shot.first} for shot in shots.shots],
    }
    (folder / LIST).write_text(json.dumps(listed, indent=1))


def shot_options(folder: Path | None, sensitivity: float | None) -> ShotOptions:
    """How shots are found for the pictures in ``folder``.

    Raises ``ValueError`` for a ``sensitivity`` that is none, or that is asked for where nothing is
    to be found.
    """
    if sensitivity is None:
        return DEFAULTS
    if folder is None:
        raise ValueError("--sensitivity tells how the shots of --keyframes are found; give those.")
    if (folder / LIST).exists():
        raise ValueError(f"{folder / LIST} says where the shots begin; leave out --sensitivity.")
    return ShotOptions(sensitivity=sensitivity)


def check_folder(folder: Path) -> None:
    """Raise ``NotADirectoryError`` where no keyframes can lie."""
    if not folder.is_dir():
        raise NotADirectoryError(f"There is no folder {folder} of keyframes; check the name.")


def read_references(
    folder: Path,
    clip: Clip,
    frames: range,
    *,
    strokes: bool = False,
    options: ShotOptions = DEFAULTS,
) -> tuple[ClipShots, Tensor]:
    """The shots of ``frames`` of ``clip`` and their pictures in ``folder``, ``(n, H, W, 3)``.

    The pictures' names tell their frames' numbers (from 0) or times. The shots are those that
    ``keyframes`` listed there, of these frames or of more, or are found now, by ``options``. A
    listed shot keeps its pictures of frames outside of ``frames``: their numbers, which count from
    the start of ``frames``, are below 0 or beyond the end. Unless the pictures are ``strokes``,
    which must stay whole, they are made small, so that there may be hundreds.

    Raises ``ValueError`` for a list that is unsound, of another clip or of other frames, and for
    pictures that are of no frame of the clip, or all of other shots.
    """
    from ..pipeline import find_references

    found = find_references(folder, clip)
    is_listed = (folder / LIST).exists()
    bounds = _listed(folder, clip, frames) if is_listed else _found(clip, frames, options)
    # What begins before the frames or reaches beyond them is a shot of theirs as well.
    bounds = bounds[bisect_right(bounds, frames.start) - 1 : bisect_left(bounds, frames.stop) + 1]
    found = [(frame, path) for frame, path in found if bounds[0] <= frame < bounds[-1]]
    if not found:
        raise ValueError(
            f"The pictures in {folder} are all of other shots than those of the part to colour."
        )
    shots = _shots(clip, frames, bounds[:-1], [frame for frame, _ in found])
    if without := sum(not shot.keyframes for shot in shots.shots):
        log.info("%s: no picture of %d of %d shots.", folder, without, len(shots.shots))
    return shots, _pictures([path for _, path in found], strokes)


def _shots(clip: Clip, frames: range, firsts: list[int], keyframes: list[int]) -> ClipShots:
    """The shots that begin at ``firsts``, as those of ``frames``; all given in the clip's count."""
    from ..pipeline import ClipShots, Shot, with_keyframes

    size = clip.width, clip.height
    of_clip = ClipShots(*size, clip.frame_count, tuple(Shot(first, ()) for first in firsts))
    parts = [
        Shot(max(0, shot.first - frames.start), tuple(key - frames.start for key in shot.keyframes))
        for shot in with_keyframes(of_clip, keyframes).shots
    ]
    return ClipShots(*size, len(frames), tuple(parts))


def _found(clip: Clip, frames: range, options: ShotOptions) -> list[int]:
    """Where the shots of ``frames`` begin and the last one ends, in the clip's count."""
    from ..pipeline import find_shots

    with current().progress(len(frames), f"shots of {clip.path.name}") as progress:
        shots = find_shots(
            clip, options, frames=frames, on_progress=progress.report, check=signals.check
        )
    return [*(frames.start + shot.first for shot in shots.shots), frames.stop]


def _listed(folder: Path, clip: Clip, frames: range) -> list[int]:
    """Where the listed shots begin and the last one ends; they are known to hold ``frames``."""
    try:
        listed = json.loads((folder / LIST).read_text())
        count = _count(listed["frame_count"])
        start, stop = map(_count, listed.get("part", [0, count]))
        firsts = [_count(shot["first"]) for shot in listed["shots"]]
        if firsts[:1] != [start] or firsts != sorted(set(firsts)) or firsts[-1] >= stop:
            raise ValueError("these shots do not follow each other")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder} holds no readable {LIST}; make it with colorizationnet keyframes."
        ) from error
    if count != clip.frame_count:
        raise ValueError(
            f"{folder} has the keyframes of a clip with {count} frames, and {clip.path.name} has "
            f"{clip.frame_count}; name the clip that they are of."
        )
    if not start <= frames.start < frames.stop <= stop:
        times = [float(clip.time_of(frame)) for frame in (start, stop - 1)]
        raise ValueError(
            f"{folder} has the shots from {times[0]:.3f} s to {times[1]:.3f} s only; colour what "
            "lies there, by --start and --duration."
        )
    return [*firsts, stop]


def _pictures(paths: list[Path], strokes: bool) -> Tensor:
    import torch

    from ..pipeline import read_photo, small_keyframe

    images: list[Tensor] = []
    shape = None
    for path in paths:
        image = read_photo(path).image
        shape = shape or image.shape
        if image.shape != shape:
            raise ValueError(f"{path} is not of the size of {paths[0].name}; keep the sizes.")
        images.append(image if strokes else small_keyframe(image))
    return torch.stack(images)


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no frame number.")
    return value
