"""The editor's JSON in API form: what ComfyUI's own page would send."""

import copy
import json
from pathlib import Path

import pytest
from colorizationnet.headless.standin import widgets
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.editor import to_prompt
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.workflow import WorkflowError
from colorizationnet.host import use
from colorizationnet.nodes import NODES

TEMPLATES = sorted((Path(__file__).parents[1] / "workflows").glob("*.json"))
BLUEPRINTS = sorted((Path(__file__).parents[1] / "subgraphs").glob("*.json"))
with use(StandInHost()):
    SCHEMAS = {schema.node_id: schema for schema in (n.GET_SCHEMA() for n in [*NODES, *CORE_NODES])}


def widgets_of(kind):
    return widgets.of_schema(SCHEMAS[kind]) if kind in SCHEMAS else None


def convert(workflow):
    return to_prompt(workflow, widgets_of)


def bare(prompt):
    """The prompt without titles."""
    return {key: (node["class_type"], node["inputs"]) for key, node in prompt.items()}


TWINS = [path for path in TEMPLATES if (path.parent / "api" / path.name.split(" ", 1)[1]).exists()]


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_a_template_becomes_its_twin(path):
    prompt = convert(json.loads(path.read_text()))
    twin = json.loads((path.parent / "api" / path.name.split(" ", 1)[1]).read_text())
    assert prompt.keys() == twin.keys()
    for key, node in twin.items():
        assert prompt[key]["class_type"] == node["class_type"]
        found = prompt[key]["inputs"]
        assert {name: found.get(name) for name in node["inputs"]} == node["inputs"]
        # A twin may leave out what has its default.
        defaults = {w.name: w.default for w in widgets_of(node["class_type"]).widgets}
        defaults |= {"format.codec": "auto"}
        left_out = found.keys() - node["inputs"].keys()
        assert {name: found[name] for name in left_out} == {
            name: defaults[name] for name in left_out
        }


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_becomes_the_nodes_that_it_holds(path):
    workflow = json.loads(path.read_text())
    (graph,) = workflow["definitions"]["subgraphs"]
    prompt = convert(workflow)
    assert [node["class_type"] for node in prompt.values()] == [n["type"] for n in graph["nodes"]]
    for node in prompt.values():
        for widget in widgets_of(node["class_type"]).widgets:
            assert node["inputs"][widget.name] == widget.default


# Hand-made graphs. A node is (id, type, mode, inputs, outputs, widgets_values); an input is
# (name, type, link) and a name that ends with * is a widget's.


def node(id, type, inputs=(), outputs=(), values=None, mode=0, **more):
    slots = []
    for name, kind, link in inputs:
        slot = {"name": name.rstrip("*"), "type": kind, "link": link}
        slots.append(slot | ({"widget": {"name": slot["name"]}} if name.endswith("*") else {}))
    made = {"id": id, "type": type, "mode": mode, "inputs": slots}
    made["outputs"] = [
        {"name": kind, "type": kind, "links": list(links)} for kind, links in outputs
    ]
    return made | ({} if values is None else {"widgets_values": values}) | more


def load(links, id=1, mode=0):
    return node(id, "LoadImage", (), [("IMAGE", links), ("MASK", [])], ["a.png", "image"], mode)


def save(link, id=9, **more):
    return node(id, "SaveImage", [("images", "IMAGE", link)], [], ["out"], **more)


def invert(id, link, links, mode=0):
    return node(id, "ImageInvert", [("image", "IMAGE", link)], [("IMAGE", links)], None, mode)


def graph(nodes, links, **more):
    return {"nodes": nodes, "links": [[*link, "*"] for link in links], "version": 0.4, **more}


LOAD = ("LoadImage", {"image": "a.png"})


def saved(source):
    inputs = {"filename_prefix": "out"}
    return ("SaveImage", inputs if source is None else {"images": source, **inputs})


def test_links_are_arrays_or_objects():
    nodes = [load([5]), save(5)]
    expected = {"1": LOAD, "9": saved(["1", 0])}
    assert bare(convert(graph(nodes, [(5, 1, 0, 9, 0)]))) == expected
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    objects = [dict(zip(names, (5, 1, 0, 9, 0), strict=True)) | {"type": "IMAGE", "parentId": 3}]
    workflow = {"version": 1, "nodes": nodes, "links": objects, "reroutes": [{"id": 3}]}
    assert bare(convert(workflow)) == expected


