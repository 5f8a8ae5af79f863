"""ComfyUI's V3 node schema without ComfyUI: the part of `comfy_api.latest.io` that the pack uses.

Names, parameters and defaults are ComfyUI's (tests/comfy_api has them, of the oldest and the newest
one that the pack is tested with), so that one node class serves both hosts and a parameter that
ComfyUI would refuse is refused here. What no node uses is left out: add it when one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Any, ClassVar


class FolderType(str, Enum):
    input = "input"
    output = "output"
    temp = "temp"


class UploadType(str, Enum):
    image = "image_upload"
    video = "video_upload"


class Hidden(str, Enum):
    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"


@dataclass
class HiddenHolder:
    """What a node asked for in `Schema.hidden`; the rest is None."""

    unique_id: str | None
    prompt: dict | None
    extra_pnginfo: dict | None


@dataclass
class Input:
    id: str
    _: KW_ONLY
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    advanced: bool | None = None

    io_type: ClassVar[str] = "*"


@dataclass
class WidgetInput(Input):
    _: KW_ONLY
    default: Any = None


@dataclass
class Output:
    id: str | None = None
    _: KW_ONLY
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False

    io_type: ClassVar[str] = "*"


# The classes below have these names for their own.
_Input = Input
_Output = Output


class ComfyTypeIO:
    """A socket type, with the classes of the inputs and outputs that carry it."""

    Type: Any = Any
    io_type: ClassVar[str]

    class Input(_Input):
        pass

    class Output(_Output):
        pass

    def __init_subclass__(cls, io_type: str):
        cls.io_type = io_type
        for name in ("Input", "Output"):
            setattr(cls, name, type(name, (getattr(cls, name),), {"io_type": io_type}))


def Custom(io_type: str) -> type[ComfyTypeIO]:  # noqa: N802, the host's name
    """A socket type of the pack's own."""

    class Custom(ComfyTypeIO, io_type=io_type):
        pass

    return Custom


class Int(ComfyTypeIO, io_type="INT"):
    Type = int

    @dataclass
    class Input(WidgetInput):
        _: KW_ONLY
        min: int | None = None
        max: int | None = None
        step: int | None = None
        control_after_generate: bool | None = None


class Float(ComfyTypeIO, io_type="FLOAT"):
    Type = float

    @dataclass
    class Input(WidgetInput):
        _: KW_ONLY
        min: float | None = None
        max: float | None = None
        step: float | None = None


class Boolean(ComfyTypeIO, io_type="BOOLEAN"):
    Type = bool

    class Input(WidgetInput):
        pass


class String(ComfyTypeIO, io_type="STRING"):
    Type = str

    class Input(WidgetInput):
        pass


class Combo(ComfyTypeIO, io_type="COMBO"):
    Type = str

    @dataclass
    class Input(WidgetInput):
        options: list[str] | None = None
        _: KW_ONLY
        upload: UploadType | None = None


class Image(ComfyTypeIO, io_type="IMAGE"):
    pass


class Mask(ComfyTypeIO, io_type="MASK"):
    pass


class Audio(ComfyTypeIO, io_type="AUDIO"):
    pass


class Video(ComfyTypeIO, io_type="VIDEO"):
    pass


class AnyType(ComfyTypeIO, io_type="*"):
    pass


class DynamicCombo:
    """A choice that brings inputs of its own with it.

    Those of `video` come as `video.crf` from a workflow; the node gets one dictionary,
    `{"video": the choice, "crf": ...}`.
    """

    Type = dict[str, Any]
    io_type: ClassVar[str] = "COMFY_DYNAMICCOMBO_V3"

    @dataclass
    class Option:
        key: str
        inputs: list[Input]

    class Input(_Input):
        io_type: ClassVar[str] = "COMFY_DYNAMICCOMBO_V3"

        def __init__(
            self,
            id: str,
            options: list[DynamicCombo.Option],
            *,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
        ):
            super().__init__(id, display_name=display_name, optional=optional, tooltip=tooltip)
            self.options = options


@dataclass
class Schema:
    node_id: str
    _: KW_ONLY
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False

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


def with_nested(
    inputs: list[Input], values: dict[str, Any] | None = None, prefix: str = ""
) -> Iterator[tuple[str, Input]]:
    """Each input under its name in a workflow, with those that a `DynamicCombo` brings.

    Given the `values` of a workflow, those of the options that it chose; else those of all.
    """
    for socket in inputs:
        name = prefix + socket.id
        yield name, socket
        if isinstance(socket, DynamicCombo.Input):
            for option in socket.options:
                if values is None or values.get(name) == option.key:
                    yield from with_nested(option.inputs, values, f"{name}.")


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
    def execute(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, *args: Any, **kwargs: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:  # noqa: N802, the host's name
        schema = cls.define_schema()
        schema.finalize()
        schema.validate()
        return schema
