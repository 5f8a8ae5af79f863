"""What `colorize` writes, dropped on the canvas; and templates as the page itself sends them."""

import json
from pathlib import Path

import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.standin.workflow_files import read_workflow
from PIL import Image, features
from real_comfyui import skip_without_its_nodes
from video_clips import ffmpeg

WORKFLOWS = Path(__file__).parents[2] / "workflows"
TEMPLATES = sorted(WORKFLOWS.glob("*.json"))
SAMPLES = WORKFLOWS / "samples"
KINDS = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}
COUNT = "count => app.graph.nodes.length == count"
SENT = "app.graphToPrompt().then(sent => sent.output)"


@pytest.fixture(scope="session")
def rendering():
    return "classic"


@pytest.fixture
def made(suffix, base, tmp_path, capsys):
    """A result of `colorize` with this suffix, whose source is in the input folder."""
    source = base / "input" / f"dropped{suffix}"
    options = []
    if KINDS[suffix].startswith("image"):
        if suffix == ".avif" and not features.check("avif"):
            pytest.skip("Pillow")
        with Image.open(SAMPLES / "colorizationnet_tower.png") as picture:
            picture.save(source)
    else:
        codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
        options = ["--format", "vp9"] if suffix == ".webm" else []
        clip = SAMPLES / "colorizationnet_meadow.mp4"
        ffmpeg("-i", clip, "-frames:v", "5", "-an", "-c:v", codec, source)
    target = tmp_path / f"made{suffix}"
    assert (
        cli.main(["colorize", str(source), "-o", str(target), "--strength", "0.75", *options]) == 0
    )
    capsys.readouterr()
    return target


# The page is opened last, for it lists the input folder only then.
@pytest.mark.parametrize("suffix", KINDS)
def test_a_result_dropped_on_the_canvas_is_the_graph_that_makes_it(suffix, made, editor):
    prompt = read_workflow(made).prompt
    editor.page.evaluate("app.graph.clear()")
    editor.drop(made, KINDS[suffix])
    editor.page.wait_for_function(COUNT, arg=len(prompt))
    assert not editor.problems()
    assert_says(editor.page.evaluate(SENT), prompt)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_run_converts_a_template_as_the_page_does(template, server, editor, tmp_path, capsys):
    skip_without_its_nodes(server, json.loads(template.read_text()))
    exported = tmp_path / "api.json"
    arguments = [str(template), "--input-dir", str(SAMPLES), "--export", str(exported)]
    assert cli.main(["run", *arguments]) == 0, capsys.readouterr().err
    count = len(json.loads(template.read_text())["nodes"])
    editor.page.evaluate("app.graph.clear()")
    editor.drop(template, "application/json")
    editor.page.wait_for_function(COUNT, arg=count)
    sent = editor.page.evaluate(SENT)
    ours = json.loads(exported.read_text())
    assert_says(sent, ours)
    for key, node in sent.items():
        # A player of the page itself, which no node has an input for.
        node["inputs"].pop("video-preview", None)
        assert ours[key]["inputs"].keys() == with_codec(node).keys()


def with_codec(node):
    """Its inputs, with ``format.codec`` where ComfyUI 0.11 has ``codec`` alone."""
    inputs = node["inputs"]
    return ({"format.codec": inputs["codec"]} if "codec" in inputs else {}) | inputs


def assert_says(sent, prompt):
    """That the page sends all that ``prompt`` has; what is left open in it has its default."""
    assert sent.keys() == prompt.keys()
    for key, node in prompt.items():
        assert sent[key]["class_type"] == node["class_type"]
        inputs = {name: value for name, value in node["inputs"].items() if name != "codec"}
        found = with_codec(sent[key])
        assert {name: found.get(name) for name in inputs} == inputs, node["class_type"]
