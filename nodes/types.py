"""The model socket, and the inputs that several nodes share."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..host import current, io, verdict
from ..options import (
    ENCODERS,
    LOOKS,
    MAX_RENDER_SIZE,
    MAX_SATURATION,
    QUALITIES,
    ColorOptions,
    FilmOptions,
)
from ..pipeline import Network

ColorizationModel = io.Custom("COLORIZATION_MODEL")
Shots = io.Custom("SHOTS")

BATCH = 8  # pictures at a time


@dataclass(frozen=True)
class Model:
    """What travels on the COLORIZATION_MODEL socket."""

    name: str
    network: Network  # what it can do and needs; it may lie on any device
    handle: Any  # the host's: it decides when the network is on which device
    precision: str

    def load(
        self, options: ColorOptions, count: int, height: int, width: int, *, film: bool = False
    ) -> Network:
        """The network on the host's device, with room for ``count`` pictures of such a size."""
        need = self.network.memory_required(options, min(count, BATCH), height, width, film=film)
        return current().load_to_device(self.handle, need)


def color_options(
    model: Model,
    render_size: int,
    strength: float,
    saturation: float,
    quality: str,
    mode: str = "merge",
    look: str = "natural",
) -> ColorOptions:
    """The widgets' values as options; a render size of -1 leaves it to the weights."""
    return ColorOptions(
        render_size=None if render_size < 0 else render_size,
        strength=strength,
        saturation=saturation,
        quality=quality,
        precision=current().precision(model.precision),
        mode=mode,
        look=look,
    )


def colour_inputs() -> list:
    """The colour settings, the same in every node that colours."""
    return [
        io.Int.Input(
            "render_size",
            display_name="render size (-1 = auto)",
            default=-1,
            min=-1,
            max=MAX_RENDER_SIZE,
            advanced=True,
            tooltip="Short side in pixels at which the network looks at the picture; -1, auto, is "
            "what the weights were made for. Smaller shows it more of the scene at once and gives "
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
            max=2.0,  # of the slider; `check_saturation` takes more
            step=0.05,
            tooltip="Gain on the network's colours; 1 is what the weights were calibrated for.",
        ),
    ]


def check_saturation(value: float | list[float] | None) -> bool | str:
    """What ``validate_inputs`` says of a saturation: more than the slider has is well too."""
    # Nodes that take lists are asked with one, and None is what a link will bring.
    values = value if isinstance(value, list) else [value]
    wrong = [one for one in values if not (one is None or 0 <= one <= MAX_SATURATION)]
    if not wrong:
        return True
    return f"saturation is {wrong[0]}; choose a value from 0 to {MAX_SATURATION:g}."


def check_folder(folder: str | None, suffixes: Collection[str] | None = None) -> bool | str:
    """What ``validate_inputs`` says of a folder of pictures; None is what a link will bring."""
    return True if folder is None else verdict(current().folder_files, folder, "image", suffixes)


def folder_state(
    folder: str, suffixes: Collection[str] | None = None
) -> list[tuple[str, int, int]]:
    """What ``fingerprint_inputs`` says of it: another where a picture comes, goes or changes."""
    files = current().folder_files(folder, "image", suffixes)
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]


def quality_input():
    return io.Combo.Input(
        "quality",
        display_name="effort",
        options=list(QUALITIES),
        default="auto",
        optional=True,
        advanced=True,
        tooltip="best looks at the picture at three sizes and takes the mean: the likeliest "
        "colours. fast looks once, for an eighth of that work. full follows small things better, "
        "which pays with taught weights. auto is what the weights were made for; the shipped ones "
        "look at pictures best and at film fast.",
    )


def look_input():
    return io.Combo.Input(
        "look",
        options=list(LOOKS),
        default="natural",
        optional=True,
        tooltip="natural holds colour back where it is a guess. vivid holds back less and has a "
        "tenth more saturation: warmer and stronger, right or wrong.",
    )


def encoder_input():
    return io.Combo.Input(
        "encoder",
        options=list(ENCODERS),
        default="software",
        optional=True,
        advanced=True,
        tooltip="hardware leaves h264, hevc and av1 to the graphics card (NVIDIA, Intel, AMD) "
        "where that can do it, else to software; the log says which. Sooner, in larger files or "
        "with less fine detail.",
    )


def stability_input():
    return io.Float.Input(
        "stability",
        default=FilmOptions.stability,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip="How firmly colours hold still over time where the scene does; 0 leaves each "
        "frame by itself, 0.5 takes the mean of two or three seconds of the same surface. Above "
        "that colours hold on through shade, dirt, grain and motion too, and through true changes "
        "of colour: stiller, but at 1 they may trail a little behind what moves.",
    )
