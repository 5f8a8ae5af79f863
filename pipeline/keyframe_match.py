"""Which of a film's keyframes each coloured picture is, told by what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..model import keyframe_thumbnail, rgb_to_luma
from .shots import ClipShots

ALIKE = 0.5  # correlation of luma below which a picture is not of that frame
CLEARLY = 0.01  # of mean correlation, by which another order must do better than the given one


def match_keyframes(shots: ClipShots, pictures: Sequence[Tensor]) -> tuple[ClipShots, list[Tensor]]:
    """The shots with those keyframes that ``pictures`` are of, and the pictures in their order.

    ``pictures``: images ``(H, W, C)`` in [0, 1], coloured, of any sizes. They are taken in the
    order in which they come, when there are as many as keyframes, unless another order is clearly
    the right one; of fewer each is found by its luma. Raises ``ValueError`` for too many, and for
    one that looks like no keyframe.
    """
    shots.check_pictures(pictures, fewer=shots.thumbnails is not None)
    if shots.thumbnails is None or not len(pictures):
        return shots, list(pictures)
    given = torch.stack([_thumbnail(picture) for picture in pictures])
    alike = _normal(given) @ _normal(shots.thumbnails).T
    chosen = _assign(alike)
    rows = torch.arange(len(chosen))
    best = alike[rows, torch.tensor(chosen)]
    if len(pictures) == len(shots.keyframes):
        in_order = alike.diagonal()
        if best.min() < ALIKE or best.mean() - in_order.mean() < CLEARLY:
            return shots, list(pictures)
    elif best.min() < ALIKE:
        raise ValueError(
            f"Coloured keyframe {int(best.argmin()) + 1} looks like none that Shot Keyframes "
            "found; colour its pictures without cropping or repainting them, or give all of them."
        )
    order = sorted(range(len(chosen)), key=chosen.__getitem__)
    keyframes = shots.keyframes
    kept = {keyframes[place] for place in chosen}
    some = tuple(
        replace(shot, keyframes=tuple(frame for frame in shot.keyframes if frame in kept))
        for shot in shots.shots
    )
    return replace(shots, shots=some, thumbnails=None), [pictures[place] for place in order]


def with_thumbnails(shots: ClipShots, pictures: Sequence[Tensor]) -> ClipShots:
    """The shots with the small luma of all their keyframes, by which coloured ones are known."""
    return replace(shots, thumbnails=torch.stack([_thumbnail(picture) for picture in pictures]))


def _thumbnail(picture: Tensor) -> Tensor:
    return keyframe_thumbnail(rgb_to_luma(picture[..., :3].movedim(-1, 0).float().cpu()))


def _normal(thumbnails: Tensor) -> Tensor:
    """Without what light and contrast change: mean 0, length 1."""
    centred = thumbnails - thumbnails.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)


def _assign(alike: Tensor) -> list[int]:
    """A keyframe for each picture ``(pictures, keyframes)``, the most alike first."""
    left = alike.clone()
    chosen = [0] * len(alike)
    for _ in range(len(alike)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        chosen[row] = column
        left[row], left[:, column] = -torch.inf, -torch.inf
    return chosen
