"""The few nodes of ComfyUI itself that the workflows of this pack use, under ComfyUI's ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...files import AtomicOutput
from ...host import current
from ...pipeline.photo import read_picture_frames
from . import schema as io
from . import ui
from .clip import COLOR_TAGS, VideoFromFile


class LoadImage(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LoadImage",
            display_name="Load Image",
            category="image",
            inputs=[
                io.Combo.Input(
                    "image", options=current().input_files("image"), upload=io.UploadType.image
                ),
            ],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image):
        return _check_input(image, None)

    @classmethod
    def execute(cls, image) -> io.NodeOutput:
        frames = read_picture_frames(current().input_path(image))
        no_alpha = torch.zeros(64, 64)  # what ComfyUI gives for a picture without alpha
        return io.NodeOutput(
            torch.stack([rgb for rgb, _ in frames]),
            torch.stack([no_alpha if alpha is None else 1 - alpha for _, alpha in frames]),
        )


class SaveImage(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SaveImage",
            display_name="Save Image",
            category="image",
            inputs=[
                io.Image.Input("images"),
                io.String.Input("filename_prefix", default="ComfyUI"),
            ],
            outputs=[io.Image.Output()],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images, filename_prefix) -> io.NodeOutput:
        height, width = images.shape[1:3]
        tags = PngInfo()
        for key, value in current().metadata(cls).items():
            tags.add_text(key, value)
        results = []
        for image in images:
            target = current().output_path(filename_prefix, ".png", width, height)
            pixels = np.clip(255 * image.cpu().numpy(), 0, 255).astype(np.uint8)
            with AtomicOutput(target.path) as part:
                Image.fromarray(pixels).save(part, pnginfo=tags, compress_level=4)
            results.append(ui.SavedResult(target.filename, target.subfolder, io.FolderType.output))
        return io.NodeOutput(images, ui=ui.SavedImages(results))


class PreviewImage(io.ComfyNode):
    """Has its pictures made, as in ComfyUI; there is no screen to show them on."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="PreviewImage",
            display_name="Preview Image",
            category="image",
            inputs=[io.Image.Input("images")],
            outputs=[io.Image.Output()],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images) -> io.NodeOutput:
        return io.NodeOutput(images)


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
        return _check_input(file, "video")

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


def _check_input(name: str, kind: str | None) -> bool | str:
    try:
        current().input_path(name, kind)
    except (OSError, ValueError) as error:
        return str(error)
    return True


CORE_NODES = [LoadImage, SaveImage, PreviewImage, LoadVideo, SaveVideo]
