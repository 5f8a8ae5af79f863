"""The workflow of ComfyUI's editor in API form, as the editor itself would send it.

The rules are those of `graphToPrompt` and `ExecutableNodeDTO` in Comfy-Org/ComfyUI_frontend:
widgets by their order, links followed through reroutes, bypassed nodes and subgraphs, muted nodes
left out, subgraphs taken apart into nodes named `host:inner`. No torch is imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from .replacements import replace_text
from .widgets import NodeWidgets, Widget
from .workflow import Prompt, WorkflowError, bounded, checked_prompt, quoted, shown

WidgetsOf = Callable[[str], NodeWidgets | None]

NOTES = {"Note", "MarkdownNote", "Label (rgthree)"}
REROUTES = {"Reroute", "Reroute (rgthree)", "SetNode"}  # hand their first input on
PRIMITIVE, GET = "PrimitiveNode", "GetNode"
ALWAYS, NEVER, BYPASS = 0, 2, 4  # the modes that count
INPUT, OUTPUT = "-10", "-20"  # the ends of a subgraph's own links
CONTROLS = {"fixed", "increment", "decrement", "randomize", "increment-wrap", True, False}
UPLOAD_VALUE = "image"  # what the upload button of any kind stores
SAVERS = {
    "SaveImage", "SaveVideo", "SaveAnimatedWEBP", "SaveAnimatedPNG", "SaveWEBM",
}  # fmt: skip
MAX_NODES = 20_000
MAX_DEPTH = 40  # subgraphs within subgraphs


def is_editor_format(data: Any) -> bool:
    """Whether ``data`` is what the editor saves, not what it sends."""
    return isinstance(data, dict) and isinstance(data.get("nodes"), list)


def to_prompt(workflow: dict, widgets_of: WidgetsOf, where: str = "The workflow") -> Prompt:
    """The nodes of an editor's workflow in API form.

    ``widgets_of`` tells of a node class which widgets it has, None for one that is not there. Both
    forms of links (arrays, objects) are read, subgraphs at any depth, promoted widgets, Primitive,
    Reroute and Set/Get nodes. Nodes that nothing links are left out where they are unknown.

    Raises WorkflowError that names each unknown node by its title and says what can be done.
    """
    definitions = workflow.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    known = {
        str(subgraph["id"]): subgraph
        for subgraph in subgraphs if isinstance(subgraph, dict) and "id" in subgraph
    } if isinstance(subgraphs, list) else {}  # fmt: skip
    conversion = _Conversion(known, widgets_of)
    root = _Graph(conversion, workflow)
    prompt: Prompt = {}
    problems = []
    for graph, node in _active(root):
        if problem := graph.why_unknown(node):
            problems.append(problem)
        elif graph.widgets_of(node):
            prompt[graph.execution_id(node)] = graph.entry(node)
    if problems:
        raise WorkflowError(bounded(problems))
    if not prompt:
        raise WorkflowError(f"{where} has no node that runs; all are notes, muted or bypassed.")
    for entry in prompt.values():
        entry["inputs"] = {
            key: value
            for key, value in entry["inputs"].items()
            if not (isinstance(value, list) and value[0] not in prompt)
        }
    for entry in prompt.values():
        prefix = entry["inputs"].get("filename_prefix")
        if entry["class_type"] in SAVERS and isinstance(prefix, str):
            entry["inputs"]["filename_prefix"] = replace_text(prefix, conversion.named_values)
    return checked_prompt(prompt, where)


class _Link(NamedTuple):
    id: str
    origin: str
    origin_slot: int
    target: str
    target_slot: int

    @classmethod
    def read(cls, raw: Any) -> _Link | None:
        """A link as `[id, origin, slot, target, slot, type]` or an object; None for neither."""
        if isinstance(raw, dict):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            raw = [raw.get(name) for name in names]
        if not isinstance(raw, list) or len(raw) < 5:
            return None
        number, origin, origin_slot, target, target_slot = raw[:5]
        if not (_is_index(origin_slot) and _is_index(target_slot)):
            return None
        return cls(str(number), str(origin), origin_slot, str(target), target_slot)


@dataclass(frozen=True)
class _Node:
    """A node as the file has it, with what is odd in it put right or left out."""

    id: str
    type: str
    title: str | None
    mode: int
    inputs: list[dict]
    outputs: list[dict]
    properties: dict
    values: list | dict | None

    @classmethod
    def read(cls, raw: Any) -> _Node | None:
        if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or "id" not in raw:
            return None
        title = raw.get("title")
        mode = raw.get("mode")
        properties = raw.get("properties")
        values = raw.get("widgets_values")
        if not isinstance(values, (list, dict)):
            values = raw.get("widgets_values_named")
        return cls(
            id=str(raw["id"]),
            type=raw["type"],
            title=title if isinstance(title, str) and title else None,
            mode=mode if isinstance(mode, int) else ALWAYS,
            inputs=_slots(raw.get("inputs")),
            outputs=_slots(raw.get("outputs")),
            properties=properties if isinstance(properties, dict) else {},
            values=values if isinstance(values, (list, dict)) else None,
        )

    @property
    def runs(self) -> bool:
        return self.mode not in (NEVER, BYPASS)

    @property
    def is_linked(self) -> bool:
        return any(slot.get("link") is not None for slot in self.inputs) or any(
            slot.get("links") for slot in self.outputs
        )


@dataclass
class _Conversion:
    """What all graphs of one workflow share."""

    subgraphs: dict[str, dict]
    known: WidgetsOf
    node_count: int = 0
    nodes: list[tuple[_Graph, _Node]] = field(default_factory=list)

    def named_values(self, name: str, widget: str) -> Any:
        """The value of a widget of the node of this name, for `%name.widget%`; None if none."""
        by_property = [n for n in self.nodes if n[1].properties.get("Node name for S&R") == name]
        for graph, node in by_property or [n for n in self.nodes if n[1].title == name]:
            return graph.values(node).get(widget)
        return None


class _Graph:
    """The workflow, or one use of a subgraph: the nodes and links that are there."""

    def __init__(
        self,
        conversion: _Conversion,
        raw: dict,
        host: tuple[_Graph, _Node] | None = None,
        path: tuple[str, ...] = (),
        ancestors: tuple[str, ...] = (),
    ) -> None:
        self._conversion = conversion
        self._host = host
        self._path = path
        self._ancestors = ancestors
        nodes = [node for r in _list(raw.get("nodes")) if (node := _Node.read(r))]
        conversion.node_count += len(nodes)
        if conversion.node_count > MAX_NODES:
            raise WorkflowError(f"The workflow has more than {MAX_NODES} nodes.")
        self.nodes = {node.id: node for node in nodes}
        conversion.nodes += [(self, node) for node in nodes]
        raw_links = raw.get("links")
        if isinstance(raw_links, dict):
            raw_links = list(raw_links.values())
        links = [link for r in _list(raw_links) if (link := _Link.read(r))]
        self.links = {link.id: link for link in links}
        self.inputs, self.outputs = _slots(raw.get("inputs")), _slots(raw.get("outputs"))
        self._children: dict[str, _Graph] = {}
        self._values: dict[str, dict[str, Any]] = {}

    # What is in it

    def child(self, node: _Node) -> _Graph | None:
        """The inside of a subgraph's node; None for any other node."""
        if node.id in self._children:
            return self._children[node.id]
        raw = self._conversion.subgraphs.get(node.type)
        if raw is None:
            return None
        if node.type in self._ancestors or len(self._ancestors) >= MAX_DEPTH:
            name = shown(raw.get("name", node.type))
            raise WorkflowError(f"The subgraph {name} contains itself, or lies too deep.")
        path, ancestors = (*self._path, node.id), (*self._ancestors, node.type)
        child = _Graph(self._conversion, raw, (self, node), path, ancestors)
        self._children[node.id] = child
        return child

    def execution_id(self, node: _Node) -> str:
        return ":".join((*self._path, node.id))

    def is_virtual(self, node: _Node) -> bool:
        """Whether the editor keeps the node to itself."""
        if node.type in NOTES or node.type in REROUTES or node.type in (PRIMITIVE, GET):
            return True
        return node.type in self._conversion.subgraphs

    def widgets_of(self, node: _Node) -> NodeWidgets | None:
        return None if self.is_virtual(node) else self._conversion.known(node.type)

    def why_unknown(self, node: _Node) -> str | None:
        """What to say of a node that cannot be converted; None where nothing is wrong with it."""
        if self.is_virtual(node) or self.widgets_of(node) or not node.is_linked:
            return None
        named = f", titled {quoted(node.title)}" if node.title and node.title != node.type else ""
        name = f"Node {shown(self.execution_id(node))} ({shown(node.type)}{named})"
        if node.type.startswith(("workflow>", "workflow/")):
            return f"{name} is a group node of an older editor; ungroup it there and save again."
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", node.type):
            return f"{name}: the file lacks this subgraph's inside; save it again in the editor."
        return (
            f"{name}: there is no such node here; run the workflow on a ComfyUI that has it, with "
            "--server, or mute the node in the editor where its result is not needed."
        )

    # Values

    def entry(self, node: _Node) -> dict[str, Any]:
        """The node as the prompt has it."""
        widgets = self.widgets_of(node)
        assert widgets is not None
        inputs = {name: _wrapped(value) for name, value in self.values(node).items()}
        for index, slot in enumerate(node.inputs):
            name, found = slot.get("name"), self.source(node, index)
            if isinstance(name, str) and found is not None:
                inputs[name] = (
                    [found.node, found.slot] if found.node is not None else _wrapped(found.value)
                )
        return {
            "class_type": node.type,
            "inputs": inputs,
            "_meta": {"title": node.title or widgets.title},
        }

    def values(self, node: _Node) -> dict[str, Any]:
        """The node's own widgets by name, defaults included."""
        if node.id not in self._values:
            widgets = self.widgets_of(node)
            values = _widget_values(widgets, node.values) if widgets else {}
            self._values[node.id] = values | self._proxied[0].get(node.id, {})
        return self._values[node.id]

    @cached_property
    def _proxied(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """What the subgraph's node sets inside: widgets by node and name, and inputs by name."""
        inside: dict[str, dict[str, Any]] = {}
        inputs: dict[str, Any] = {}
        if self._host is None:
            return inside, inputs
        parent, host = self._host
        if isinstance(host.values, dict):
            return inside, {**host.values}
        values = host.values or []
        promoted = [slot.get("name") for k, slot in enumerate(self.inputs) if self._is_promoted(k)]
        inputs.update(zip(promoted, values, strict=False))
        # How promoted widgets were listed before they were inputs, in the order of the values.
        proxies = [
            (str(proxy[0]), str(proxy[1]))
            for proxy in _list(host.properties.get("proxyWidgets"))
            if isinstance(proxy, list) and len(proxy) >= 2
        ]
        given = list(zip(proxies, values, strict=False))
        # The subgraph around this one may have promoted them once more.
        for name, value in parent._proxied[0].get(host.id, {}).items():
            named = [proxy for proxy in proxies if proxy[1] == name]
            given.append((named[0] if named else ("-1", name), value))
        for (node_id, name), value in given:
            linked = name if node_id == "-1" else self._input_of(node_id, name)
            if value is None:
                continue
            if linked is not None:
                inputs[linked] = value
            else:
                inside.setdefault(node_id, {})[name] = value
        return inside, inputs

    def _input_of(self, node_id: str, widget: str) -> str | None:
        """The subgraph's input that a widget of a node inside is linked to."""
        for k, slot in enumerate(self.inputs):
            for target, input_ in self._targets(k):
                if target.id == node_id and _widget_name(input_) == widget:
                    return slot.get("name")
        return None

    def _targets(self, k: int) -> Iterator[tuple[_Node, dict]]:
        """The nodes inside, each with its input, that the subgraph's ``k``-th input goes to."""
        for link in self.links.values():
            if link.origin == INPUT and link.origin_slot == k and link.target in self.nodes:
                target = self.nodes[link.target]
                for slot in target.inputs:
                    if str(slot.get("link")) == link.id:
                        yield target, slot

    def _is_promoted(self, k: int) -> bool:
        """Whether the subgraph's ``k``-th input is a widget inside."""
        return self._widget_inside(k) is not None

    def _widget_inside(self, k: int) -> tuple[_Graph, _Node, str] | None:
        """The first widget inside that the ``k``-th input stands for."""
        for target, slot in self._targets(k):
            child = self.child(target)
            if child is not None:
                inner = [i for i, s in enumerate(child.inputs) if s.get("name") == slot.get("name")]
                found = child._widget_inside(inner[0]) if inner else None
                if found:
                    return found
            else:
                name = _widget_name(slot)
                widgets = self.widgets_of(target)
                if widgets and name in _widget_values(widgets, target.values):
                    return self, target, name
        return None

    def _promoted_value(self, k: int) -> _Source | None:
        """The value that the subgraph's node has for its ``k``-th input, if that is a widget."""
        inside = self._widget_inside(k)
        if inside is None:
            return None
        name = self.inputs[k].get("name")
        given = self._proxied[1]
        if name in given and given[name] is not None:
            return _Source(value=given[name])
        for target, slot in self._targets(k):
            child = self.child(target)
            if child is not None:  # promoted twice: the inner subgraph's node has the value
                inner = [i for i, s in enumerate(child.inputs) if s.get("name") == slot.get("name")]
                found = child._promoted_value(inner[0]) if inner else None
                if found:
                    return found
        graph, node, widget = inside
        return _Source(value=graph.values(node)[widget])

    # Links

    def source(self, node: _Node, index: int) -> _Source | None:
        """What fills an input: an output of a node that runs, a value, or nothing."""
        graph: _Graph = self
        kind: str | None = None
        seen: set[tuple[tuple[str, ...], str, str, int]] = set()
        while True:
            step = (graph._path, node.id, "input", index)
            if step in seen:
                raise WorkflowError(
                    f"The workflow runs in a circle through node {shown(graph.execution_id(node))} "
                    f"({shown(node.type)})."
                )
            seen.add(step)
            if not 0 <= index < len(node.inputs):
                return None
            slot = node.inputs[index]
            link = graph.links.get(str(slot.get("link")))
            if link is None:
                return None
            kind = kind or _type(slot)
            found = graph._origin(link, kind)
            if isinstance(found, _Source) or found is None:
                return found
            graph, node, index, kind = found

    def _origin(self, link: _Link, kind: str) -> _Source | _Step | None:
        """Where a link comes from, or the input where the search goes on."""
        graph = self
        while True:
            if link.origin == INPUT:
                return graph._outside(link.origin_slot)
            node = graph.nodes.get(link.origin)
            if node is None:
                return None
            slot = link.origin_slot
            if node.type == PRIMITIVE:  # whatever its mode, as it writes into the widget itself
                first = node.values[0] if isinstance(node.values, list) and node.values else None
                return None if first is None else _Source(value=first)
            if node.mode == NEVER:
                return None
            if node.mode == BYPASS:
                index = _bypass(node, slot, kind)
                return None if index is None else _Step(graph, node, index, "")
            child = graph.child(node)
            if child is not None:
                inner = child._output_link(slot)
                if inner is None:
                    return None
                graph, link = child, inner
                continue
            if node.type in REROUTES:
                return _Step(graph, node, 0, kind)
            if node.type == GET:
                name = _first(node)
                setters = [n for n in graph.nodes.values() if n.type == "SetNode"]
                setter = next((n for n in setters if _first(n) == name), None)
                return _Step(graph, setter, 0, kind) if setter else None
            if graph.is_virtual(node):
                return None
            return _Source(graph.execution_id(node), slot)

    def _outside(self, k: int) -> _Source | _Step | None:
        """What the subgraph's ``k``-th input gets from outside."""
        if self._host is None or not 0 <= k < len(self.inputs):
            return None
        parent, host = self._host
        name = self.inputs[k].get("name")
        for index, slot in enumerate(host.inputs):
            if slot.get("name") == name:
                if slot.get("link") is not None:
                    return _Step(parent, host, index, "")
                break
        return self._promoted_value(k)

    def _output_link(self, k: int) -> _Link | None:
        if 0 <= k < len(self.outputs):
            for number in _list(self.outputs[k].get("linkIds")):
                if str(number) in self.links:
                    return self.links[str(number)]
        ends = (link for link in self.links.values() if link.target == OUTPUT)
        return next((link for link in ends if link.target_slot == k), None)


@dataclass(frozen=True)
class _Source:
    """An output of a node by its id in the prompt, or else a value."""

    node: str | None = None
    slot: int = -1
    value: Any = None


class _Step(NamedTuple):
    """The input where the search for a source goes on, and the type that is searched for."""

    graph: _Graph
    node: _Node
    index: int
    kind: str


def _active(graph: _Graph) -> Iterator[tuple[_Graph, _Node]]:
    """Every node that may run, those inside of subgraphs in place of the subgraph's node."""
    for node in graph.nodes.values():
        if not node.runs:
            continue
        child = graph.child(node)
        if child is None:
            yield graph, node
        else:
            yield from _active(child)


def _widget_values(widgets: NodeWidgets, stored: list | dict | None) -> dict[str, Any]:
    """The value of each widget by its input's name, from what a node has stored."""
    if isinstance(stored, dict):
        return {name: stored.get(name, default) for name, default in _defaults(widgets, stored)}
    values = list(stored or [])
    slots = sum(1 + widget.extra_values for widget in widgets.widgets if widget.stored)
    if widgets.has_upload and len(values) <= slots and values[-1:] == [UPLOAD_VALUE]:
        values.pop()  # stored when the node had fewer inputs, so the button is not a widget's value
    found: dict[str, Any] = {}
    rest = list(reversed(widgets.widgets))
    position = 0
    while rest:
        widget = rest.pop()
        value = widget.default
        if widget.stored and position < len(values):
            value = values[position]
            position += 1
            extra = values[position : position + widget.extra_values]
            # A seed that was stored before it had a control has none.
            if widget.extra_values != 1 or (extra and _is_control(extra[0])):
                position += len(extra)
        found[widget.name] = value
        rest += reversed(_brought(widget, value))
    return found


def _defaults(widgets: NodeWidgets, stored: dict) -> Iterator[tuple[str, Any]]:
    rest = list(widgets.widgets)
    for widget in rest:
        yield widget.name, widget.default
        rest += _brought(widget, stored.get(widget.name, widget.default))


def _brought(widget: Widget, value: Any) -> list[Widget]:
    """The widgets that the chosen option of a dynamic combo brings with it."""
    return widget.options.get(value, []) if isinstance(value, str) else []


def _is_control(value: Any) -> bool:
    return isinstance(value, (str, bool)) and value in CONTROLS


def _bypass(node: _Node, slot: int, kind: str) -> int | None:
    """The input that a bypassed node hands on as its output ``slot``, for an input of ``kind``."""
    inputs = [_type(entry) for entry in node.inputs]
    if not inputs:
        return None
    if kind in ("*", ""):
        return slot if slot < len(inputs) else 0
    offered = _type(node.outputs[slot]) if slot < len(node.outputs) else "*"
    fits = [_connects(entry, offered) and _connects(entry, kind) for entry in inputs]
    if slot < len(inputs) and fits[slot]:
        return slot
    if kind in inputs:
        return inputs.index(kind)
    return fits.index(True) if True in fits else None


def _connects(one: str, other: str) -> bool:
    """Whether the editor would link two types; each may be a list of types, or anything."""
    if {one, other} & {"*", ""} or one == other:
        return True
    return bool({*one.lower().split(",")} & {*other.lower().split(",")})


def _type(slot: dict) -> str:
    kind = slot.get("type")
    return kind if isinstance(kind, str) else "*"


def _widget_name(slot: dict) -> str:
    widget = slot.get("widget")
    name = widget.get("name") if isinstance(widget, dict) else None
    return str(name if name is not None else slot.get("name"))


def _wrapped(value: Any) -> Any:
    """A list would be read as a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _first(node: _Node) -> str:
    values = node.values
    return json.dumps(values[0]) if isinstance(values, list) and values else ""


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _slots(value: Any) -> list[dict]:
    return [slot if isinstance(slot, dict) else {} for slot in _list(value)]
