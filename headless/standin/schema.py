"""ComfyUI's V3 node schema without ComfyUI: the part of `comfy_api.latest.io` that the pack uses.

Names, parameters and defaults are those of ComfyUI, so that one node class serves both hosts and a
parameter that ComfyUI would refuse is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class FolderType(str, Enum):
    input = "input"
    output = "output"
    temp = "temp"


class UploadType(str, Enum):
    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(str, Enum):
    number = "number"
    slider = "slider"


class Hidden(str, Enum):
    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"


@dataclass
class HiddenHolder:
    """What a node asked for in `Schema.hidden`; the rest stays None."""

    unique_id: str | None = None
    prompt: dict | None = None
    extra_pnginfo: dict | None = None


@dataclass
class Input:
    id: str
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    lazy: bool | None = None
    extra_dict: dict | None = None
    raw_link: bool | None = None
    advanced: bool | None = None

    io_type = "*"


@dataclass
class WidgetInput(Input):
    default: Any = None
    socketless: bool | None = None
    force_input: bool | None = None


@dataclass
class Output:
    id: str | None = None
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False

    io_type = "*"


def Custom(io_type: str, input_class: type[Input] = Input) -> type:  # noqa: N802, the host's name
    """A socket type: `.Input` and `.Output` of links that carry `io_type`."""
    return type(
        io_type,
        (),
        {
            "io_type": io_type,
            "Type": Any,
            "Input": type("Input", (input_class,), {"io_type": io_type}),
            "Output": type("Output", (Output,), {"io_type": io_type}),
        },
    )


@dataclass
class _Number(WidgetInput):
    min: float | None = None
    max: float | None = None
    step: float | None = None
    display_mode: NumberDisplay | None = None


@dataclass
class _Int(_Number):
    control_after_generate: bool | None = None


@dataclass
class _Float(_Number):
    round: float | None = None


@dataclass
class _Boolean(WidgetInput):
    label_on: str | None = None
    label_off: str | None = None


@dataclass
class _String(WidgetInput):
    multiline: bool = False
    placeholder: str | None = None
    dynamic_prompts: bool | None = None


class _Combo(WidgetInput):
    def __init__(
        self,
        id: str,
        options: Sequence[str] | type[Enum] = (),
        *args: Any,
        upload: UploadType | None = None,
        image_folder: FolderType | None = None,
        control_after_generate: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(id, *args, **kwargs)
        is_enum = isinstance(options, type)
        self.options = [option.value for option in options] if is_enum else list(options)
        self.upload = upload
        self.image_folder = image_folder
        self.control_after_generate = control_after_generate
        if isinstance(self.default, Enum):
            self.default = self.default.value


Int = Custom("INT", _Int)
Float = Custom("FLOAT", _Float)
Boolean = Custom("BOOLEAN", _Boolean)
String = Custom("STRING", _String)
Combo = Custom("COMBO", _Combo)
Image = Custom("IMAGE")
Mask = Custom("MASK")
Audio = Custom("AUDIO")
Video = Custom("VIDEO")
AnyType = Custom("*")


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    not_idempotent: bool = False

    def finalize(self) -> None:
        """Output nodes get the prompt and the workflow without asking, as in ComfyUI."""
        if self.is_output_node:
            self.hidden = list(dict.fromkeys([*self.hidden, Hidden.prompt, Hidden.extra_pnginfo]))

    def validate(self) -> None:
        for kind, ids in (
            ("Input", [socket.id for socket in self.inputs]),
            ("Output", [socket.id for socket in self.outputs if socket.id is not None]),
        ):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{kind} ids of {self.node_id} must be unique, but are {ids}")


class NodeOutput:
    """What `execute` returns: a value for each output, and what the node shows."""

    def __init__(self, *args: Any, ui: Any = None):
        self.args = args
        self.ui = ui

    @property
    def result(self) -> tuple | None:
        return self.args or None

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class ComfyNode:
    """Base of every node: class methods only, no state."""

    hidden: HiddenHolder | None = None

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:  # noqa: N802, the host's name
        schema = cls.define_schema()
        schema.finalize()
        schema.validate()
        return schema
