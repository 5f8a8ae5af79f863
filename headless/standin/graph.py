"""Run a workflow in ComfyUI's API format in this process, as ComfyUI would."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...host import use
from . import schema as io
from .host import StandInHost
from .schema import DynamicCombo, with_nested
from .workflow import (
    NodeError,
    Prompt,
    WorkflowError,
    bounded,
    is_finite,
    is_link,
    label,
    quoted,
    shown,
)


@dataclass(frozen=True)
class Step:
    """One node of a workflow that is known to be sound."""

    node_id: str
    title: str
    node: type[io.ComfyNode]
    schema: io.Schema
    inputs: dict[str, Any]  # links as [node id, output index]

    @property
    def name(self) -> str:
        return f"Node {self.node_id} ({self.title})"

    def links(self) -> Iterator[tuple[str, int]]:
        return (tuple(value) for value in self.inputs.values() if is_link(value))


class Graph:
    """A validated workflow, ready to run.

    `nodes` are the node classes that it may use, and `host` is in charge of them. Graphs, each with
    its own host, may run at the same time in threads. `workflow` is the editor's form of the graph,
    which outputs carry beside the prompt. Raises WorkflowError, before anything runs, with one line
    for every unknown node, missing input, bad value, wrong link and cycle.
    """

    def __init__(
        self,
        prompt: Prompt,
        nodes: list[type[io.ComfyNode]],
        host: StandInHost,
        workflow: dict | None = None,
    ):
        self._prompt = prompt
        self._workflow = workflow
        self._host = host
        with use(host):
            schemas = [(node, node.GET_SCHEMA()) for node in nodes]
            self._schemas = {schema.node_id: (node, schema) for node, schema in schemas}
            self.steps = self._check()

    def _check(self) -> list[Step]:
        """The nodes that outputs need, in an order in which they can run."""
        prompt = self._prompt
        unknown = [
            f"{self._label(node_id)}: there is no such node here; run the workflow on a ComfyUI "
            "that has it, with --server."
            for node_id, node in prompt.items()
            if node["class_type"] not in self._schemas
        ]
        if unknown:
            raise WorkflowError(bounded(unknown))
        outputs = [key for key in prompt if self._schema(key).is_output_node]
        if not outputs:
            raise WorkflowError("The workflow has no output node, so there is nothing to run.")
        order = self._order(outputs)
        problems: list[str] = []
        steps = [self._step(node_id, problems) for node_id in order]
        if problems:
            raise WorkflowError(bounded(problems))
        return steps

    def run(self) -> dict[str, dict]:
        """Run every output node and all that it needs, each node once.

        Returns what the nodes show, by node id, as ComfyUI's history does. Raises NodeError when a
        node fails.
        """
        results: dict[str, list[list]] = {}
        readers = Counter(source for step in self.steps for source, _ in step.links())
        shown = {}
        for number, step in enumerate(self.steps, 1):
            with use(self._host.titled(f"[{number}/{len(self.steps)}] {step.title}")):
                results[step.node_id], shown[step.node_id] = self._execute(step, results)
            sources = [source for source, _ in step.links()]
            readers.subtract(sources)
            for done in {step.node_id, *sources}:
                if not readers[done]:
                    del results[done]
        return {node_id: ui for node_id, ui in shown.items() if ui}

    def _execute(self, step: Step, results: dict[str, list[list]]) -> tuple[list[list], dict]:
        inputs = {
            key: results[value[0]][value[1]] if is_link(value) else [value]
            for key, value in step.inputs.items()
        }
        wanted = step.schema.hidden
        hidden = io.HiddenHolder(
            unique_id=step.node_id if io.Hidden.unique_id in wanted else None,
            prompt=self._prompt if io.Hidden.prompt in wanted else None,
            extra_pnginfo=None if self._workflow is None else {"workflow": self._workflow},
        )
        node: Any = type(step.node.__name__, (step.node,), {"hidden": hidden})
        calls = [inputs] if step.schema.is_input_list else list(_slices(inputs, step))
        try:
            with torch.inference_mode():
                returned = [node.execute(**_arguments(step.schema.inputs, c)) for c in calls]
        except Exception as error:
            raise NodeError(f"{step.name} failed: {_one_line(error)}") from error
        return _merge(returned, step.schema), _merge_ui(returned)

    def _schema(self, node_id: str) -> io.Schema:
        return self._schemas[self._prompt[node_id]["class_type"]][1]

    def _order(self, outputs: list[str]) -> list[str]:
        """Depth first, so that a branch is done, and freed, before the next one starts."""
        order: dict[str, None] = {}
        path: dict[str, None] = {}
        visits = [(node_id, False) for node_id in reversed(outputs)]
        while visits:
            node_id, is_done = visits.pop()
            if is_done:
                del path[node_id]
                order[node_id] = None
            elif node_id in path:
                circle = [*path]
                names = [self._label(key) for key in circle[circle.index(node_id) :]]
                way = shown(" -> ".join([*names, names[0]]), 2000)
                raise WorkflowError(f"The workflow runs in a circle: {way}.")
            elif node_id not in order:
                path[node_id] = None
                visits.append((node_id, True))
                links = [v[0] for v in self._prompt[node_id]["inputs"].values() if is_link(v)]
                visits += [(source, False) for source in reversed(links) if source in self._prompt]
        return list(order)

    def _label(self, node_id: str) -> str:
        return label(node_id, self._prompt[node_id]["class_type"])

    def _step(self, node_id: str, all_problems: list[str]) -> Step:
        given = self._prompt[node_id]["inputs"]
        node, schema = self._schemas[self._prompt[node_id]["class_type"]]
        checked = _custom_inputs(node)
        problems, inputs = [], {}
        for name, socket in with_nested(schema.inputs, given):
            if name not in given:
                if not socket.optional:
                    problems.append(f"the input {name} is missing")
                continue
            value = given[name]
            try:
                if is_link(value):
                    self._check_link(name, value, socket)
                else:
                    by_node = checked is None or name in checked
                    value = _convert(name, value, socket, check=not by_node)
            except ValueError as error:
                problems.append(str(error))
            inputs[name] = value
        step = Step(node_id, self._title(node_id, schema), node, schema, inputs)
        if not problems:
            problems = _custom_problems(node, inputs, checked)
        name = self._label(node_id)
        all_problems += [f"{name}: {problem.rstrip('.')}." for problem in problems]
        return step

    def _title(self, node_id: str, schema: io.Schema) -> str:
        meta = self._prompt[node_id].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return shown(title if isinstance(title, str) and title else _name(schema))

    def _check_link(self, name: str, link: list, socket: io.Input) -> None:
        source, index = link
        if source not in self._prompt:
            raise ValueError(
                f"the input {name} is linked to node {shown(source)}, which is missing"
            )
        outputs = self._schema(source).outputs
        if not 0 <= index < len(outputs):
            raise ValueError(
                f"the input {name} is linked to output {index} of "
                f"{self._label(source)}, which has {len(outputs)}"
            )
        offered, wanted = outputs[index].io_type, socket.io_type
        if "*" not in (offered, wanted) and not {*offered.split(",")} & {*wanted.split(",")}:
            raise ValueError(
                f"the input {name} takes {wanted}, but is linked to {offered} of "
                f"{self._label(source)}"
            )


def _name(schema: io.Schema) -> str:
    return schema.display_name or schema.node_id


def _one_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or 'the system'}: {error.strerror}."
    return shown(" ".join(text.split()), 2000) or type(error).__name__


def _convert(name: str, value: Any, socket: io.Input, check: bool) -> Any:
    """`value` as the input's type; ValueError when it is none, or out of range if `check`."""
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    if not isinstance(socket, (io.WidgetInput, DynamicCombo.Input)):
        raise ValueError(f"the input {name} needs a link that gives {socket.io_type}")
    kinds = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
    if socket.io_type in kinds:
        given = value
        try:
            value = kinds[socket.io_type](given)
            is_odd = not is_finite(value)
        except (TypeError, ValueError, OverflowError):
            is_odd = True
        if is_odd:
            raise ValueError(f"the input {name} is {quoted(given)}, which is no {socket.io_type}")
    options = _options(socket)
    if options is not None and not isinstance(value, str):
        raise ValueError(f"the input {name} is {quoted(value)}, which is no text to choose by")
    if not check:
        return value
    low, high = getattr(socket, "min", None), getattr(socket, "max", None)
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"the input {name} is {shown(value)}; choose {_range(low, high)}")
    if options is not None and value not in options:
        few = ", ".join(shown(option) for option in options[:20]) or "nothing here"
        raise ValueError(f"the input {name} is {quoted(value)}; choose one of: {few}")
    return value


