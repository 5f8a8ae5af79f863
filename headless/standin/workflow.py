"""A workflow file in ComfyUI's API format, and what can be wrong with it. No torch is imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Prompt = dict[str, dict[str, Any]]


class WorkflowError(ValueError):
    """The workflow cannot run as it is; one line for each thing that is wrong with it."""


class NodeError(RuntimeError):
    """A node failed while it ran; the message names the node."""


def read_workflow(path: str | Path) -> Prompt:
    """The nodes of an API-format workflow file.

    Raises WorkflowError when the file is something else, also when it is in the format of
    ComfyUI's editor.
    """
    if not Path(path).is_file():
        raise WorkflowError(f"There is no workflow file {path}.")
    try:
        prompt = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WorkflowError(f"{path} is not a JSON file: {error}.") from error
    if isinstance(prompt, dict) and isinstance(prompt.get("nodes"), list):
        raise WorkflowError(
            f"{path} is a workflow of ComfyUI's editor; open it there and save it with "
            "File > Export (API), then run that file."
        )
    if not isinstance(prompt, dict) or not prompt:
        raise WorkflowError(f"{path} is not an API-format workflow; export one with Export (API).")
    for node_id, node in prompt.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise WorkflowError(f"{path} is not an API-format workflow: node {node_id} is no node.")
        if not isinstance(node.setdefault("inputs", {}), dict):
            raise WorkflowError(f"{path}: the inputs of node {node_id} are not a JSON object.")
    return prompt


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
