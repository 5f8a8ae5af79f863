import logging
from dataclasses import replace

from PIL import Image
from torch import Tensor

from ..files import AtomicOutput
from ..host import current, io, ui
from ..options import ShotOptions
from ..pipeline import (
    Clip,
    ClipShots,
    find_shots,
    load_keyframes,
    probe,
    suggest_keyframes,
    with_keyframes,
    with_thumbnails,
)
from .types import Shots

MAX_MORE = 64

log = logging.getLogger(__name__)


class ShotKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetShotKeyframes",
            display_name="Shot Keyframes",
            category="video",
            description="Finds a clip's shots and picks the frames that stand best for each. "
            "Colour or paint them with any nodes, then give them to Colorize Video with SHOTS.",
            search_aliases=[
                "keyframe",
                "keyframes",
                "keyframe extraction",
                "scene detection",
                "cut detection",
                "shot",
                "film",
                "movie",
            ],
            inputs=[
                io.Video.Input("video", tooltip="Any VIDEO; a trim is honoured."),
                io.Int.Input(
                    "keyframes_per_shot",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="1 is enough for a still camera; take 3 where it moves.",
                ),
                io.Float.Input(
                    "sensitivity",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Higher finds more cuts.",
                ),
                io.Int.Input(
                    "shot",
                    display_name="shot (0 = all)",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    optional=True,
                    advanced=True,
                    tooltip="Give only this shot's keyframes, to paint or colour them by "
                    "themselves; SHOTS stays whole. 0 gives all.",
                ),
                io.Int.Input(
                    "more",
                    default=0,
                    min=0,
                    max=MAX_MORE,
                    optional=True,
                    tooltip="This many keyframes besides, where in the whole film one more helps "
                    "most: in frames that show what no keyframe shows.",
                ),
            ],
            outputs=[
                io.Image.Output("keyframes", tooltip="All shots' keyframes, in order."),
                Shots.Output("shots", tooltip="Where the shots begin, for Colorize Video."),
            ],
            is_output_node=True,  # older hosts show what is kept of such nodes alone
        )

    @classmethod
    def execute(cls, video, keyframes_per_shot, sensitivity, shot=0, more=0) -> io.NodeOutput:
        host = current()
        source, start, duration = host.video_source(video)
        clip = probe(source, host.check_cancelled)
        frames = clip.frames(start, duration or None)
        with host.progress(len(frames)) as progress:
            shots = find_shots(
                clip,
                ShotOptions(keyframes_per_shot, sensitivity),
                frames=frames,
                on_progress=progress.report,
                check=host.check_cancelled,
            )
        if more:
            with host.progress(len(frames)) as progress:
                found = suggest_keyframes(
                    clip,
                    shots,
                    _load(clip, shots, frames),
                    more,
                    frames=frames,
                    on_progress=progress.report,
                    check=host.check_cancelled,
                )
            numbers = sorted(suggestion.frame for suggestion in found)
            log.info("%s: more keyframes help most at frames %s", source.name, numbers)
            shots = with_keyframes(shots, [*shots.keyframes, *numbers])
            shots = with_thumbnails(shots, _load(clip, shots, frames))
        wanted = _only(shots, shot)
        images = _load(clip, wanted, frames)
        shown = _preview(images, wanted, clip, frames)
        return io.NodeOutput(host.to_output(images), shots, ui=shown)


def _load(clip: Clip, shots: ClipShots, frames: range) -> Tensor:
    host = current()
    return load_keyframes(
        clip,
        shots,
        frames=frames,
        free_memory=host.free_memory(),
        check=host.check_cancelled,
    )


def _only(shots: ClipShots, number: int) -> ClipShots:
    """The shots, none with keyframes but this one, counted from 1; with 0 all."""
    if number > len(shots.shots):
        raise ValueError(
            f"There is no shot {number}: the clip has {len(shots.shots)}; lower shot, or raise "
            "sensitivity to find more cuts."
        )
    if not number:
        return shots
    kept = [
        found if place == number else replace(found, keyframes=())
        for place, found in enumerate(shots.shots, 1)
    ]
    return replace(shots, shots=tuple(kept), thumbnails=None)


def _preview(images: Tensor, shots: ClipShots, clip: Clip, frames: range) -> ui.SavedImages:
    """The keyframes as they are, for a painting node behind; shot and time are their names."""
    host = current()
    results = []
    numbers = [number for number, shot in enumerate(shots.shots, 1) for _ in shot.keyframes]
    for image, number, frame in zip(images, numbers, shots.keyframes, strict=True):
        seconds = float(clip.time_of(frames[frame]))
        name = f"shot {number:03} at {int(seconds // 60)}m{seconds % 60:06.3f}s"
        saved = host.output_path(name, ".png", folder="temp")
        levels = image.mul(255).round().clamp(0, 255).byte().cpu().numpy()
        with AtomicOutput(saved.path) as part:
            Image.fromarray(levels).save(part, compress_level=1)
        results.append(ui.SavedResult(saved.filename, saved.subfolder, io.FolderType.temp))
    return ui.SavedImages(results)
