"""`colorizationnet run`: a workflow, here or on a ComfyUI server."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import AtomicOutput
from .importing import import_torch
from .outcomes import results_of
from .standin import widgets
from .standin.schema import with_nested
from .standin.workflow import NodeError, Prompt, WorkflowError, is_finite, saved_files, shown

if TYPE_CHECKING:
    from .standin.workflow_files import WorkflowFile

API_KEY = "COLORIZATIONNET_API_KEY"  # in the environment


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run",
        help="run a workflow here, or on a ComfyUI server",
        description="Run a workflow in this process, or on a ComfyUI server, and print the files "
        "that it saved. It may be JSON as ComfyUI's editor saves it or exports it for the API, or "
        "a picture or a clip that ComfyUI or colorize saved with its workflow in it.",
    )
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW")
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
        "--each",
        metavar="NODE.INPUT=PATTERN",
        help="run it once for each file in the input folder that fits, in quotes: "
        '"LoadImage.image=scans/*.png", to the end where one fails; on servers results get the '
        "file's name in front",
    )
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help="run on this ComfyUI server, with the models that it has; of several (give it again) "
        "each is given one file of --each at a time, and what one leaves goes to another",
    )
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write the API form into FILE and run nothing"
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"what a proxy in front of the server asks for (default: {API_KEY}, which other users "
        "of this machine do not see)",
    )
    parser.add_argument(
        "--no-metadata",
        action="store_true",
        help="leave out of the results what made them (a server decides that for itself)",
    )
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> Iterator[Path]:
    """Run the workflow, or export it, and yield the files that were written."""
    if not args.export and not args.input_dir.is_dir():
        raise NotADirectoryError(f"There is no input folder {args.input_dir}.")
    # Not at the top: --help needs neither Pillow nor ffmpeg.
    from .standin.workflow_files import read_workflow

    file = read_workflow(args.workflow)
    yield from (_on_servers if args.server else _here)(args, file)


def _on_servers(args: argparse.Namespace, file: WorkflowFile) -> Iterator[Path]:
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        raise WorkflowError(
            f"--server needs the package {error.name}: pip install requests."
        ) from error

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns at every new attempt
    is_one = len(args.server) == 1 and not args.each
    key = args.api_key or os.environ.get(API_KEY)
    servers = [Server(url, key, bars=is_one) for url in dict.fromkeys(args.server)]
    server = next((server for server in servers[:-1] if server.is_there()), servers[-1])
    prompt = file.to_prompt(lambda kind: widgets.of_object_info(server.object_info(kind)))
    for setting in args.set:
        _apply(setting, prompt, server.inputs)
    if args.export:
        yield _export(prompt, args.export)
    elif is_one:
        yield from server.run(prompt, args.input_dir, args.output_dir, file.editor)
    else:
        from . import signals
        from .fleet import Fleet, orders_of

        each = _each(args.each, prompt, args.input_dir, server.inputs)
        folders = args.input_dir, args.output_dir
        fleet = Fleet(servers, *folders, file.editor, signals.check)
        with closing(fleet.run(orders_of(each))) as results:
            yield from results


def _here(args: argparse.Namespace, file: WorkflowFile) -> Iterator[Path]:
    # Not at the top: torch takes a second to import, and neither --help nor --server needs it.
    import_torch()
    from .. import nodes
    from ..host import use
    from .standin.core_nodes import CORE_NODES
    from .standin.graph import Graph
    from .standin.host import StandInHost

    host = StandInHost(
        args.input_dir, args.output_dir, args.models_dir, metadata=not args.no_metadata
    )
    registry = [*nodes.NODES, *CORE_NODES]
    with use(host):
        schemas = {schema.node_id: schema for schema in (node.GET_SCHEMA() for node in registry)}

    def inputs_of(kind: str) -> set[str]:
        return {name for name, _ in with_nested(schemas[kind].inputs)} if kind in schemas else set()

    prompt = file.to_prompt(
        lambda kind: widgets.of_schema(schemas[kind]) if kind in schemas else None
    )
    for setting in args.set:
        _apply(setting, prompt, inputs_of)
    if args.export:
        yield _export(prompt, args.export)
        return

    def run(one: Prompt) -> list[Path]:
        shown = Graph(one, registry, host, file.editor).run()
        return [args.output_dir / x["subfolder"] / x["filename"] for x in saved_files(shown)]

    each = _each(args.each, prompt, args.input_dir, inputs_of)
    yield from results_of(_outcomes(each, run), len(each))


def _outcomes(
    each: list[tuple[str, Prompt]], run: Callable[[Prompt], list[Path]]
) -> Iterator[tuple[str, list[Path], Exception | None]]:
    from .batch import ENDS_ALL

    said = ""
    for name, one in each:
        try:
            yield name, run(one), None
        except (NodeError, WorkflowError) as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in ENDS_ALL:
                raise
            if isinstance(error, WorkflowError) and str(error) == said:
                raise  # for this is no matter of the file
            said = str(error)
            yield name, [], error


def _export(prompt: Prompt, path: Path) -> Path:
    with AtomicOutput(path) as part:
        part.write_text(json.dumps(prompt, indent=2) + "\n", encoding="utf-8")
    return path


def _each(
    setting: str | None,
    prompt: Prompt,
    folder: Path,
    inputs_of: Callable[[str], Iterable[str]],
) -> list[tuple[str, Prompt]]:
    """The workflow once for each file of --each, with the file's name; or once as it is."""
    if setting is None:
        return [("", prompt)]
    node, key, pattern = _input_of(f"--each {shown(setting)}", setting, prompt, inputs_of)
    try:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
    except (NotImplementedError, ValueError, IndexError):
        found = []
    names = [path.relative_to(folder).as_posix() for path in found if path.name[0] != "."]
    if not names:
        raise WorkflowError(
            f"--each {shown(setting)}: no file of the input folder {folder} fits; write "
            'NODE.INPUT=PATTERN in quotes, such as "LoadImage.image=scans/*.png".'
        )
    one = prompt[node]
    return [
        (name, {**prompt, node: {**one, "inputs": {**one["inputs"], key: name}}}) for name in names
    ]


