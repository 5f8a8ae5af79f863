"""The shots of a film, the frames that stand for each, and a colorizer taught on those."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import host
from ..model import ColorizationNet, rgb_to_chroma, rgb_to_luma, teach
from ..model.colorizationnet.lesson import COLOURLESS
from ..model.resize import scaled
from ..model.temporal import KeyframePicker, mark_shots
from ..pipeline.images import Colorizer
from ..video import Clip, read_frames
from ..video.read import as_clip
from .frames import refuse_if_too_large, to_images

SMALL_SIDE = 48  # px on the short side at which frames are compared
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Shot:
    """A shot and its keyframes, as frame numbers from the start of the (trimmed) clip."""

    first: int
    keyframes: tuple[int, ...]


@dataclass(frozen=True)
class ClipShots:
    """What travels on the SHOTS socket: a clip's shots in order, and what tells which clip."""

    width: int
    height: int
    frame_count: int  # of the trimmed clip
    shots: tuple[Shot, ...]

    @property
    def keyframes(self) -> list[int]:
        return [frame for shot in self.shots for frame in shot.keyframes]

    def check_clip(self, clip: Clip, start: float = 0.0, duration: float | None = None) -> None:
        """Raise ``ValueError`` when these are not the shots of so much of ``clip``."""
        first, end = clip.window(start, duration)
        count = end - first
        if count != self.frame_count:
            raise ValueError(
                f"{clip.path.name} has {count} frames and SHOTS is of a clip with "
                f"{self.frame_count}; give Shot Keyframes the same clip with the same trim."
            )

    def check_pictures(self, keyframes: Tensor) -> None:
        """Raise ``ValueError`` when ``keyframes`` ``(n, H, W, C)`` cannot be those of the shots."""
        if len(keyframes) != len(self.keyframes):
            raise ValueError(
                f"There are {len(keyframes)} coloured keyframes for {len(self.keyframes)} of "
                "SHOTS; give every keyframe once, in order."
            )
        height, width = keyframes.shape[1:3]
        if abs(width * self.height / (height * self.width) - 1) > ASPECT_TOLERANCE:
            raise ValueError(
                f"The keyframes are {width}x{height} and the clip {self.width}x{self.height}, "
                "another aspect ratio; colour them without cropping or stretching."
            )


def find_shots(
    source: Clip | str | os.PathLike,
    *,
    keyframes: int = 1,
    sensitivity: float = 0.5,
    start: float = 0.0,
    duration: float | None = None,
) -> ClipShots:
    """The shots of a clip, each with the numbers of so many keyframes, or of all its frames.

    ``start`` and ``duration`` in seconds trim the clip. Progress and cancel are the host's; memory
    does not grow with the length of the clip.
    """
    clip = as_clip(source)
    start_frame, end = clip.window(start, duration)
    count = end - start_frame
    shots, first, picker = [], 0, KeyframePicker()

    def close() -> None:
        shots.append(Shot(first, tuple(first + frame for frame in picker.pick(keyframes))))

    frames = _small_luma(clip, start_frame, count)
    for index, (begins, frame) in enumerate(mark_shots(frames, sensitivity)):
        if begins:
            close()
            first, picker = index, KeyframePicker()
        picker(frame[None])
    close()
    return ClipShots(clip.width, clip.height, count, tuple(shots))


def keyframe_images(
    source: Clip | str | os.PathLike, shots: ClipShots, *, start: float = 0.0
) -> Iterator[Tensor]:
    """The keyframes of the shots, each ``(H, W, 3)``, decoded when its turn comes."""
    clip = as_clip(source)
    start_frame = clip.frame_at(start)
    for frame in shots.keyframes:
        host.check_cancelled()
        frames = read_frames(clip, start_frame=start_frame + frame, frame_count=1)
        yield to_images(next(frames)[..., :3])[0]


def load_keyframes(
    source: Clip | str | os.PathLike, shots: ClipShots, *, start: float = 0.0
) -> Tensor:
    """The keyframes of the shots as one IMAGE ``(n, H, W, 3)``.

    Raises ``ValueError`` before the first is decoded when memory cannot hold them.
    """
    shape = len(shots.keyframes), shots.height, shots.width, 3
    refuse_if_too_large(
        "keyframes", shape, "lower keyframes_per_shot or sensitivity, or trim the clip"
    )
    images = torch.empty(shape)
    for image, keyframe in zip(images, keyframe_images(source, shots, start=start), strict=True):
        image.copy_(keyframe)
    return images


def taught_shots(
    shots: ClipShots, references: Tensor, network: ColorizationNet, steps: int, **settings
) -> list[tuple[int, Callable[[], Colorizer]]]:
    """For `film.Painter`: each shot's first frame, and how to make its colorizer when it comes.

    A shot whose keyframes have no colour, as a title card, stays grey. Raises ``ValueError`` when
    the references are not the shots' keyframes, or when none of them has any colour.
    """
    shots.check_pictures(references)
    parts = references[..., :3].split([len(shot.keyframes) for shot in shots.shots])
    coloured = [any(map(_has_colour, part)) for part in parts]
    if not any(coloured):
        raise ValueError("None of the keyframes has any colour to learn; colour them first.")
    grey = settings | {"saturation": 0.0}
    return [
        (
            shot.first,
            _taught(network, part, steps, settings) if in_colour else _untaught(network, grey),
        )
        for shot, part, in_colour in zip(shots.shots, parts, coloured, strict=True)
    ]


def _has_colour(image: Tensor) -> bool:
    return bool(rgb_to_chroma(image.movedim(-1, 0).float()).abs().max() > COLOURLESS)


def _taught(network: ColorizationNet, references: Tensor, steps: int, settings: dict):
    def make() -> Colorizer:
        taught = teach(
            network,
            list(references),
            steps=steps,
            device=settings["device"],
            progress=lambda *_: host.check_cancelled(),
        )
        return Colorizer(taught, **settings)

    return make


def _untaught(network: ColorizationNet, settings: dict):
    return lambda: Colorizer(network, **settings)


def _small_luma(clip: Clip, first: int, count: int) -> Iterator[Tensor]:
    """Each frame as small ``(1, h, w)`` luma."""
    size = scaled((clip.width, clip.height), SMALL_SIDE / min(clip.width, clip.height))
    with host.Progress(count) as progress:
        for frames in read_frames(
            clip, start_frame=first, frame_count=count, size=size, batch_size=32
        ):
            for luma in rgb_to_luma(to_images(frames[..., :3]).permute(0, 3, 1, 2)):
                host.check_cancelled()
                yield luma
            progress.update(len(frames))
