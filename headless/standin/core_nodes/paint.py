"""What was painted in the editor, over a picture."""

from __future__ import annotations

import re

import torch

from ....host import current, verdict
from ....pipeline.photo import read_picture_frames
from .. import schema as io
from .transform import scale
from .widgets import Color


class Painter(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        def side(name: str) -> io.Input:
            return io.Int.Input(name, default=512, min=64, max=4096, step=64)

        return io.Schema(
            node_id="Painter",
            display_name="Painter",
            category="image",
            inputs=[
                io.Image.Input("image", optional=True),
                io.String.Input("mask", default=""),
                side("width"),
                side("height"),
                Color.Input("bg_color", default="#000000"),
            ],
            outputs=[io.Image.Output("IMAGE"), io.Mask.Output("MASK")],
        )

    @classmethod
    def validate_inputs(cls, mask):
        return verdict(current().input_path, mask, None) if mask and mask.strip() else True

    @classmethod
    def execute(cls, mask, width, height, bg_color="#000000", image=None) -> io.NodeOutput:
        if image is None:
            image = torch.tensor(_rgb(bg_color)).expand(1, height, width, 3)
        base = image[:1]
        height, width = base.shape[1:3]
        if not mask or not mask.strip():
            return io.NodeOutput(base, torch.zeros(1, height, width))
        rgb, alpha = read_picture_frames(current().input_path(mask))[0]
        opacity = torch.ones(rgb.shape[:2]) if alpha is None else alpha
        painted = torch.cat([rgb, opacity[..., None]], dim=-1)[None]
        if painted.shape[1:3] != (height, width):
            painted = scale(painted, width, height, "lanczos")
        opacity = painted[..., 3:]
        return io.NodeOutput(
            painted[..., :3] * opacity + base * (1 - opacity), opacity[..., 0].contiguous()
        )


def _rgb(color: object) -> list[float]:
    """The colour of `#rrggbb`; black for anything else."""
    found = re.fullmatch(r"#*([0-9a-fA-F]{6})", color) if isinstance(color, str) else None
    digits = found[1] if found else "000000"
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
