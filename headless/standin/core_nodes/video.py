"""Clips: load, save, cut, take apart and put together."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ....host import current, verdict
from .. import schema as io
from .. import ui
from ..clip import COLOR_TAGS, Components, VideoFromComponents, VideoFromFile


class LoadVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LoadVideo",
            display_name="Load Video",
            category="video",
            inputs=[
                io.Combo.Input(
                    "file", options=current().input_files("video"), upload=io.UploadType.video
                ),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def validate_inputs(cls, file):
        return verdict(current().input_path, file, "video")

    @classmethod
    def execute(cls, file) -> io.NodeOutput:
        return io.NodeOutput(current().video_from_file(current().input_path(file, "video")))


CRF = {"h264": (23.0, 51.0), "av1": (30.0, 63.0)}  # ComfyUI's default and the greatest


def _codec_input(codecs: list[str], optional: bool = False) -> io.Input:
    """ComfyUI's choice of a codec and, since 0.33, of how it encodes again."""
    options = [io.DynamicCombo.Option("auto", [])]
    for codec in codecs:
        default, greatest = CRF[codec]
        crf = io.Float.Input("crf", default=default, min=0.0, max=greatest, step=1.0)
        color_space = io.Combo.Input(
            "color_space", options=["auto", *COLOR_TAGS], default="auto", optional=True
        )
        ways = [
            io.DynamicCombo.Option("auto", []),
            io.DynamicCombo.Option("re-encode", [crf, color_space]),
        ]
        encoding = io.DynamicCombo.Input("encoding", options=ways, optional=True)
        options.append(io.DynamicCombo.Option(codec, [encoding]))
    return io.DynamicCombo.Input("codec", options=options, optional=optional)


class SaveVideo(io.ComfyNode):
    """As of ComfyUI 0.33; an older workflow has its codec beside the format, not below it."""

    @classmethod
    def define_schema(cls):
        def option(format: str, *codecs: str) -> io.DynamicCombo.Option:
            return io.DynamicCombo.Option(format, [_codec_input([*codecs], optional=True)])

        return io.Schema(
            node_id="SaveVideo",
            display_name="Save Video",
            category="video",
            inputs=[
                io.Video.Input("video"),
                io.String.Input("filename_prefix", default="video/ComfyUI"),
                io.DynamicCombo.Input(
                    "format",
                    options=[
                        *(option(format, "h264", "av1") for format in ("auto", "mp4", "mkv")),
                        option("webm", "av1"),
                    ],
                ),
                _codec_input(["h264", "av1"], optional=True),
            ],
            outputs=[io.Video.Output("video")],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        video: VideoFromFile,
        filename_prefix: str,
        format: dict[str, Any],
        codec: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        chosen: dict[str, Any] = format.get("codec") or codec or {"codec": "auto"}
        encoding = chosen.get("encoding") or {}
        color_space = encoding.get("color_space", "auto")
        suffix = ".mp4" if format["format"] == "auto" else f".{format['format']}"
        target = current().output_path(filename_prefix, suffix, *video.get_dimensions())
        with current().progress(video.clip.frame_count) as progress:
            video.save_to(
                target.path,
                format=format["format"],
                codec=chosen["codec"],
                crf=encoding.get("crf"),
                color_space=None if color_space == "auto" else color_space,
                metadata=current().metadata(cls),
                on_progress=progress.report,
            )
        saved = ui.SavedResult(target.filename, target.subfolder, io.FolderType.output)
        return io.NodeOutput(video, ui=ui.PreviewVideo([saved]))


class GetVideoComponents(io.ComfyNode):
    """Older ComfyUIs have its first three outputs only."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GetVideoComponents",
            display_name="Get Video Components",
            category="video",
            inputs=[io.Video.Input("video")],
            outputs=[
                io.Image.Output(display_name="images"),
                io.Audio.Output(display_name="audio"),
                io.Float.Output(display_name="fps"),
                io.Int.Output(display_name="bit_depth"),
                io.Combo.Output(display_name="color_space"),
            ],
        )

    @classmethod
    def execute(cls, video: VideoFromFile) -> io.NodeOutput:
        parts = video.get_components(current().free_memory())
        depth, space = video.get_bit_depth(), video.get_color_space()
        return io.NodeOutput(parts.images, parts.audio, float(parts.frame_rate), depth, space)


class CreateVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="CreateVideo",
            display_name="Create Video",
            category="video",
            inputs=[
                io.Image.Input("images"),
                io.Float.Input("fps", default=30.0, min=1.0, max=120.0, step=1.0),
                io.Audio.Input("audio", optional=True),
                io.Int.Input("bit_depth", default=8, min=8, max=10, step=2, optional=True),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def execute(
        cls, images: Tensor, fps: float, audio: dict | None = None, bit_depth: int = 8
    ) -> io.NodeOutput:
        path = current().output_path("frames", ".mp4", folder="temp").path
        return io.NodeOutput(VideoFromComponents(Components(images, audio, fps), path, bit_depth))


class VideoSlice(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Video Slice",
            display_name="Trim Video",
            category="video",
            inputs=[
                io.Video.Input("video"),
                io.Float.Input("start_time", default=0.0, min=-1e5, max=1e5, step=0.001),
                io.Float.Input("duration", default=0.0, min=0.0, step=0.001),
                io.Boolean.Input("strict_duration", default=False),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def execute(
        cls, video: VideoFromFile, start_time: float, duration: float, strict_duration: bool
    ) -> io.NodeOutput:
        trimmed = video.as_trimmed(start_time, duration)
        if strict_duration and trimmed.get_duration() < duration:
            raise ValueError(
                f"The clip lasts {video.get_duration():g} s, so {duration:g} s from {start_time:g} "
                "s on are not there; choose less, or switch strict_duration off."
            )
        return io.NodeOutput(trimmed)