def test_native_reroutes_and_floating_links_change_nothing():
    more = {
        "extra": {
            "reroutes": [{"id": 1, "linkIds": [5], "pos": [0, 0]}],
            "linkExtensions": [{"id": 5, "parentId": 1}],
        },
        "floatingLinks": [{"id": 8, "origin_id": 1, "origin_slot": 1, "target_id": -1,
                           "target_slot": -1, "type": "MASK", "parentId": 2}],
        "groups": [{"title": "Group", "bounding": [0, 0, 10, 10]}],
    }  # fmt: skip
    found = convert(graph([load([5]), save(5)], [(5, 1, 0, 9, 0)], **more))
    assert bare(found) == {"1": LOAD, "9": saved(["1", 0])}


def test_a_muted_node_is_gone_and_so_are_its_links():
    found = convert(graph([load([5], mode=2), save(5)], [(5, 1, 0, 9, 0)]))
    assert bare(found) == {"9": saved(None)}


def test_a_bypassed_node_hands_on_the_first_input_that_fits():
    nodes = [load([5, 6]), invert(2, 5, [7], mode=4), save(7)]
    links = [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)]
    assert bare(convert(graph(nodes, links))) == {"1": LOAD, "9": saved(["1", 0])}
    # Two inputs of other types before it: by type, not by number.
    colorize = node(
        2,
        "ColorizationNetColorizeImages",
        [("model", "COLORIZATION_MODEL", 4), ("images", "IMAGE", 5), ("mask", "MASK", None)],
        [("IMAGE", [7])],
        [],
        mode=4,
    )
    assert bare(convert(graph([load([5]), colorize, save(7)], links[1:] + [(5, 1, 0, 2, 1)]))) == {
        "1": LOAD,
        "9": saved(["1", 0]),
    }


def test_a_bypassed_node_without_such_an_input_gives_nothing():
    found = convert(graph([load([5], mode=4), save(5)], [(5, 1, 0, 9, 0)]))
    assert bare(found) == {"9": saved(None)}


def test_reroute_nodes_in_a_row():
    def reroute(id, link, links):
        return node(id, "Reroute", [("", "*", link)], [("IMAGE", links)])

    nodes = [load([5]), reroute(2, 5, [6]), reroute(3, 6, [7]), save(7)]
    found = convert(graph(nodes, [(5, 1, 0, 2, 0), (6, 2, 0, 3, 0), (7, 3, 0, 9, 0)]))
    assert bare(found) == {"1": LOAD, "9": saved(["1", 0])}


def test_set_and_get_nodes():
    nodes = [
        load([5]),
        node(2, "SetNode", [("IMAGE", "IMAGE", 5)], [("*", None or [])], ["photo"]),
        node(3, "GetNode", (), [("IMAGE", [7])], ["photo"]),
        save(7),
    ]
    found = convert(graph(nodes, [(5, 1, 0, 2, 0), (7, 3, 0, 9, 0)]))
    assert bare(found) == {"1": LOAD, "9": saved(["1", 0])}


def test_a_primitive_node_fills_the_widget_that_it_is_linked_to():
    picture = save(5)
    picture["inputs"].append(
        {"name": "filename_prefix", "type": "STRING", "link": 6,
         "widget": {"name": "filename_prefix"}}
    )  # fmt: skip
    primitive = node(2, "PrimitiveNode", (), [("STRING", [6])], ["chosen", "fixed"])
    found = convert(graph([load([5]), primitive, picture], [(5, 1, 0, 9, 0), (6, 2, 0, 9, 1)]))
    assert bare(found) == {
        "1": LOAD,
        "9": ("SaveImage", {"images": ["1", 0], "filename_prefix": "chosen"}),
    }


def test_notes_and_unlinked_strangers_are_left_out():
    nodes = [
        load([5]),
        save(5),
        node(3, "Note", values=["text"]),
        node(4, "MarkdownNote", values=["text"]),
        node(6, "Fast Groups Muter (rgthree)", (), [("OPT_CONNECTION", [])]),
    ]
    assert convert(graph(nodes, [(5, 1, 0, 9, 0)])).keys() == {"1", "9"}


def test_a_muted_or_bypassed_stranger_does_no_harm():
    stranger = node(2, "Sharpen+", [("image", "IMAGE", 5)], [("IMAGE", [7])], [1.0], mode=4)
    found = convert(graph([load([5]), stranger, save(7)], [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)]))
    assert bare(found) == {"1": LOAD, "9": saved(["1", 0])}


