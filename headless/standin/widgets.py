"""Which widgets a node has, in the order in which ComfyUI's editor stores their values.

From a schema of ours, or from what a ComfyUI server tells of a node at `/object_info`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import schema as io

DEFAULTS = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False, "COLOR": "#000000"}
BOUNDING_BOX = {"x": 0, "y": 0, "width": 512, "height": 512}
UPLOADS = {
    "image_upload", "video_upload", "audio_upload", "file_upload", "animated_image_upload",
}  # fmt: skip
SEEDS = {"seed", "noise_seed"}  # have a control where the node says nothing of one


@dataclass(frozen=True)
class Widget:
    """One widget: its input's name, its default, and how its value is stored.

    ``extra_values`` follow its own in `widgets_values` and belong to the editor alone. A widget
    that is not ``stored`` has a value in the prompt only. ``options`` are the widgets that each
    choice of a dynamic combo brings, named in full.
    """

    name: str
    default: Any
    extra_values: int = 0
    stored: bool = True
    options: Mapping[str, list[Widget]] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeWidgets:
    """The widgets of a node class, its title, and whether it ends with an upload button."""

    title: str
    widgets: list[Widget]
    has_upload: bool = False


def of_schema(schema: io.Schema) -> NodeWidgets:
    """What the editor makes of one of our schemas."""
    has_upload = any(isinstance(i, io.Combo.Input) and i.upload for i in schema.inputs)
    title = schema.display_name or schema.node_id
    return NodeWidgets(title, _of_inputs(schema.inputs, ""), has_upload)


def _of_inputs(inputs: list[io.Input], prefix: str) -> list[Widget]:
    ordered = sorted(inputs, key=lambda socket: socket.optional)  # required first, as in the editor
    return [widget for socket in ordered if (widget := _of_input(socket, prefix))]


def _of_input(socket: io.Input, prefix: str) -> Widget | None:
    name = prefix + socket.id
    if isinstance(socket, io.DynamicCombo.Input):
        options = {option.key: _of_inputs(option.inputs, f"{name}.") for option in socket.options}
        return Widget(name, next(iter(options), None), options=options)
    if not isinstance(socket, io.WidgetInput):
        return None
    details = {
        "default": socket.default,
        "options": getattr(socket, "options", None),
        "control_after_generate": getattr(socket, "control_after_generate", None),
    }
    return _widget(name, socket.io_type, {k: v for k, v in details.items() if v is not None})


def of_object_info(info: Any) -> NodeWidgets | None:
    """What the editor makes of a node's entry in `/object_info`; None for an odd entry."""
    if not isinstance(info, dict) or not isinstance(info.get("input"), dict):
        return None
    order = info.get("input_order") if isinstance(info.get("input_order"), dict) else {}
    title = info.get("display_name") or info.get("name") or ""
    widgets, uploads = _of_info(info["input"], order, "")
    return NodeWidgets(str(title), widgets, uploads)


def _of_info(groups: Mapping, order: Mapping, prefix: str) -> tuple[list[Widget], bool]:
    widgets, uploads = [], False
    for group in ("required", "optional"):
        inputs = groups.get(group)
        if not isinstance(inputs, dict):
            continue
        names = [name for name in order.get(group) or [] if name in inputs]
        for name in dict.fromkeys([*names, *inputs]):
            entry = inputs[name]
            if not isinstance(entry, (list, tuple)) or not entry:
                continue
            kind = entry[0]
            details = entry[1] if len(entry) > 1 and isinstance(entry[1], dict) else {}
            if isinstance(kind, list):
                kind, details = "COMBO", {"options": kind} | details
            uploads |= any(details.get(upload) for upload in UPLOADS)
            is_choice = kind == "COMFY_DYNAMICCOMBO_V3"
            if details.get("forceInput") or (is_choice and details.get("hidden")):
                continue
            if is_choice:
                options = {
                    option["key"]: _of_info(option.get("inputs") or {}, {}, f"{prefix}{name}.")[0]
                    for option in details.get("options") or []
                    if isinstance(option, dict) and isinstance(option.get("key"), str)
                }
                widgets.append(Widget(prefix + name, next(iter(options), None), options=options))
            elif widget := _widget(prefix + name, kind, details):
                widgets.append(widget)
    return widgets, uploads


def _widget(name: str, kind: str, details: Mapping[str, Any]) -> Widget | None:
    """A plain widget; None for a socket that only a link can fill."""
    if kind == "COMBO":
        options = details.get("options") or [None]
        default = details.get("default", options[0])
    elif kind == "BOUNDING_BOX":
        # Its four numbers are widgets as well.
        return Widget(name, details.get("default") or dict(BOUNDING_BOX), extra_values=4)
    elif kind == "IMAGECOMPARE":
        return Widget(name, ["", ""], stored=False)
    elif kind in DEFAULTS:
        default = details.get("default", DEFAULTS[kind])
    else:
        return None
    control = details.get("control_after_generate")
    if control is None:
        control = kind == "INT" and name in SEEDS
    return Widget(name, default, extra_values=int(bool(control)))
