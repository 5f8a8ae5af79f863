"""Pictures into files, or to look at."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ....files import AtomicOutput
from ....host import current
from .. import schema as io
from .. import ui
from .widgets import CompareView


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


class ImageCompare(io.ComfyNode):
    """Two pictures and a slider between them, which is nothing to see here."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageCompare",
            display_name="Compare Images",
            category="image",
            inputs=[
                io.Image.Input("image_a", optional=True),
                io.Image.Input("image_b", optional=True),
                CompareView.Input("compare_view", optional=True),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, image_a=None, image_b=None, compare_view=None) -> io.NodeOutput:
        return io.NodeOutput()
