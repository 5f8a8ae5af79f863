"""The stand-in's schema against recordings of ComfyUI's own (made by tests/host/snapshot.py)."""

import inspect
import json
from enum import Enum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from colorizationnet.headless.standin import schema, ui

HERE = Path(__file__).parent
SNAPSHOTS = sorted((HERE / "comfy_api").glob("*.json"))
MADE_BY_THE_HOST = {"io.HiddenHolder"}  # nodes get one and never make one


def load_snapshot_script():
    # By its path: tests/host and the pack's own host have one name.
    spec = spec_from_file_location("snapshot", HERE / "host" / "snapshot.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


snapshot = load_snapshot_script()
STAND_IN = snapshot.describe({"io": schema, "ui": ui})


@pytest.fixture(params=SNAPSHOTS, ids=lambda path: path.stem)
def comfyui(request):
    return json.loads(request.param.read_text())


def test_the_oldest_and_the_newest_are_recorded():
    assert [path.stem for path in SNAPSHOTS] == ["0.11", "0.33"]


@pytest.mark.parametrize(("room", "module"), [("io", schema), ("ui", ui)])
def test_all_that_the_stand_in_offers_is_recorded(room, module):
    offered = {
        name
        for name, member in vars(module).items()
        if inspect.isclass(member) and member.__module__ == module.__name__
    }
    internal = {name for name in offered if name.startswith("_")} | {"ComfyTypeIO"}
    assert offered - internal <= set(snapshot.NAMES[room])


@pytest.mark.parametrize("name", STAND_IN["signatures"])
def test_parameters_and_defaults_are_comfyuis(name, comfyui):
    real, ours = comfyui["signatures"][name], STAND_IN["signatures"][name]
    assert ours.items() <= real.items()
    if name not in MADE_BY_THE_HOST:
        needed = {key for key, options in real.items() if not options and not key.startswith("*")}
        assert needed <= ours.keys()


@pytest.mark.parametrize("name", STAND_IN["signatures"])
def test_what_may_come_without_its_name_comes_in_the_same_order(name, comfyui):
    found = {"io": schema, "ui": ui}
    for part in name.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    unnamed = [
        parameter.name
        for parameter in inspect.signature(found).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert list(comfyui["signatures"][name])[: len(unnamed)] == unnamed


@pytest.mark.parametrize("name", STAND_IN["values"])
def test_enumerations_are_comfyuis(name, comfyui):
    room, kind = name.split(".")
    assert issubclass(getattr({"io": schema, "ui": ui}[room], kind), Enum)
    assert STAND_IN["values"][name].items() <= comfyui["values"][name].items()
