"""What can be chosen: each setting with its default and range, for nodes, command line and API.

Plain frozen data without torch, so that a parser can list the choices at once and a job can be
sent to another process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SHIPPED_WEIGHTS = Path(__file__).parent / "model/colorizationnet/colorizationnet.safetensors"
QUALITIES = ("auto", "best", "full", "fast")
LOOKS = ("natural", "vivid")
VIVID_GAIN = 1.1
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
COMPARISONS = ("off", "half", "wipe")
MODES = ("merge", "network")
FORMATS = (
    "h264",
    "hevc",
    "av1",
    "vp9",
    "prores",
    "prores4444",
    "ffv1",
    "gif",
    "webp",
    "png",
)
PICTURE_FORMATS = ("gif", "webp", "png")
"""Those of ``FORMATS`` that hold no sound and no luma planes: for frames, not for film."""
SOFTWARE, HARDWARE = ENCODERS = ("software", "hardware")
MAX_SATURATION = 10.0
MAX_RENDER_SIZE = 4096
MAX_TEACH_STEPS = 10_000


@dataclass(frozen=True)
class ColorOptions:
    """How a network looks at pictures, and how much of its colour they get.

    ``render_size``: short side in pixels at which the network looks. ``None`` is what the weights
    were made for, by their metadata; 0 is the picture's own size. A smaller picture is never
    enlarged.
    ``strength``: 0 (the picture unchanged) to 1 (all colour from the network).
    ``saturation``: gain on the network's chroma, 0 to 10; 1 is the gain that the weights were
    calibrated for, by their metadata.
    ``look``: ``"natural"`` holds back where colours are a guess; ``"vivid"`` holds back half as
    much and has 1.1 times the saturation, for more colour, right or wrong.
    ``quality``: ``"full"`` runs the whole network, ``"fast"`` one pixel parity of it on a half-size
    picture, for a quarter of the work. ``"best"`` is the mean of three fast looks, at 2/3, 4/3 and
    7/3 of the render size, for twice the work of full. ``"auto"`` is what the weights were made
    for, by their metadata, or full; where that is best, film is looked at fast.
    ``precision``: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"auto"`` (fp16 on CUDA, else fp32: the
    same numbers on every CPU).
    ``mode``: ``"merge"``, or ``"network"`` for the network's own RGB without the source's luma.

    Raises ``ValueError`` for a value that is not offered, out of range or not a number.
    """

    render_size: int | None = None
    strength: float = 1.0
    saturation: float = 1.0
    quality: str = "auto"
    precision: str = "auto"
    mode: str = "merge"
    look: str = "natural"

    def __post_init__(self) -> None:
        if self.render_size is not None:
            _check_range("render_size", self.render_size, 0, MAX_RENDER_SIZE)
        _check_range("strength", self.strength, 0, 1)
        _check_range("saturation", self.saturation, 0, MAX_SATURATION)
        _check_choice("quality", self.quality, QUALITIES)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("mode", self.mode, MODES)
        _check_choice("look", self.look, LOOKS)

    @property
    def gain(self) -> float:
        """Gain on the network's calibrated chroma: ``saturation`` and what ``look`` adds to it."""
        return self.saturation * (VIVID_GAIN if self.look == "vivid" else 1.0)


@dataclass(frozen=True)
class TeachOptions:
    """How a network learns from coloured references.

    ``steps`` of gradient descent, 1 to 10,000. ``render_size``: short side in pixels at which it
    is taught, and then used. The same ``seed`` and references give the same network.
    """

    steps: int = 150
    render_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        _check_range("steps", self.steps, 1, MAX_TEACH_STEPS)
        _check_range("render_size", self.render_size, 2, MAX_RENDER_SIZE)
        _check_range("seed", self.seed, 0, 2**32 - 1)


@dataclass(frozen=True)
class FilmOptions:
    """How the colours of a film hold still.

    ``stability``: 0 (every frame by itself) to 1 (a surface keeps its mean colour while its luma is
    about the same; above 0.5 at the risk of ghosts). ``compare``: ``"off"``, or a film that shows
    what was before: ``"half"`` leaves its left half without colour, ``"wipe"`` begins without any
    and draws it across the picture from the left.
    """

    stability: float = 0.5
    compare: str = "off"

    def __post_init__(self) -> None:
        _check_range("stability", self.stability, 0, 1)
        _check_choice("compare", self.compare, COMPARISONS)


@dataclass(frozen=True)
class ShotOptions:
    """How a film is divided: ``keyframes`` a shot, ``sensitivity`` 0 to 1 (more cuts)."""

    keyframes: int = 1
    sensitivity: float = 0.5

    def __post_init__(self) -> None:
        _check_range("keyframes", self.keyframes, 1, 1000)
        _check_range("sensitivity", self.sensitivity, 0, 1)


@dataclass(frozen=True)
class EncodeOptions:
    """How a film is stored.

    ``format``: one of ``FORMATS``. ``quality``: the encoder's own number, ``None`` for the
    format's default. ``bit_depth``: bits a sample, ``None`` for the source's as far as the format
    has it, but 8 for H.264, and HDR as HEVC in its place. ``encoder``: ``"software"``,
    ``"hardware"`` (a graphics card's for H.264, HEVC or AV1, where one does it, else software), or
    one of those by ffmpeg's name, such as ``h264_nvenc``. ``metadata`` goes into the container
    (GIF has no room for it), in the place of what the source has under the same names; an empty
    value removes that. ``overwrite``: whether a file of that name is replaced.
    """

    format: str = "h264"
    quality: float | None = None
    bit_depth: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    encoder: str = SOFTWARE

    def __post_init__(self) -> None:
        _check_choice("format", self.format, FORMATS)
        if self.quality is not None and not math.isfinite(self.quality):
            raise ValueError(f"quality is {self.quality}; choose a number.")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # so written, NaN fails as well
        raise ValueError(f"{name} is {value}; choose a value from {low} to {high}.")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
