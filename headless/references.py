"""The coloured keyframes of a film in a folder: its pictures, and its shots if it lists them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import current
from . import signals

if TYPE_CHECKING:
    from torch import Tensor

    from ..pipeline import Clip, ClipShots

LIST = "shots.json"

log = logging.getLogger(__name__)


def read_references(folder: Path, clip: Clip, *, strokes: bool = False) -> tuple[ClipShots, Tensor]:
    """The shots of ``clip`` and its coloured pictures in ``folder``, ``(n, H, W, 3)``.

    The pictures' names tell their frames' numbers (from 0) or times. The shots are those that
    ``keyframes`` listed there, or are found now. Unless the pictures are ``strokes``, which must
    stay whole, they are made small, so that there may be hundreds.

    Raises ``ValueError`` for a list that is unsound or of another clip, and for pictures that are
    of no frame of the clip.
    """
    from ..pipeline import find_references, find_shots, with_keyframes

    found = find_references(folder, clip)
    if (folder / LIST).exists():
        shots = _listed(folder, clip)
    else:
        with current().progress(clip.frame_count, f"shots of {clip.path.name}") as progress:
            shots = find_shots(clip, on_progress=progress.report, check=signals.check)
    shots = with_keyframes(shots, [frame for frame, _ in found])
    if without := sum(not shot.keyframes for shot in shots.shots):
        log.info("%s: no picture of %d of %d shots.", folder, without, len(shots.shots))
    return shots, _pictures([path for _, path in found], strokes)


def _listed(folder: Path, clip: Clip) -> ClipShots:
    from ..pipeline import ClipShots, Shot

    try:
        listed = json.loads((folder / LIST).read_text())
        firsts = [_count(shot["first"]) for shot in listed["shots"]]
        shots = ClipShots(
            *(_count(listed[key]) for key in ("width", "height", "frame_count")),
            tuple(Shot(first, ()) for first in firsts),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} holds no readable {LIST}; make it with colorizationnet keyframes."
        ) from error
    if shots.frame_count != clip.frame_count:
        raise ValueError(
            f"{folder} has the keyframes of a clip with {shots.frame_count} frames, and "
            f"{clip.path.name} has {clip.frame_count}; name the clip that they are of."
        )
    if firsts[:1] != [0] or firsts != sorted(set(firsts)) or firsts[-1] >= shots.frame_count:
        raise ValueError(
            f"{folder / LIST} lists no shots that follow each other from frame 0 on; make it with "
            "colorizationnet keyframes."
        )
    return shots


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