def test_strangers_are_named_by_their_titles():
    nodes = [
        load([5]),
        node(2, "KSampler", [("image", "IMAGE", 5)], [("IMAGE", [7])], title="My sampler"),
        node(3, "workflow>Old group", [("image", "IMAGE", 5)], [("IMAGE", [7])]),
        save(7),
    ]
    with pytest.raises(WorkflowError) as caught:
        convert(graph(nodes, [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)]))
    first, second = str(caught.value).splitlines()
    assert first.startswith("Node 2 (KSampler, titled 'My sampler'): there is no such node here;")
    assert "--server" in first and "mute" in first
    assert second.startswith("Node 3 (workflow>Old group) is a group node")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, 99, 7, "x"], {"strokes": True, "steps": 99, "seed": 7, "filename": "x"}),
        ([True, 99], {"strokes": True, "steps": 99, "seed": 0, "filename": ""}),
        ({"steps": 3}, {"strokes": False, "steps": 3, "seed": 0, "filename": ""}),
        (None, {"strokes": False, "steps": 150, "seed": 0, "filename": ""}),
    ],
)
def test_widgets_by_order_by_name_and_by_default(values, expected):
    teach = node(1, "ColorizationNetTeach", values=values)
    assert convert(graph([teach], []))["1"]["inputs"] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, "increment"], {"value": 5}),
        ([5], {"value": 5}),
    ],
)
def test_the_control_of_a_number_is_no_value(values, expected):
    assert convert(graph([node(1, "PrimitiveInt", values=values)], []))["1"]["inputs"] == expected


def test_the_value_of_an_upload_button_is_no_value():
    kind = "ColorizationNetLoadVideo"
    full = convert(graph([node(1, kind, values=["a.mp4", 0, 0, 1, 16, 0, 0, False, "image"])], []))
    # As it was stored when the node had fewer inputs.
    old = convert(graph([node(1, kind, values=["a.mp4", 0, 0, 1, 16, "image"])], []))
    assert full == old
    assert "upload" not in full["1"]["inputs"]


def test_a_dynamic_combo_brings_its_widgets():
    values = ["out", "mp4", "h264", "re-encode", 12, "HDR"]
    found = convert(graph([node(1, "SaveVideo", values=values)], []))["1"]["inputs"]
    found.pop("codec")  # of older workflows
    assert found == {
        "filename_prefix": "out",
        "format": "mp4",
        "format.codec": "h264",
        "format.codec.encoding": "re-encode",
        "format.codec.encoding.crf": 12,
        "format.codec.encoding.color_space": "HDR",
    }


def test_a_list_value_is_told_from_a_link():
    box = node(1, "ImageCompare", [("image_a", "IMAGE", None)], [])
    assert convert(graph([box], []))["1"]["inputs"] == {"compare_view": {"__value__": ["", ""]}}


# Subgraphs


def subgraph(id, nodes, links, inputs=(), outputs=(), **more):
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    made = {
        "id": id,
        "name": f"Subgraph {id}",
        "nodes": nodes,
        "links": [dict(zip(names, link, strict=True)) | {"type": "*"} for link in links],
        "inputNode": {"id": -10},
        "outputNode": {"id": -20},
    }
    for key, slots in (("inputs", inputs), ("outputs", outputs)):
        made[key] = [{"id": str(n), "name": n, "type": t, "linkIds": ids} for n, t, ids in slots]
    return made | more


def inverting(id="aaaa"):
    """A subgraph of one picture in and out."""
    return subgraph(
        id,
        [invert(3, 1, [2])],
        [(1, -10, 0, 3, 0), (2, 3, 0, -20, 0)],
        [("image", "IMAGE", [1])],
        [("IMAGE", "IMAGE", [2])],
    )


def host(id, type, link, links, mode=0, values=None, **more):
    return node(id, type, [("image", "IMAGE", link)], [("IMAGE", links)], values, mode, **more)


INVERT = "ImageInvert"


def test_a_subgraph_is_taken_apart():
    workflow = graph(
        [load([5]), host(2, "aaaa", 5, [7]), save(7)],
        [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)],
        definitions={"subgraphs": [inverting()]},
    )
    assert bare(convert(workflow)) == {
        "1": LOAD,
        "2:3": (INVERT, {"image": ["1", 0]}),
        "9": saved(["2:3", 0]),
    }


