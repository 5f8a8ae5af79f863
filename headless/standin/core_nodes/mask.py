"""Masks, and pictures made of them."""

from __future__ import annotations

from .. import schema as io

CHANNELS = ["red", "green", "blue", "alpha"]


class MaskToImage(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MaskToImage",
            display_name="Convert Mask to Image",
            category="image/mask",
            inputs=[io.Mask.Input("mask")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, mask) -> io.NodeOutput:
        grey = mask.reshape(-1, *mask.shape[-2:], 1)
        return io.NodeOutput(grey.expand(-1, -1, -1, 3))


class ImageToMask(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ImageToMask",
            display_name="Convert Image to Mask",
            category="image/mask",
            inputs=[io.Image.Input("image"), io.Combo.Input("channel", options=CHANNELS)],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def execute(cls, image, channel) -> io.NodeOutput:
        index = CHANNELS.index(channel)
        if index >= image.shape[-1]:
            raise ValueError("The picture has no alpha channel; choose red, green or blue.")
        return io.NodeOutput(image[..., index])


class InvertMask(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="InvertMask",
            display_name="Invert Mask",
            category="image/mask",
            inputs=[io.Mask.Input("mask")],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def execute(cls, mask) -> io.NodeOutput:
        return io.NodeOutput(1.0 - mask)
