"""The few nodes of ComfyUI itself that the workflows of this pack use, under ComfyUI's ids."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from PIL.PngImagePlugin import PngInfo

from ... import host
from ...host import io, paths, ui
from ...pipeline.photo import open_picture
from . import host as embedded


class LoadImage(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LoadImage",
            display_name="Load Image",
            category="image",
            inputs=[
                io.Combo.Input(
                    "image", options=host.input_files("image"), upload=io.UploadType.image
                ),
            ],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image):
        return _check_input(image)

    @classmethod
    def execute(cls, image) -> io.NodeOutput:
        path = host.input_path(image)
        try:
            with open_picture(path) as file:
                frames = [ImageOps.exif_transpose(frame) for frame in ImageSequence.Iterator(file)]
        except (OSError, SyntaxError) as error:
            raise ValueError(f"{path} is not a picture that can be read.") from error
        frames = [frame for frame in frames if frame.size == frames[0].size]
        return io.NodeOutput(
            torch.stack([_to_rgb(frame) for frame in frames]),
            torch.stack([_to_mask(frame) for frame in frames]),
        )


def _to_rgb(image: Image.Image) -> torch.Tensor:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
        grey = torch.from_numpy(np.array(image, dtype=np.float32) / 65535)
        return grey.unsqueeze(-1).repeat(1, 1, 3)
    return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32) / 255)


def _to_mask(image: Image.Image) -> torch.Tensor:
    if "A" not in image.getbands():
        return torch.zeros(64, 64)  # what ComfyUI gives for a picture without alpha
    return 1 - torch.from_numpy(np.array(image.getchannel("A"), dtype=np.float32) / 255)


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
        prefix = paths.expand(filename_prefix, width, height)
        free = paths.free_paths(embedded.settings.folder("output"), prefix, ".png", "output")
        tags = PngInfo()
        for key, value in host.metadata(cls).items():
            tags.add_text(key, value)
        results = []
        for image, target in zip(images, free, strict=False):
            pixels = np.clip(255 * image.cpu().numpy(), 0, 255).astype(np.uint8)
            with paths.whole(target.path) as part:
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
                    "file", options=host.input_files("video"), upload=io.UploadType.video
                ),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def validate_inputs(cls, file):
        return _check_input(file)

    @classmethod
    def execute(cls, file) -> io.NodeOutput:
        return io.NodeOutput(host.video_from_file(host.input_path(file)))


class SaveVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SaveVideo",
            display_name="Save Video",
            category="video",
            inputs=[
                io.Video.Input("video"),
                io.String.Input("filename_prefix", default="video/ComfyUI"),
                io.Combo.Input("format", options=["auto", "mp4"], default="auto"),
                io.Combo.Input("codec", options=["auto", "h264"], default="auto"),
            ],
            outputs=[io.Video.Output()],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video, filename_prefix, format, codec) -> io.NodeOutput:
        if codec not in ("auto", video.get_codec()):
            raise ValueError(
                f"the clip is {video.get_codec()} and is saved without encoding it again; set "
                "codec to auto."
            )
        target = host.output_path(filename_prefix, ".mp4", *video.get_dimensions())
        video.save_to(target.path, metadata=host.metadata(cls))
        saved = ui.SavedResult(target.filename, target.subfolder, io.FolderType.output)
        return io.NodeOutput(video, ui=ui.PreviewVideo([saved]))


def _check_input(name: str) -> bool | str:
    try:
        host.input_path(name)
    except (OSError, ValueError) as error:
        return str(error)
    return True


CORE_NODES = [LoadImage, SaveImage, PreviewImage, LoadVideo, SaveVideo]