def test_subgraphs_within_subgraphs():
    outer = subgraph(
        "bbbb",
        [host(4, "aaaa", 1, [2]), host(5, "aaaa", 2, [3])],
        [(1, -10, 0, 4, 0), (2, 4, 0, 5, 0), (3, 5, 0, -20, 0)],
        [("image", "IMAGE", [1])],
        [("IMAGE", "IMAGE", [3])],
    )
    workflow = graph(
        [load([5]), host(2, "bbbb", 5, [7]), save(7)],
        [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)],
        definitions={"subgraphs": [inverting(), outer]},
    )
    assert bare(convert(workflow)) == {
        "1": LOAD,
        "2:4:3": (INVERT, {"image": ["1", 0]}),
        "2:5:3": (INVERT, {"image": ["2:4:3", 0]}),
        "9": saved(["2:5:3", 0]),
    }


@pytest.mark.parametrize(("mode", "source"), [(2, None), (4, ["1", 0])])
def test_a_muted_or_bypassed_subgraph(mode, source):
    workflow = graph(
        [load([5]), host(2, "aaaa", 5, [7], mode), save(7)],
        [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)],
        definitions={"subgraphs": [inverting()]},
    )
    assert bare(convert(workflow)) == {"1": LOAD, "9": saved(source)}


def scaling(**more):
    """A subgraph with a widget inside, `scale_by`, that its second input is linked to."""
    scale = node(
        3,
        "ImageScaleBy",
        [("image", "IMAGE", 1), ("scale_by*", "FLOAT", 4)],
        [("IMAGE", [2])],
        ["bilinear", 0.5],
    )
    return subgraph(
        "cccc",
        [scale],
        [(1, -10, 0, 3, 0), (4, -10, 1, 3, 1), (2, 3, 0, -20, 0)],
        [("image", "IMAGE", [1]), ("factor", "FLOAT", [4])],
        [("IMAGE", "IMAGE", [2])],
    )


@pytest.mark.parametrize(
    ("more", "factor"),
    [
        ({"values": [0.25]}, 0.25),
        ({"values": []}, 0.5),
        ({"values": None}, 0.5),
        ({"values": [0.75], "properties": {"proxyWidgets": [["-1", "factor"]]}}, 0.75),
        ({"values": [0.75], "properties": {"proxyWidgets": [["3", "scale_by"]]}}, 0.75),
        (
            {
                "values": ["area", 2],
                "properties": {"proxyWidgets": [["3", "upscale_method"], ["-1", "factor"]]},
            },
            2,
        ),
    ],
)  # fmt: skip
def test_promoted_widgets(more, factor):
    workflow = graph(
        [load([5]), host(2, "cccc", 5, [7], **more), save(7)],
        [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)],
        definitions={"subgraphs": [scaling()]},
    )
    method = "area" if factor == 2 else "bilinear"
    assert bare(convert(workflow))["2:3"] == (
        "ImageScaleBy",
        {"image": ["1", 0], "upscale_method": method, "scale_by": factor},
    )


def test_a_promoted_widget_that_is_linked_outside():
    two = host(2, "cccc", 5, [7], values=[0.25])
    two["inputs"].append(
        {"name": "factor", "type": "FLOAT", "link": 8, "widget": {"name": "factor"}}
    )
    number = node(4, "PrimitiveFloat", (), [("FLOAT", [8])], [3.0])
    workflow = graph(
        [load([5]), number, two, save(7)],
        [(5, 1, 0, 2, 0), (8, 4, 0, 2, 1), (7, 2, 0, 9, 0)],
        definitions={"subgraphs": [scaling()]},
    )
    assert bare(convert(workflow))["2:3"][1]["scale_by"] == ["4", 0]


def test_two_uses_of_a_subgraph_have_values_of_their_own():
    workflow = graph(
        [
            load([5]),
            host(2, "cccc", 5, [7], values=[0.25]),
            host(3, "cccc", 7, [8], values=[4]),
            save(8),
        ],
        [(5, 1, 0, 2, 0), (7, 2, 0, 3, 0), (8, 3, 0, 9, 0)],
        definitions={"subgraphs": [scaling()]},
    )
    found = bare(convert(workflow))
    assert found["2:3"][1]["scale_by"] == 0.25 and found["3:3"][1]["scale_by"] == 4
    assert found["3:3"][1]["image"] == ["2:3", 0]