def _apply(setting: str, prompt: dict, inputs_of: Callable[[str], Iterable[str]]) -> None:
    """Put one NODE.INPUT=VALUE into the workflow; `inputs_of` names the inputs of a node class."""
    node, key, text = _input_of(f"--set {shown(setting)}", setting, prompt, inputs_of)
    value = _scalar(text)
    if not is_finite(value):
        raise WorkflowError(f"--set {shown(setting)}: {shown(text)} is no number that can be used.")
    prompt[node]["inputs"][key] = value


def _input_of(
    option: str, setting: str, prompt: dict, inputs_of: Callable[[str], Iterable[str]]
) -> tuple[str, str, str]:
    """The number of the node, its input and the text that NODE.INPUT=TEXT means."""
    where, equals, text = setting.partition("=")
    name, dot, key = where.partition(".")
    if not (equals and dot):
        raise WorkflowError(f"{option}: write NODE.INPUT=VALUE, such as 3.strength=0.5.")
    of_class = [number for number in prompt if prompt[number]["class_type"] == name]
    number = name if name in prompt else of_class[0] if len(of_class) == 1 else None
    if number is None:
        found = f"{len(of_class)} nodes" if of_class else "no node"
        raise WorkflowError(f"{option}: the workflow has {found} {shown(name)}; use its number.")
    node = prompt[number]
    inputs = {*inputs_of(node["class_type"]), *node["inputs"]}
    if key not in inputs:
        raise WorkflowError(
            f"{option}: node {shown(name)} has no input {shown(key)}; it has "
            f"{shown(', '.join(sorted(inputs)), 1000)}."
        )
    return number, key, text


def _scalar(text: str) -> str | int | float | bool | None:
    """A JSON scalar, true and false also as Python has them, or else the text as it is."""
    try:
        value = json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, (list, dict)) else value
