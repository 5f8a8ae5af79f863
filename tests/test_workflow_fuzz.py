"""Damaged workflows of both forms end in a sentence, never in an error of another kind."""

import copy
import json
import math
import os
import random
from pathlib import Path

import pytest
from colorizationnet.headless.standin import widgets
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.graph import Graph
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.workflow import WorkflowError
from colorizationnet.headless.standin.workflow_files import read_workflow
from colorizationnet.host import use
from colorizationnet.nodes import NODES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1] / "workflows"
SHIPPED = [json.loads(path.read_text()) for path in sorted(ROOT.rglob("*.json"))]
REGISTRY = [*NODES, *CORE_NODES]
LONGEST = 20_000  # of a message
SEEDS = int(os.environ.get("FUZZ_SEEDS", "50"))  # in each of eight blocks

ODD = [
    None, True, False, -1, 0, 1, 2, 4, 10**400, -(10**30), 0.5, math.nan, math.inf, -math.inf, "",
    "1", "nan", "-10", "-20", "Reroute", "PrimitiveNode", "GetNode", "SetNode", "../../x", "\0",
    "\x1b[2J", "é" * 50_000, "%date:y%/%a.b%", [], {}, [[]], ["1", 0], ["1", -1], ["9", 10**9],
    [1, 2, 3, 4, 5, "*"], {"__value__": [1]}, {"name": 3}, "lanczos", "ImageScale",
]  # fmt: skip


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    return StandInHost(folder, folder / "out", folder / "models")


def places(data, found):
    """Every container in ``data`` with each of its keys."""
    for key in data if isinstance(data, dict) else range(len(data)):
        found.append((data, key))
        if isinstance(data[key], (dict, list)):
            places(data[key], found)
    return found


def damaged(seed):
    """A shipped workflow with one to eight values replaced, removed, doubled or swapped."""
    chance = random.Random(seed)
    data = copy.deepcopy(chance.choice(SHIPPED))
    for _ in range(chance.randint(1, 8)):
        where, key = chance.choice(places(data, []) or [({"": 0}, "")])
        what = chance.randrange(5)
        if what == 0:
            del where[key]
        elif what == 1:
            other, its_key = chance.choice(places(data, []))
            where[key] = copy.deepcopy(other[its_key])
        elif what == 2 and isinstance(where, list):
            where.insert(key, copy.deepcopy(where[key]))
        elif what == 3 and isinstance(where, dict):
            where[str(chance.choice(ODD))[:40]] = where.pop(key)
        else:
            where[key] = copy.deepcopy(chance.choice(ODD))
    return data


def check(path, host):
    """Read, convert and check a workflow, which may be sound; a wrong one ends in a sentence."""
    try:
        with use(host):
            schemas = {s.node_id: s for s in (node.GET_SCHEMA() for node in REGISTRY)}
        file = read_workflow(path)
        prompt = file.to_prompt(
            lambda kind: widgets.of_schema(schemas[kind]) if kind in schemas else None
        )
        json.dumps(prompt, allow_nan=False)
        Graph(prompt, REGISTRY, host, file.editor)
    except WorkflowError as error:
        message = str(error)
        assert message and len(message) < LONGEST
        assert all(c.isprintable() for line in message.splitlines() for c in line)
        return message
    return None


@pytest.mark.parametrize("block", range(8))
def test_damaged_workflows(block, host, tmp_path):
    path = tmp_path / "workflow.json"
    told = 0
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        path.write_text(json.dumps(damaged(seed)), encoding="utf-8", errors="surrogatepass")
        told += check(path, host) is not None
    assert told


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "type", "mode", "inputs", "outputs", "link", "links", "name", "widget", "nodes",
             "widgets_values", "properties", "proxyWidgets", "class_type", "prompt", "workflow"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip
TYPES = ["Reroute", "PrimitiveNode", "GetNode", "SetNode", "LoadImage", "ImageInvert", "s", "t",
         "SaveImage", "SaveVideo", "Note", "Stranger"]  # fmt: skip
small = st.integers(-20, 6)
slots = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["image", "images", "filename_prefix", ""])},
        optional={
            "link": st.none() | small,
            "type": st.sampled_from(["IMAGE", "*", "STRING", "MASK,IMAGE"]),
            "widget": st.just({"name": "filename_prefix"}),
            "links": st.lists(small, max_size=2),
            "linkIds": st.lists(small, max_size=2),
        },
    ),
    max_size=3,
)
nodes = st.lists(
    st.fixed_dictionaries(
        {"id": small, "type": st.sampled_from(TYPES), "inputs": slots, "outputs": slots},
        optional={
            "mode": st.sampled_from([0, 2, 4]),
            "widgets_values": json_values | st.lists(st.text(max_size=3), max_size=3),
            "properties": st.fixed_dictionaries({"proxyWidgets": json_values}),
        },
    ),
    max_size=6,
)
links = st.lists(st.tuples(small, small, small, small, small, st.just("*")).map(list), max_size=8)
level = {"nodes": nodes, "links": links}
subgraphs = st.tuples(
    *(
        st.fixed_dictionaries({"id": st.just(name), **level, "inputs": slots, "outputs": slots})
        for name in ("s", "t")
    )
).map(list)
graphs = st.fixed_dictionaries(
    level, optional={"definitions": st.fixed_dictionaries({"subgraphs": subgraphs})}
)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=graphs | json_values)
def test_made_up_graphs(data, host, tmp_path):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(data))
    check(path, host)
