import torch

from ..host import current, io
from ..options import ShotOptions
from ..pipeline import find_shots, load_keyframes, probe
from .types import Shots


class ShotKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetShotKeyframes",
            display_name="Shot Keyframes",
            category="video",
            description="Finds a clip's shots and picks the frames that stand best for each. "
            "Colour them with any nodes, then give them to Colorize Video with SHOTS.",
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
            ],
            outputs=[
                io.Image.Output("keyframes", tooltip="All shots' keyframes, in order."),
                Shots.Output("shots", tooltip="Where the shots begin, for Colorize Video."),
            ],
        )

    @classmethod
    def execute(cls, video, keyframes_per_shot, sensitivity) -> io.NodeOutput:
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
        images = load_keyframes(
            clip,
            shots,
            frames=frames,
            free_memory=host.free_memory(torch.device("cpu")),
            check=host.check_cancelled,
        )
        return io.NodeOutput(host.to_output(images), shots)
