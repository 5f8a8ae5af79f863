"""What made a file, beside the workflow: the pack's version and the weights, for its metadata."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..files import sha256_of
from ..version import pack_version

PROMPT, WORKFLOW = "prompt", "workflow"  # as ComfyUI calls them
KEY = "colorizationnet"  # beside them
LOADER = "ColorizationNetLoadModel"


def made_by(prompt: Mapping[str, Any], model_path: Callable[[str], Path]) -> dict[str, str]:
    """The entry for a file that ``prompt`` makes; nothing where it loads none of our weights.

    ``model_path`` is the host's; weights that it does not find are left out.
    """
    nodes = [node for node in prompt.values() if node.get("class_type") == LOADER]
    if not nodes:
        return {}
    weights = {}
    for name in (node.get("inputs", {}).get("model_name") for node in nodes):
        if isinstance(name, str):
            with suppress(OSError, ValueError):
                weights[name] = _digest(model_path(name))
    return {KEY: record(weights)}


def record(weights: Mapping[str, str], **more: Any) -> str:
    """The pack's own entry in a file's metadata: JSON of its version, ``weights`` by their name
    with their SHA-256, and ``more``."""
    return json.dumps({"version": pack_version(), "weights": weights, **more})


def for_clip(texts: Mapping[str, str], of_source: Mapping[str, str]) -> dict[str, str]:
    """``texts`` for a clip whose source has the tags ``of_source``.

    What made the source is replaced if this pack did; another program's workflow is kept under
    `source_prompt` and `source_workflow`. An empty value removes a tag of the source.
    """
    if KEY in of_source:
        return {key: "" for key in (PROMPT, WORKFLOW, KEY)} | dict(texts)
    kept = {
        f"source_{key}": of_source[key]
        for key in (PROMPT, WORKFLOW)
        if texts and key in of_source and f"source_{key}" not in of_source
    }
    return kept | dict(texts)


def _digest(path: Path) -> str:
    found = path.stat()
    return _digest_of(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(32)
def _digest_of(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_of(path)
