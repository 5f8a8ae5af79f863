"""The model socket, and the inputs that several nodes share."""

from dataclasses import dataclass
from typing import Any

import torch

from .. import host
from ..host import io
from ..model import ColorizationNet
from ..model.colorizationnet.engine import memory_used
from ..options import FilmOptions
from ..pipeline.images import QUALITIES

ColorizationModel = io.Custom("COLORIZATION_MODEL")
Shots = io.Custom("SHOTS")


@dataclass(frozen=True)
class Model:
    """What travels on the COLORIZATION_MODEL socket."""

    name: str
    handle: Any  # the host's: it decides when the network is on which device
    precision: str

    def network(self, render_size: int = -1) -> ColorizationNet:
        """The network on the host's device, with room for a batch at ``render_size``."""
        side = {-1: 64, 0: 1024}.get(render_size, render_size)
        room = memory_used(8, side, 2 * side, torch.float32)
        return host.load(self.handle, memory_required=room)

    def settings(self, *, render_size: int, **settings) -> dict:
        """What a `Colorizer` is to be made with, of the nodes' inputs."""
        return {
            "render_size": None if render_size < 0 else render_size,
            "device": host.device(),
            "precision": host.precision(self.precision),
            **settings,
        }


def colour_inputs() -> list:
    """The colour settings, the same in every node that colours."""
    return [
        io.Int.Input(
            "render_size",
            default=-1,
            min=-1,
            max=4096,
            tooltip="Short side in pixels at which the network looks at the picture; -1 is what "
            "the weights were made for. Smaller shows it more of the scene at once and gives "
            "broader, calmer colour; larger follows small things. 0 is the picture's own size "
            "(slow). The luminance always stays at full size.",
        ),
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the new colour is used: 0 leaves the picture as it is.",
        ),
        io.Float.Input(
            "saturation",
            default=1.0,
            min=0.0,
            max=10.0,
            step=0.05,
            tooltip="Gain on the network's colours; 1 is what the weights were calibrated for.",
        ),
    ]


def quality_input():
    return io.Combo.Input(
        "quality",
        options=list(QUALITIES),
        default="auto",
        optional=True,
        advanced=True,
        tooltip="best looks at the picture at three sizes and takes the mean: the likeliest "
        "colours. fast looks once, for an eighth of that work. full follows small things better, "
        "which pays with taught weights. auto is what the weights were made for; the shipped ones "
        "look at pictures best and at film fast.",
    )


def stability_input():
    return io.Float.Input(
        "stability",
        default=FilmOptions.stability,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip="How firmly colours hold still over time where the scene does; 0 colours every "
        "frame by itself.",
    )