def _options(socket: io.Input) -> list[str] | None:
    """What a choice offers; None for an input that is no choice."""
    if isinstance(socket, io.Combo.Input):
        return socket.options or []
    if isinstance(socket, DynamicCombo.Input):
        return [option.key for option in socket.options]
    return None


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return f"a value from {low} to {high}"


def _custom_inputs(node: type[io.ComfyNode]) -> set[str] | None:
    """Inputs that the node checks itself; None if it checks all of them."""
    check = inspect.getattr_static(node, "validate_inputs")
    if check is inspect.getattr_static(io.ComfyNode, "validate_inputs"):
        return set()
    spec = inspect.getfullargspec(node.validate_inputs)
    return None if spec.varkw else set(spec.args[1:])


def _custom_problems(
    node: type[io.ComfyNode], inputs: dict[str, Any], checked: set[str] | None
) -> list[str]:
    """What the node's own check says; it sees None for an input that a link gives."""
    if checked == set():
        return []
    values = {
        key: None if is_link(value) else value
        for key, value in inputs.items()
        if checked is None or key in checked
    }
    verdict = node.validate_inputs(**values)
    if verdict is True:
        return []
    return [shown(verdict, 1000) if isinstance(verdict, str) else "its inputs are not valid"]


def _slices(inputs: dict[str, list], step: Step) -> Iterator[dict[str, Any]]:
    """One set of inputs for every element of the longest list; shorter ones repeat their last."""
    empty = [key for key, values in inputs.items() if not values]
    if empty:
        raise NodeError(f"{step.name} got an empty list on its input {empty[0]}.")
    for index in range(max(map(len, inputs.values()), default=1)):
        yield {key: values[min(index, len(values) - 1)] for key, values in inputs.items()}


def _arguments(inputs: list[io.Input], values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`values`, by their names in a workflow, as the node takes them."""
    arguments = {}
    for socket in inputs:
        name = prefix + socket.id
        if name not in values:
            continue
        if isinstance(socket, DynamicCombo.Input):
            (chosen,) = (option for option in socket.options if option.key == values[name])
            nested = _arguments(chosen.inputs, values, f"{name}.")
            arguments[socket.id] = {socket.id: chosen.key} | nested
        else:
            arguments[socket.id] = values[name]
    return arguments


def _merge(returned: list[io.NodeOutput], schema: io.Schema) -> list[list]:
    """For each output a list with the values of all calls."""
    merged = []
    for index, socket in enumerate(schema.outputs):
        values = [output[index] for output in returned if output.result is not None]
        merged.append(
            [item for value in values for item in value] if socket.is_output_list else values
        )
    return merged


def _merge_ui(returned: list[io.NodeOutput]) -> dict[str, list]:
    merged: dict[str, list] = {}
    for output in returned:
        if output.ui is not None:
            shown = output.ui if isinstance(output.ui, dict) else output.ui.as_dict()
            for key, values in shown.items():
                merged.setdefault(key, []).extend(values)
    return merged
