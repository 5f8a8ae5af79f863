"""Pictures out of files."""

from __future__ import annotations

import torch
from torch import Tensor

from ....host import current, verdict
from ....pipeline.photo import read_picture_frames
from .. import schema as io

FOLDER_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}  # that ComfyUI takes out of a folder


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
        return verdict(current().input_path, image, None)

    @classmethod
    def execute(cls, image) -> io.NodeOutput:
        return io.NodeOutput(*_load(image))


class LoadImageMask(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LoadImageMask",
            display_name="Load Image (as Mask)",
            category="image",
            inputs=[
                io.Combo.Input(
                    "image", options=current().input_files("image"), upload=io.UploadType.image
                ),
                io.Combo.Input("channel", options=["alpha", "red", "green", "blue"]),
            ],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image):
        return verdict(current().input_path, image, None)

    @classmethod
    def execute(cls, image, channel) -> io.NodeOutput:
        images, masks = _load(image)
        if channel == "alpha":
            return io.NodeOutput(masks)
        return io.NodeOutput(images[..., ("red", "green", "blue").index(channel)].clone())


class LoadImageDataSetFromFolder(io.ComfyNode):
    """Sorted by number and turned upright, where ComfyUI goes by chance and by the raw pixels."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="LoadImageDataSetFromFolder",
            display_name="Load Image (from Folder)",
            category="image",
            # Not listed: the input folder may be a whole home folder.
            inputs=[io.Combo.Input("folder", options=[])],
            outputs=[io.Image.Output(display_name="images", is_output_list=True)],
        )

    @classmethod
    def validate_inputs(cls, folder):
        return verdict(current().folder_files, folder, "image")

    @classmethod
    def execute(cls, folder) -> io.NodeOutput:
        files = current().folder_files(folder, "image")
        taken = [file for file in files if file.suffix.lower() in FOLDER_SUFFIXES]
        if not taken:
            raise ValueError(f"The folder {folder} holds no PNG, JPEG or WebP; put pictures there.")
        return io.NodeOutput([read_picture_frames(file)[0][0][None] for file in taken])


def _load(name: str) -> tuple[Tensor, Tensor]:
    """Every picture of an input file, and what is see-through in it, as an IMAGE and a MASK."""
    frames = read_picture_frames(current().input_path(name))
    no_alpha = torch.zeros(64, 64)  # what ComfyUI gives for a picture without alpha
    return (
        torch.stack([rgb for rgb, _ in frames]),
        torch.stack([no_alpha if alpha is None else 1 - alpha for _, alpha in frames]),
    )
