"""A workflow in ComfyUI's API format, and what can be wrong with it. No torch is imported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from ..text import harmless

Prompt = dict[str, dict[str, Any]]

MAX_LINES = 20  # of what is wrong with a workflow; a broken one has hundreds


class WorkflowError(ValueError):
    """The workflow cannot run as it is; one line for each thing that is wrong with it."""


class NodeError(RuntimeError):
    """A node failed while it ran; the message names the node."""


def checked_prompt(prompt: Any, where: str) -> Prompt:
    """The nodes of a workflow in API format: `class_type`, `inputs` and `_meta` of each.

    Raises WorkflowError, which begins with ``where``, for what is no such workflow and for numbers
    that are none (NaN, infinity).
    """
    if not isinstance(prompt, dict) or not prompt:
        raise WorkflowError(f"{where} is not an API-format workflow; export one with Export (API).")
    checked: Prompt = {}
    problems = []
    for node_id, node in prompt.items():
        name = shown(node_id)
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise WorkflowError(f"{where} is not an API-format workflow: node {name} is no node.")
        inputs = node.get("inputs", {})
        if not isinstance(inputs, dict):
            raise WorkflowError(f"{where}: the inputs of node {name} are not a JSON object.")
        problems += [
            f"{label(node_id, node['class_type'])}: the input {shown(key)} is no number that can "
            "be used (NaN or infinity); give it one."
            for key, value in inputs.items()
            if not is_finite(value)
        ]
        checked[node_id] = {"class_type": node["class_type"], "inputs": dict(inputs)}
        meta = node.get("_meta")
        if isinstance(meta, dict) and isinstance(meta.get("title"), str):
            checked[node_id]["_meta"] = {"title": meta["title"]}
    if problems:
        raise WorkflowError(bounded(problems))
    return checked


def is_finite(value: Any) -> bool:
    """Whether no number in a JSON value is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    return not isinstance(value, list) or all(map(is_finite, value))


def label(node_id: str, class_type: str) -> str:
    """How messages name a node."""
    return f"Node {shown(node_id)} ({shown(class_type)})"


def shown(value: Any, longest: int = 80) -> str:
    """A foreign value in a line of a message: text as it is, others as Python writes them.

    Long ones are cut, and what a terminal would obey is escaped.
    """
    if isinstance(value, int) and abs(value) >= 10**longest:
        return f"a number of more than {longest} digits"
    text = value if isinstance(value, str) else repr(value)
    return harmless(text, longest).replace("\n", "\\n")


def quoted(value: Any) -> str:
    """`shown`, with quotes around text."""
    return f"'{shown(value)}'" if isinstance(value, str) else shown(value)


def bounded(problems: Iterable[str]) -> str:
    """The lines of a WorkflowError: the first ones, and how many more there are."""
    lines = list(problems)
    more = len(lines) - MAX_LINES
    return "\n".join(lines[:MAX_LINES] + ([f"There are {more} more."] if more > 0 else []))


def saved_files(shown: dict[str, dict]) -> Iterator[dict[str, str]]:
    """The files in the output folder among what nodes show: filename, subfolder and type."""
    for ui in shown.values():
        for values in ui.values():
            for value in values:
                if isinstance(value, dict) and value.get("type") == "output":
                    yield value


def is_link(value: Any) -> bool:
    """Whether an input's value is `[node id, output index]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )
