"""The templates open, show what they should and run, with nothing copied by hand."""

import asyncio
import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.nodes import NODES
from fake_comfyui import ComfyUI
from PIL import Image

WORKFLOWS = Path(__file__).parents[1] / "workflows"
SAMPLES = WORKFLOWS / "samples"
APPS = sorted(WORKFLOWS.glob("*.app.json"))
TEMPLATES = sorted({*WORKFLOWS.glob("*.json")} - {*APPS})
SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in [*NODES, *CORE_NODES]}
LOADERS = {"LoadImage": "image", "LoadVideo": "file", "ColorizationNetLoadVideo": "file"}
WITH_PICTURE = {
    "LoadImage", "LoadVideo", "SaveImage", "SaveVideo", "ColorizationNetLoadVideo",
    "ColorizationNetSaveVideo", "ColorizationNetTeach", "ColorizationNetShotKeyframes",
    "ColorizationNetColorizeVideo", "ColorizationNetColorizeImages",
    "ColorizationNetColorizeFolder",
}  # fmt: skip
TITLE, ROW, WIDGET, PICTURE = 40, 26, 32, 240  # pixels, of the roomier of the two renderings


def read(path):
    return json.loads(path.read_text())


def each(test):
    return pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)(test)


def box(node):
    """Left, top, right, bottom, with the node's title and the picture that it may show."""
    (x, y), (width, height) = node["pos"], node["size"]
    inputs = node.get("inputs", [])
    widgets = sum("widget" in socket for socket in inputs)
    rows = max(len(inputs) - widgets, len(node.get("outputs", [])))
    height = max(height, ROW * rows + WIDGET * widgets)
    if node["type"] in WITH_PICTURE:
        height += PICTURE
    return x, y - TITLE, x + width, y + height


def test_photo_is_the_first_in_the_list():
    assert TEMPLATES[0].stem == "01 Colorize Photo"
    assert [int(path.stem.split()[0]) for path in TEMPLATES] == [*range(1, len(TEMPLATES) + 1)]


@each
def test_a_template_opens_large_enough_to_be_read(path):
    """The editor fits it into its window, and draws no text below 57 %."""
    boxes = [(*node["pos"], *node["size"]) for node in read(path)["nodes"]]
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, bottom = (max(box[side] + box[side + 2] for box in boxes) for side in (0, 1))
    assert right - left <= 2060 and bottom - top <= 1200


def test_every_api_workflow_has_its_template():
    twins = {path.stem.split(" ", 1)[1] for path in TEMPLATES}
    assert {path.stem for path in (WORKFLOWS / "api").glob("*.json")} <= twins


@each
def test_a_template_and_its_twin_have_the_same_nodes_and_links(path):
    twin = WORKFLOWS / "api" / f"{path.stem.split(' ', 1)[1]}.json"
    if not twin.exists():
        pytest.skip("it shows what only the editor has")
    prompt, template = read(twin), read(path)
    nodes = {node["id"]: node for node in template["nodes"] if node["type"] != "MarkdownNote"}
    assert {int(key): node["class_type"] for key, node in prompt.items()} == {
        key: node["type"] for key, node in nodes.items()
    }
    links = {
        (source, slot, target, nodes[target]["inputs"][at]["name"])
        for _, source, slot, target, at, _ in template["links"]
    }
    assert links == {
        (int(value[0]), value[1], int(key), name)
        for key, node in prompt.items()
        for name, value in node["inputs"].items()
        if isinstance(value, list)
    }


@each
def test_links_and_sockets_agree(path):
    template = read(path)
    nodes = {node["id"]: node for node in template["nodes"]}
    for key, source, slot, target, at, kind in template["links"]:
        assert key in nodes[source]["outputs"][slot]["links"]
        assert nodes[target]["inputs"][at]["link"] == key
        assert nodes[target]["inputs"][at]["type"] == kind == nodes[source]["outputs"][slot]["type"]
    assert len(nodes) == len(template["nodes"]) and max(nodes) == template["last_node_id"]


@each
def test_widgets_are_the_nodes_own(path):
    """Their values lie in a row without names, so a new widget in between would shift them."""
    for node in read(path)["nodes"]:
        if node["type"].startswith("ColorizationNet"):
            known = {socket.id for socket in SCHEMAS[node["type"]].inputs} | {"upload"}
            widgets = [socket["name"] for socket in node["inputs"] if "widget" in socket]
            assert set(widgets) <= known and len(widgets) == len(node["widgets_values"])


@each
def test_nothing_lies_on_anything(path):
    boxes = {(node["id"], node["type"]): box(node) for node in read(path)["nodes"]}
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
        assert apart, f"{one} lies on {other}"


@each
def test_no_link_runs_behind_a_node(path):
    template = read(path)
    boxes = {node["id"]: box(node) for node in template["nodes"]}
    nodes = {node["id"]: node for node in template["nodes"]}
    for _, source, slot, target, at, _ in template["links"]:
        start = boxes[source][2], nodes[source]["pos"][1] + ROW * (slot + 0.5)
        end = boxes[target][0], nodes[target]["pos"][1] + ROW * (at + 0.5)
        assert start[0] < end[0]
        for key, (left, top, right, bottom) in boxes.items():
            if key not in (source, target):
                behind = (
                    p for p in spline(start, end) if left < p[0] < right and top < p[1] < bottom
                )
                assert not any(behind), f"the link {source} to {target} runs behind {key}"


def spline(start, end):
    """The editor's link: a cubic whose handles lie level, a quarter of the distance away."""
    (x0, y0), (x3, y3) = start, end
    reach = 0.25 * ((x3 - x0) ** 2 + (y3 - y0) ** 2) ** 0.5
    for step in range(1, 100):
        t = step / 100
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        yield a * x0 + b * (x0 + reach) + c * (x3 - reach) + d * x3, (a + b) * y0 + (c + d) * y3


@each
def test_the_note_is_two_lines_that_fit(path):
    (note,) = [node for node in read(path)["nodes"] if node["type"] == "MarkdownNote"]
    lines = [line for line in note["widgets_values"][0].splitlines() if line]
    assert len(lines) == 2
    assert max(map(len, lines)) * 11 < note["size"][0]


@each
def test_a_thumbnail_is_square_and_like_no_other(path):
    with Image.open(path.with_suffix(".jpg")) as picture:
        assert picture.width == picture.height
    others = [other.with_suffix(".jpg").read_bytes() for other in TEMPLATES if other != path]
    assert path.with_suffix(".jpg").read_bytes() not in others


@each
def test_every_file_that_is_named_is_a_sample(path):
    for node in read(path)["nodes"]:
        if node["type"] in LOADERS:
            assert (SAMPLES / node["widgets_values"][0]).is_file()
        if node["type"] == "ColorizationNetColorizeFolder":
            assert (SAMPLES / node["widgets_values"][0]).is_dir()


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_an_app_is_its_template_with_widgets_and_results_that_are_there(path):
    app, template = read(path), read(path.with_name(path.name.replace(".app", "")))
    assert (app["nodes"], app["links"]) == (template["nodes"], template["links"])
    assert app["extra"]["linearMode"] is True
    nodes = {str(node["id"]): node for node in app["nodes"]}
    for key, widget in app["extra"]["linearData"]["inputs"]:
        assert widget in [socket.id for socket in SCHEMAS[nodes[key]["type"]].inputs]
    for key in app["extra"]["linearData"]["outputs"]:
        assert nodes[key]["type"].startswith("Save")
    assert path.with_suffix(".jpg").is_file()


def load(comfyui):
    with comfyui.with_pack() as pack:
        asyncio.run(pack.comfy_entrypoint())


def files_below(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_samples_are_offered_and_nothing_is_overwritten(tmp_path):
    comfyui = ComfyUI(tmp_path)
    own = tmp_path / "input" / "colorizationnet_tower.png"
    own.write_bytes(b"my own")
    load(comfyui)
    found = files_below(tmp_path / "input")
    assert found.pop(own.name) == b"my own"
    samples = files_below(SAMPLES)
    assert samples.pop("CREDITS.md") and samples.pop(own.name)
    offered = found.pop(".colorizationnet_samples").decode().splitlines()
    assert found == samples and set(offered) == {*samples, own.name}


def test_samples_that_were_deleted_do_not_come_back_but_new_ones_come(tmp_path):
    comfyui = ComfyUI(tmp_path)
    load(comfyui)
    whole = files_below(tmp_path / "input")
    clip, photo = "colorizationnet_meadow.mp4", "colorizationnet_tower.png"
    for name in (clip, photo):
        (tmp_path / "input" / name).unlink()
    load(comfyui)
    assert whole.keys() - files_below(tmp_path / "input").keys() == {clip, photo}
    offered = tmp_path / "input" / ".colorizationnet_samples"
    offered.write_text(offered.read_text().replace(f"{clip}\n", ""))  # as of an older version
    load(comfyui)
    assert whole.keys() - files_below(tmp_path / "input").keys() == {photo}
    assert clip in offered.read_text()


def test_an_input_folder_that_takes_nothing_hinders_nothing(tmp_path, caplog):
    comfyui = ComfyUI(tmp_path)
    (tmp_path / "input").rmdir()
    (tmp_path / "input").write_bytes(b"a file where the folder should be")
    load(comfyui)
    assert "samples are not in the input folder" in caplog.text


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_a_help_page_has_a_picture_that_exists_and_names_templates_that_exist(node):
    docs = Path(__file__).parents[1] / "web" / "docs"
    text = (docs / f"{node.GET_SCHEMA().node_id}.md").read_text()
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures and all((docs / picture).is_file() for picture in pictures)
    named = re.findall(r"\*\*(\d\d [^*]+)\*\*", text)
    assert named and set(named) <= {path.stem for path in TEMPLATES}


BLUEPRINTS = sorted((WORKFLOWS.parent / "subgraphs").glob("*.json"))


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_node_whose_links_and_widgets_agree(path):
    (node,), (graph,) = read(path)["nodes"], read(path)["definitions"]["subgraphs"]
    assert node["type"] == graph["id"] and node["title"] == graph["name"] == path.stem
    inside = {str(one["id"]): one for one in graph["nodes"]}
    ends = {"-10": [{"outputs": graph["inputs"]}], "-20": [{"inputs": graph["outputs"]}]}
    for link in graph["links"]:
        sources = ends.get(str(link["origin_id"])) or [inside[str(link["origin_id"])]]
        targets = ends.get(str(link["target_id"])) or [inside[str(link["target_id"])]]
        source = sources[0]["outputs"][link["origin_slot"]]
        target = targets[0]["inputs"][link["target_slot"]]
        assert source["type"] == target["type"] == link["type"]
        assert link["id"] in source.get("links", source.get("linkIds"))
        assert link["id"] in target.get("linkIds", [target.get("link")])
    for key, widget in node["properties"]["proxyWidgets"]:
        assert widget in [socket["name"] for socket in inside[key]["inputs"] if "widget" in socket]
