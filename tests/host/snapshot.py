"""Record a real ComfyUI's node schema, for tests/test_comfy_api.py to hold the stand-in against.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python tests/host/snapshot.py

writes tests/comfy_api/<version>.json: of the classes in `NAMES` the parameters with their defaults,
of enumerations the values. Run it with the oldest and the newest ComfyUI that the pack supports,
and again when the stand-in's schema or ui gets a class that is not in `NAMES` yet.
"""

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path

NAMES = {
    "io": [
        *("Int", "Float", "Boolean", "String", "Combo", "Image", "Mask", "Audio", "Video"),
        *("AnyType", "DynamicCombo", "Custom", "Input", "WidgetInput", "Output"),
        *("FolderType", "UploadType", "Hidden", "HiddenHolder"),
        *("Schema", "NodeOutput", "ComfyNode"),
    ],
    "ui": ["SavedResult", "SavedImages", "PreviewVideo", "PreviewImage"],
}
PARTS = (
    *("Input", "Output", "Option"),  # of a socket type
    *("define_schema", "execute", "validate_inputs", "fingerprint_inputs"),  # of a node
)
SNAPSHOTS = Path(__file__).parents[1] / "comfy_api"


def main() -> Path:
    """Write the snapshot of the ComfyUI in COMFYUI_DIR."""
    folder = Path(os.environ["COMFYUI_DIR"])
    version = next(
        line.split('"')[1]
        for line in (folder / "comfyui_version.py").read_text().splitlines()
        if line.startswith("__version__")
    )
    parts = {"version": version, **record(folder)}
    lines = [f'"{name}": {_by_line(part)}' for name, part in parts.items()]
    path = SNAPSHOTS / f"{'.'.join(version.split('.')[:2])}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return path


def _by_line(part: str | dict) -> str:
    """JSON with a line for each entry."""
    if isinstance(part, str):
        return json.dumps(part)
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in part.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def record(folder: Path) -> dict:
    """What `describe` says in the Python of the ComfyUI in ``folder``."""
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import comfy.cli_args; comfy.cli_args.args.cpu = True\n"
        "import json, snapshot; from comfy_api.latest import io, ui\n"
        "print('\\n' + json.dumps(snapshot.describe({'io': io, 'ui': ui})))"
    )
    command = [python, "-c", code, str(folder), str(Path(__file__).parent)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def describe(modules: dict) -> dict:
    """Signatures and enumerations of the `NAMES` that ``modules``, by name, have."""
    signatures, values = {}, {}
    for room, names in NAMES.items():
        for name in names:
            if (found := getattr(modules[room], name, None)) is None:
                continue
            if inspect.isclass(found) and issubclass(found, Enum):
                values[f"{room}.{name}"] = {member.name: member.value for member in found}
                continue
            parts = [part for part in PARTS if hasattr(found, part)]
            for part in parts:
                signatures[f"{room}.{name}.{part}"] = _parameters(getattr(found, part))
            if not parts:
                signatures[f"{room}.{name}"] = _parameters(found)
    return {"signatures": signatures, "values": values}


def _parameters(found) -> dict[str, dict]:
    """The parameters in order, each with its default if it has one."""
    made = {}
    if dataclasses.is_dataclass(found):
        made = {
            field.name: field.default_factory()
            for field in dataclasses.fields(found)
            if field.default_factory is not dataclasses.MISSING
        }
    parameters = {}
    for name, parameter in inspect.signature(found).parameters.items():
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = made.get(name, parameter.default)
        parameters[star + name] = {} if default is parameter.empty else {"default": default}
    return parameters


if __name__ == "__main__":
    main()
