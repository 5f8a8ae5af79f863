"""A workflow in API form as ComfyUI's editor has it: the way back of `editor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import DynamicCombo, Input, Schema, WidgetInput
from .widgets import NodeWidgets, Widget, of_schema
from .workflow import Prompt, is_link

COLUMN, WIDTH, ROW, GAP = 420, 340, 26, 60  # px on the canvas
NO_CONTROL = "fixed"  # what a seed's control is set to, and the like
UPLOAD = "image"  # what the upload button of any kind stores


def to_editor(prompt: Prompt, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """``prompt`` laid out from the left to the right, in the order of its links.

    Node ids are numbers, every node's class is in ``schemas``, and nothing links in a circle.
    """
    links: list[list] = []
    depths: dict[str, int] = {}
    heights: dict[int, int] = {}
    nodes = {key: _node(key, entry, schemas[entry["class_type"]]) for key, entry in prompt.items()}
    for key, entry in prompt.items():
        sockets = {slot["name"]: index for index, slot in enumerate(nodes[key]["inputs"])}
        for name, value in entry["inputs"].items():
            if is_link(value):
                source, slot = value
                output = nodes[source]["outputs"][slot]
                number, index = len(links) + 1, sockets[name]
                links.append([number, int(source), slot, int(key), index, output["type"]])
                output["links"] = [*(output["links"] or []), number]
                nodes[key]["inputs"][index]["link"] = number
    for order, key in enumerate(sorted(nodes, key=lambda key: _depth(key, prompt, depths))):
        node, depth = nodes[key], _depth(key, prompt, depths)
        rows = max(len(node["inputs"]), len(node["outputs"])) + len(node["widgets_values"])
        node["order"], node["size"] = order, [WIDTH, ROW * (rows + 1)]
        node["pos"] = [COLUMN * depth, heights.get(depth, 0)]
        heights[depth] = node["pos"][1] + node["size"][1] + GAP
    return {
        "last_node_id": max(map(int, nodes)),
        "last_link_id": len(links),
        "nodes": sorted(nodes.values(), key=lambda node: node["order"]),
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _node(key: str, entry: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    ordered = sorted(schema.inputs, key=lambda socket: socket.optional)  # as the editor does
    return {
        "id": int(key),
        "type": entry["class_type"],
        "pos": [0, 0],
        "size": [0, 0],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            {"name": socket.id, "type": socket.io_type, "link": None}
            | ({"widget": {"name": socket.id}} if _is_widget(socket) else {})
            | ({"shape": 7} if socket.optional else {})
            for socket in sorted(ordered, key=_is_widget)
            if not _is_widget(socket) or is_link(entry["inputs"].get(socket.id))
        ],
        "outputs": [
            {
                "name": output.display_name or output.id or output.io_type,
                "type": output.io_type,
                "links": None,
            }
            for output in schema.outputs
        ],
        "properties": {"Node name for S&R": entry["class_type"]},
        "widgets_values": stored_values(of_schema(schema), entry["inputs"]),
    }


def _is_widget(socket: Input) -> bool:
    return isinstance(socket, (WidgetInput, DynamicCombo.Input))


def stored_values(widgets: NodeWidgets, inputs: Mapping[str, Any]) -> list:
    """What the editor stores for a node's widgets, in their order, by its inputs in API form."""
    values: list = []
    rest: list[Widget] = list(reversed(widgets.widgets))
    while rest:
        widget = rest.pop()
        value = inputs.get(widget.name, widget.default)
        value = widget.default if is_link(value) else value
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        if widget.stored:
            values += [value, *(NO_CONTROL for _ in range(widget.extra_values))]
        if isinstance(value, str):
            rest += reversed(widget.options.get(value, []))
    return [*values, UPLOAD] if widgets.has_upload else values


def _depth(key: str, prompt: Prompt, known: dict[str, int]) -> int:
    if key not in known:
        sources = (value[0] for value in prompt[key]["inputs"].values() if is_link(value))
        known[key] = max((_depth(source, prompt, known) + 1 for source in sources), default=0)
    return known[key]
