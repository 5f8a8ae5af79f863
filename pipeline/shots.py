"""The shots of a film and the frames that stand for each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress

import torch
from torch import Tensor

from ..callbacks import Check, OnProgress
from ..model import (
    COLOURLESS,
    KeyframePicker,
    Reference,
    mark_shots,
    match_size,
    resize,
    rgb_to_chroma,
    rgb_to_luma,
    scaled,
    short_side_scale,
    shrink_painted,
)
from ..options import ShotOptions
from ..video import Clip, as_clip, read_frames, read_luma
from .frames import refuse_if_too_large, to_images
from .teaching import painted_pixels

DEFAULTS = ShotOptions()
KEPT_SIDE = 224  # px on the short side: twice of what keyframes are matched and taught at
SMALL_SIDE = 48  # px on the short side at which frames are compared
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Shot:
    """A shot and its keyframes, as frame numbers from the start of the (trimmed) clip."""

    first: int
    keyframes: tuple[int, ...]


@dataclass(frozen=True)
class ClipShots:
    """A clip's shots in order, and what tells which clip: what the SHOTS socket carries."""

    width: int
    height: int
    frame_count: int  # of the trimmed clip
    shots: tuple[Shot, ...]
    thumbnails: Tensor | None = field(default=None, compare=False, repr=False)
    """Small luma of each keyframe, ``(n, pixels)``: what a coloured picture of it is known by."""

    @property
    def keyframes(self) -> list[int]:
        """The keyframes of all shots, in order."""
        return [frame for shot in self.shots for frame in shot.keyframes]

    def check_clip(self, clip: Clip, frames: range) -> None:
        """Raise ``ValueError`` when these are not the shots of ``frames`` of ``clip``."""
        if len(frames) != self.frame_count:
            raise ValueError(
                f"{clip.path.name} has {len(frames)} frames and SHOTS is of a clip with "
                f"{self.frame_count}; give Shot Keyframes the same clip with the same trim."
            )

    def check_pictures(self, pictures: Sequence[Tensor], *, fewer: bool = False) -> None:
        """Raise ``ValueError`` when ``pictures`` ``(H, W, C)`` cannot be those of the shots.

        ``fewer``: not every keyframe needs to be there.
        """
        count, wanted = len(pictures), len(self.keyframes)
        if count > wanted or (count < wanted and not fewer):
            raise ValueError(
                f"There are {count} coloured keyframes for {wanted} of "
                "SHOTS; give every keyframe once, in order."
            )
        for picture in pictures:
            height, width = picture.shape[:2]
            if abs(width * self.height / (height * self.width) - 1) > ASPECT_TOLERANCE:
                raise ValueError(
                    f"The keyframes are {width}x{height} and the clip {self.width}x{self.height}, "
                    "another aspect ratio; colour them without cropping or stretching."
                )


@dataclass(frozen=True)
class ShotColors:
    """Where a shot begins and what its colours come from.

    ``keyframes``, each ``(H, W, 3)``, are what a network is taught for it; ``None``: the network as
    it is, or, where the shot is ``grey``, no colour at all.
    """

    first: int
    keyframes: list[Tensor] | None = None
    grey: bool = False


def shot_colors(
    shots: ClipShots, keyframes: Sequence[Tensor], *, strokes: bool = False
) -> list[ShotColors]:
    """What each of ``shots`` gets of its coloured ``keyframes``, each ``(H, W, C)``.

    A shot whose keyframes have no colour, as a title card, stays grey; one without keyframes is
    left to the network as it is. With ``strokes`` only keyframes on which something is painted
    count. Raises ``ValueError`` when the pictures are not the shots' keyframes, or when none of
    them has any colour.
    """
    shots.check_pictures(keyframes)
    has_colour = _is_painted if strokes else _has_colour
    images = iter(keyframes)
    parts = [[next(images)[..., :3] for _ in shot.keyframes] for shot in shots.shots]
    coloured = [list(map(has_colour, part)) for part in parts]
    if not any(map(any, coloured)):
        raise ValueError("None of the keyframes has any colour to learn; colour them first.")
    return [
        ShotColors(shot.first, list(compress(part, in_colour)) if strokes else part)
        if any(in_colour)
        else ShotColors(shot.first, grey=len(part) > 0)
        for shot, part, in_colour in zip(shots.shots, parts, coloured, strict=True)
    ]


