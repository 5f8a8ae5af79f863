"""Pictures of another size, part or order."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .. import schema as io
from .widgets import BoundingBox

MAX_RESOLUTION = 16384
METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]


class ImageScale(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageScale",
            display_name="Upscale Image",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=METHODS),
                io.Int.Input("width", default=512, min=0, max=MAX_RESOLUTION, step=1),
                io.Int.Input("height", default=512, min=0, max=MAX_RESOLUTION, step=1),
                io.Combo.Input("crop", options=["disabled", "center"]),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, upscale_method, width, height, crop) -> io.NodeOutput:
        if width == height == 0:
            return io.NodeOutput(image)
        old_height, old_width = image.shape[1:3]
        width = width or max(1, round(old_width * height / old_height))
        height = height or max(1, round(old_height * width / old_width))
        return io.NodeOutput(scale(image, width, height, upscale_method, crop == "center"))


class ImageScaleBy(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageScaleBy",
            display_name="Upscale Image By",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=METHODS),
                io.Float.Input("scale_by", default=1.0, min=0.01, max=8.0, step=0.01),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, upscale_method, scale_by) -> io.NodeOutput:
        height, width = (max(1, round(size * scale_by)) for size in image.shape[1:3])
        return io.NodeOutput(scale(image, width, height, upscale_method))


class ImageCrop(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        def pixels(name: str, default: int, least: int) -> io.Input:
            return io.Int.Input(name, default=default, min=least, max=MAX_RESOLUTION, step=1)

        return io.Schema(
            node_id="ImageCrop",
            display_name="Image Crop",
            category="image/transform",
            inputs=[
                io.Image.Input("image"),
                pixels("width", 512, 1),
                pixels("height", 512, 1),
                pixels("x", 0, 0),
                pixels("y", 0, 0),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, width, height, x, y) -> io.NodeOutput:
        return io.NodeOutput(_crop(image, x, y, width, height))


class ImageCropV2(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        box = {"x": 0, "y": 0, "width": 512, "height": 512}
        return io.Schema(
            node_id="ImageCropV2",
            display_name="Crop Image",
            category="image/transform",
            inputs=[io.Image.Input("image"), BoundingBox.Input("crop_region", default=box)],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def validate_inputs(cls, crop_region):
        sizes = crop_region.values() if isinstance(crop_region, dict) else [None]
        if crop_region is not None and not all(isinstance(size, int) for size in sizes):
            return "The input crop_region is not x, y, width and height in whole pixels."
        return True

    @classmethod
    def execute(cls, image, crop_region) -> io.NodeOutput:
        box = {"x": 0, "y": 0, "width": 512, "height": 512} | crop_region
        return io.NodeOutput(_crop(image, box["x"], box["y"], box["width"], box["height"]))


class ImageInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageInvert",
            display_name="Invert Image",
            category="image",
            inputs=[io.Image.Input("image")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image) -> io.NodeOutput:
        return io.NodeOutput(1.0 - image)


class ImageBatch(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageBatch",
            display_name="Batch Images",
            category="image/batch",
            inputs=[io.Image.Input("image1"), io.Image.Input("image2")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image1, image2) -> io.NodeOutput:
        channels = max(image1.shape[-1], image2.shape[-1])
        image1, image2 = (  # what has no alpha is opaque
            functional.pad(image, (0, channels - image.shape[-1]), value=1.0)
            for image in (image1, image2)
        )
        if image1.shape[1:] != image2.shape[1:]:
            height, width = image1.shape[1:3]
            image2 = scale(image2, width, height, "bilinear", center=True)
        return io.NodeOutput(torch.cat((image1, image2)))


class RebatchImages(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="RebatchImages",
            display_name="Rebatch Images",
            category="image/batch",
            is_input_list=True,
            inputs=[
                io.Image.Input("images"),
                io.Int.Input("batch_size", default=1, min=1, max=4096),
            ],
            outputs=[io.Image.Output(is_output_list=True)],
        )

    @classmethod
    def execute(cls, images, batch_size) -> io.NodeOutput:
        shapes = sorted({tuple(batch.shape[1:]) for batch in images})
        if len(shapes) > 1:
            raise ValueError(
                f"The pictures have more than one size, {shapes[0]} and {shapes[1]}; bring them to "
                "one size first."
            )
        return io.NodeOutput(list(torch.cat(images).split(batch_size[0])))


def scale(images: Tensor, width: int, height: int, method: str, center: bool = False) -> Tensor:
    """IMAGE of another size, by ComfyUI's own methods; ``center`` cuts what does not fit."""
    if center:
        old_height, old_width = images.shape[1:3]
        old, new = old_width / old_height, width / height
        x = round((old_width - old_width * (new / old)) / 2) if old > new else 0
        y = round((old_height - old_height * (old / new)) / 2) if old < new else 0
        images = images[:, y : old_height - y, x : old_width - x]
    if method == "lanczos":  # Pillow's, in eight bits
        return torch.stack([_lanczos(image, width, height) for image in images])
    planes = images.movedim(-1, 1)
    return functional.interpolate(planes, size=(height, width), mode=method).movedim(1, -1)


def _lanczos(image: Tensor, width: int, height: int) -> Tensor:
    levels = np.clip(255.0 * image.cpu().numpy(), 0, 255).astype(np.uint8)
    single = levels.shape[-1] == 1
    picture = Image.fromarray(levels[..., 0] if single else levels)
    resized = np.array(picture.resize((width, height), Image.Resampling.LANCZOS))
    scaled = torch.from_numpy(resized.astype(np.float32) / 255.0)
    return scaled[..., None] if single else scaled


def _crop(images: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    x, y = min(x, images.shape[2] - 1), min(y, images.shape[1] - 1)
    return images[:, y : y + height, x : x + width]