def test_a_widget_promoted_twice():
    outer = subgraph(
        "dddd",
        [
            node(
                4,
                "cccc",
                [("image", "IMAGE", 1), ("factor*", "FLOAT", 3)],
                [("IMAGE", [2])],
                [0.3],
            )
        ],
        [(1, -10, 0, 4, 0), (3, -10, 1, 4, 1), (2, 4, 0, -20, 0)],
        [("image", "IMAGE", [1]), ("much", "FLOAT", [3])],
        [("IMAGE", "IMAGE", [2])],
    )
    for values, expected in (([0.9], 0.9), ([], 0.3)):
        workflow = graph(
            [load([5]), host(2, "dddd", 5, [7], values=values), save(7)],
            [(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)],
            definitions={"subgraphs": [scaling(), outer]},
        )
        assert bare(convert(workflow))["2:4:3"][1]["scale_by"] == expected


def test_a_subgraph_that_contains_itself():
    circle = inverting("aaaa")
    circle["nodes"].append(host(8, "aaaa", None, []))
    workflow = graph([host(2, "aaaa", None, [])], [], definitions={"subgraphs": [circle]})
    with pytest.raises(WorkflowError, match="Subgraph aaaa contains itself"):
        convert(workflow)


def test_a_circle_of_reroutes():
    nodes = [
        node(2, "Reroute", [("", "*", 6)], [("*", [5])]),
        node(3, "Reroute", [("", "*", 5)], [("*", [6, 7])]),
        save(7),
    ]
    links = [(5, 2, 0, 3, 0), (6, 3, 0, 2, 0), (7, 3, 0, 9, 0)]
    with pytest.raises(WorkflowError, match="circle"):
        convert(graph(nodes, links))


def test_a_workflow_of_notes_runs_nothing():
    with pytest.raises(WorkflowError, match="no node that runs"):
        convert(graph([node(3, "Note", values=["text"])], []))


def test_titles_go_into_the_prompt():
    found = convert(graph([load([5]), save(5, title="My picture")], [(5, 1, 0, 9, 0)]))
    assert found["9"]["_meta"] == {"title": "My picture"}
    assert found["1"]["_meta"] == {"title": "Load Image"}


def test_names_of_files_are_filled_in(monkeypatch):
    monkeypatch.setattr("time.localtime", lambda: __import__("time").gmtime(86400 * 365))
    picture = save(5)
    picture["widgets_values"] = ["%date:yyyy-MM-dd%/%Load Image.image%_%width%_%No.thing%"]
    one = load([5]) | {"title": "Load Image"}
    found = convert(graph([one, picture], [(5, 1, 0, 9, 0)]))
    prefix = found["9"]["inputs"]["filename_prefix"]
    assert prefix == "1971-01-01/a.png_%width%_%No.thing%"


def test_the_workflow_is_left_as_it_was():
    workflow = json.loads(TEMPLATES[0].read_text())
    before = copy.deepcopy(workflow)
    convert(workflow)
    assert workflow == before


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_servers_object_info_gives_the_same(path):
    """Widgets as a ComfyUI tells of them, here made out of our schemas."""
    workflow = json.loads(path.read_text())
    there = to_prompt(workflow, lambda kind: widgets.of_object_info(info(kind)))
    assert bare(there) == bare(convert(workflow))


def info(kind):
    if kind not in SCHEMAS:
        return {}
    groups = {"required": {}, "optional": {}}
    for socket in SCHEMAS[kind].inputs:
        groups["optional" if socket.optional else "required"][socket.id] = described(socket)
    return {
        "input": groups,
        "input_order": {group: list(inputs) for group, inputs in groups.items()},
        "display_name": SCHEMAS[kind].display_name,
    }


def described(socket):
    details = {"default": getattr(socket, "default", None)}
    details["control_after_generate"] = getattr(socket, "control_after_generate", None)
    if upload := getattr(socket, "upload", None):
        details[upload.value] = True
    options = getattr(socket, "options", None)
    if socket.io_type == "COMFY_DYNAMICCOMBO_V3":
        details["options"] = [
            {"key": o.key, "inputs": {"required": {i.id: described(i) for i in o.inputs}}}
            for o in options
        ]
    elif options:
        details["options"] = options
    return [socket.io_type, {key: value for key, value in details.items() if value is not None}]