def shot_references(
    shots: ClipShots, keyframes: Sequence[Tensor], gain: float, *, strokes: bool = False
) -> Iterator[Reference]:
    """The coloured ``keyframes``, each ``(H, W, C)``, as references of their shots, in order.

    ``gain`` on their chroma, as on the network's. With ``strokes`` they are references of the
    painted pixels alone.
    """
    images = iter(keyframes)
    stops = [shot.first for shot in shots.shots[1:]] + [shots.frame_count]
    for shot, stop in zip(shots.shots, stops, strict=True):
        for frame in shot.keyframes:
            image = next(images)[..., :3].permute(2, 0, 1).float()
            size = match_size(*image.shape[1:])
            luma, chroma = resize(rgb_to_luma(image), size), rgb_to_chroma(image) * gain
            weight = None
            if strokes:
                weight = painted_pixels(image.permute(1, 2, 0))[None]
                if not weight.any():
                    continue
                chroma, weight = shrink_painted(chroma * weight, weight, size)
            else:
                chroma = resize(chroma, size)
            yield Reference(frame, shot.first, stop, luma, chroma, weight)


def small_keyframe(image: Tensor) -> Tensor:
    """A coloured ``image`` ``(H, W, 3)`` as large as keyframes need be, so that many fit in memory.

    Not for painted strokes, which would lose what is thin.
    """
    size = scaled((image.shape[0], image.shape[1]), min(1.0, KEPT_SIDE / min(image.shape[:2])))
    return resize(image.permute(2, 0, 1).float(), size).permute(1, 2, 0).clamp(0, 1).contiguous()


def _is_painted(image: Tensor) -> bool:
    return bool(painted_pixels(image).any())


def _has_colour(image: Tensor) -> bool:
    return bool(rgb_to_chroma(image.movedim(-1, 0).float()).abs().max() > COLOURLESS)


def find_shots(
    source: Clip | str | os.PathLike,
    options: ShotOptions = DEFAULTS,
    *,
    frames: range | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> ClipShots:
    """The shots of a clip, each with the numbers of so many keyframes (`KeyframePicker`).

    A shot of fewer frames has all of them; one of more than 256 is thinned out evenly, and may have
    no more than 128. ``frames`` (of the clip, step 1) trims it; the shots count from its start.
    Memory does not grow with the length of the clip.
    """
    clip = as_clip(source)
    frames = clip.frames() if frames is None else frames
    shots: list[Shot] = []
    thumbnails: list[Tensor] = []
    first, picker = 0, KeyframePicker()

    def close() -> None:
        keyframes = picker.pick(options.keyframes)
        thumbnails.extend(map(picker.thumbnail, keyframes))
        shots.append(Shot(first, tuple(first + frame for frame in keyframes)))

    full_size = clip.height, clip.width
    size = scaled(full_size, short_side_scale(full_size, SMALL_SIDE))
    luma = read_small_luma(clip, frames, size, on_progress, check)
    for frame, (begins, small) in enumerate(mark_shots(luma, options.sensitivity)):
        if begins:
            close()
            first, picker = frame, KeyframePicker()
        picker(small[None])
    close()
    size_and_count = clip.width, clip.height, len(frames)
    return ClipShots(*size_and_count, tuple(shots), torch.stack(thumbnails))


def keyframe_images(
    source: Clip | str | os.PathLike,
    shots: ClipShots,
    *,
    frames: range | None = None,
    check: Check | None = None,
) -> Iterator[Tensor]:
    """The keyframes of the shots, each ``(H, W, 3)``, decoded when its turn comes."""
    clip = as_clip(source)
    frames = clip.frames() if frames is None else frames
    for keyframe in shots.keyframes:
        if check:
            check()
        found = read_frames(
            clip, start_frame=frames[keyframe], frame_count=1, alpha=False, allow_hdr=True
        )
        yield to_images(next(found))[0]


def load_keyframes(
    source: Clip | str | os.PathLike,
    shots: ClipShots,
    *,
    frames: range | None = None,
    free_memory: int | None = None,
    check: Check | None = None,
) -> Tensor:
    """The keyframes of the shots as one IMAGE ``(n, H, W, 3)``.

    Raises ``ValueError`` before the first is decoded when ``free_memory`` bytes cannot hold them.
    """
    shape = len(shots.keyframes), shots.height, shots.width, 3
    refuse_if_too_large(
        "keyframes", shape, free_memory, "lower keyframes_per_shot or sensitivity, or trim the clip"
    )
    images = torch.empty(shape)
    keyframes = keyframe_images(source, shots, frames=frames, check=check)
    for image, keyframe in zip(images, keyframes, strict=True):
        image.copy_(keyframe)
    return images


def read_small_luma(
    clip: Clip,
    frames: range,
    size: tuple[int, int],
    on_progress: OnProgress | None,
    check: Check | None,
) -> Iterator[Tensor]:
    """Each frame as small luma ``(1, h, w)`` in [0, 1] of ``size`` (height, width)."""
    done = 0
    for batch in read_luma(clip, size=size[::-1], frames=frames, batch_size=32, check=check):
        yield from to_images(batch[:, None])
        done += len(batch)
        if on_progress:
            on_progress(done, len(frames))
