"""`colorizationnet run`: a workflow JSON, here or on a ComfyUI server."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .standin.schema import with_nested
from .standin.workflow import WorkflowError, read_workflow, saved_files

API_KEY = "COLORIZATIONNET_API_KEY"  # in the environment


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run",
        help="run an API-format workflow here, or on a ComfyUI server",
        description="Run an API-format workflow (File > Export (API) in ComfyUI) in this process, "
        "or on a ComfyUI server, and print the files that it saved.",
    )
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW.json")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="change an input; NODE is a node's number, or its class when there is only one",
    )
    parser.add_argument(
        "--input-dir", type=Path, default=Path(), help="where the inputs are (default: here)"
    )
    parser.add_argument(
        "--output-dir", type=Path, default=Path("output"), help="where results go (default: output)"
    )
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=Path("models", "colorization"),
        help="where weights are, and taught ones go (default: models/colorization)",
    )
    parser.add_argument(
        "--server", metavar="URL", help="run on this ComfyUI server, with the models that it has"
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"what a proxy in front of the server asks for (default: {API_KEY}, which other users "
        "of this machine do not see)",
    )
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> list[Path]:
    """Run the workflow and return the files that it saved."""
    if not args.input_dir.is_dir():
        raise NotADirectoryError(f"There is no input folder {args.input_dir}.")
    prompt = read_workflow(args.workflow)
    if args.server:
        try:
            from .server import Server
        except ModuleNotFoundError as error:
            raise WorkflowError(
                f"--server needs the package {error.name}: pip install requests."
            ) from error

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns at every new attempt
        server = Server(args.server, args.api_key or os.environ.get(API_KEY))
        for setting in args.set:
            _apply(setting, prompt, server.inputs)
        return server.run(prompt, args.input_dir, args.output_dir)

    # Not at the top: torch takes seconds to import, and neither --help nor --server needs it.
    from .. import nodes
    from ..host import use
    from .standin.core_nodes import CORE_NODES
    from .standin.graph import Graph
    from .standin.host import StandInHost

    host = StandInHost(args.input_dir, args.output_dir, args.models_dir)
    registry = [*nodes.NODES, *CORE_NODES]
    with use(host):
        schemas = {schema.node_id: schema for schema in (node.GET_SCHEMA() for node in registry)}

    def inputs_of(kind: str) -> set[str]:
        return {name for name, _ in with_nested(schemas[kind].inputs)} if kind in schemas else set()

    for setting in args.set:
        _apply(setting, prompt, inputs_of)
    shown = Graph(prompt, registry, host).run()
    return [args.output_dir / file["subfolder"] / file["filename"] for file in saved_files(shown)]


def _apply(setting: str, prompt: dict, inputs_of: Callable[[str], Iterable[str]]) -> None:
    """Put one NODE.INPUT=VALUE into the workflow; `inputs_of` names the inputs of a node class."""
    where, equals, text = setting.partition("=")
    name, dot, key = where.partition(".")
    if not (equals and dot):
        raise WorkflowError(f"--set {setting}: write NODE.INPUT=VALUE, such as 3.strength=0.5.")
    of_class = [node for node in prompt.values() if node["class_type"] == name]
    node = prompt.get(name) or (of_class[0] if len(of_class) == 1 else None)
    if node is None:
        found = f"{len(of_class)} nodes" if of_class else "no node"
        raise WorkflowError(f"--set {setting}: the workflow has {found} {name}; use its number.")
    inputs = {*inputs_of(node["class_type"]), *node["inputs"]}
    if key not in inputs:
        raise WorkflowError(
            f"--set {setting}: node {name} has no input {key}; it has {', '.join(sorted(inputs))}."
        )
    node["inputs"][key] = _scalar(text)


def _scalar(text: str) -> str | int | float | bool | None:
    """A JSON scalar, or else the text as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, (list, dict)) else value
