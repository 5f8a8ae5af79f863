from .. import host
from ..host import io
from ..pipeline.shots import find_shots, load_keyframes
from ..video import probe
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
            search_aliases=["scene detection", "cut detection", "keyframes"],
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
        source, start, duration = host.video_source(video, host.temp_folder())
        clip = probe(source)
        shots = find_shots(
            clip,
            keyframes=keyframes_per_shot,
            sensitivity=sensitivity,
            start=start,
            duration=duration or None,
        )
        images = load_keyframes(clip, shots, start=start)
        return io.NodeOutput(host.intermediate(images), shots)
