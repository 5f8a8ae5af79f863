"""The shots of a film, the frames that stand for each, and a colorizer taught on those."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import host
from ..host import io
from ..model import ColorizationNet, Colorizer, CutDetector, KeyframePicker, rgb_to_luma, teach
from ..video import Clip, probe, read_frames
from .tensors import to_images

Shots = io.Custom("SHOTS")

LOOK_SIDE = 48  # px on the short side at which frames are compared
LOOKAHEAD = 6  # frames: a flash is over by then
MIN_SHOT = 8  # frames


@dataclass(frozen=True)
class Shot:
    """A shot and its keyframes, as frame numbers from the start of the (trimmed) clip."""

    first: int
    keyframes: tuple[int, ...]


def find_shots(
    source: str | os.PathLike,
    *,
    keyframes: int = 1,
    sensitivity: float = 0.5,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[list[Shot], Tensor]:
    """The shots of a clip, and their keyframes ``(n, H, W, 3)`` in order.

    ``start`` and ``duration`` in seconds trim the clip. Progress and cancel are the host's.
    """
    clip = probe(source)
    first = clip.frame_at(start)
    end = clip.frame_count if duration is None else clip.frame_at(start + duration)
    looks = list(_small_luma(clip, first, end - first))
    shots = _describe(looks, _cuts(looks, sensitivity), keyframes)
    images = [
        to_images(next(read_frames(clip, start_frame=first + frame, frame_count=1))[..., :3])
        for shot in shots
        for frame in shot.keyframes
    ]
    return shots, torch.cat(images)


def taught_shots(
    shots: list[Shot], references: Tensor, network: ColorizationNet, steps: int, **settings
) -> Iterator[tuple[int, Callable[[], Colorizer]]]:
    """For `film.Painter`: each shot's first frame, and how to make its colorizer when it comes.

    Raises ``ValueError`` when the references are not as many as the shots' keyframes.
    """
    wanted = sum(len(shot.keyframes) for shot in shots)
    if len(references) != wanted:
        raise ValueError(
            f"There are {len(references)} coloured keyframes for {wanted} of SHOTS; give every "
            "keyframe once, in order."
        )
    parts = references[..., :3].split([len(shot.keyframes) for shot in shots])
    for shot, own in zip(shots, parts, strict=True):
        yield shot.first, _lazily(network, own, steps, settings)


def _lazily(network: ColorizationNet, references: Tensor, steps: int, settings: dict):
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


def _small_luma(clip: Clip, first: int, count: int) -> Iterator[Tensor]:
    """Each frame as ``(1, h, w)`` uint8 luma: small enough to keep those of a whole film."""
    scale = LOOK_SIDE / min(clip.width, clip.height)
    size = max(1, round(clip.width * scale)), max(1, round(clip.height * scale))
    with host.Progress(count) as progress:
        for frames in read_frames(
            clip, start_frame=first, frame_count=count, size=size, batch_size=32
        ):
            luma = rgb_to_luma(to_images(frames[..., :3]).permute(0, 3, 1, 2))
            yield from luma.mul_(255).round_().to(torch.uint8)
            progress.update(len(frames))


def _cuts(looks: list[Tensor], sensitivity: float) -> list[int]:
    detector = CutDetector(sensitivity, lookahead=LOOKAHEAD)
    found = [cut for look in looks for cut in detector(look[None].float().div_(255))]
    cuts = [0]
    for cut in sorted({*found, *detector.flush()}):
        if cut - cuts[-1] >= MIN_SHOT and len(looks) - cut >= MIN_SHOT:
            cuts.append(cut)
    return cuts


def _describe(looks: list[Tensor], cuts: list[int], keyframes: int) -> list[Shot]:
    shots = []
    for first, end in zip(cuts, [*cuts[1:], len(looks)], strict=True):
        picker = KeyframePicker()
        for look in looks[first:end]:
            picker(look[None].float().div_(255))
        shots.append(Shot(first, tuple(first + frame for frame in picker.pick(keyframes))))
    return shots
