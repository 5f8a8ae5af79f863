"""Each template in the page: it opens whole, runs as it opens, and shows what came of it."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from real_comfyui import skip_without_its_nodes

WORKFLOWS = Path(__file__).parents[2] / "workflows"
TEMPLATES = sorted(path.stem for path in WORKFLOWS.glob("*.json") if ".app" not in path.name)

SHOWING = {
    *("LoadImage", "LoadVideo", "SaveImage", "SaveVideo", "PreviewImage", "ImageCompare"),
    *("ColorizationNetLoadVideo", "ColorizationNetSaveVideo", "ColorizationNetTeach"),
    *("ColorizationNetShotKeyframes", "ColorizationNetColorizeFolder"),
}


def assert_apart(boxes):
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} {a} lies on {other} {b}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_opens_runs_and_shows_its_result(server, editor, rendering, name):
    skip_without_its_nodes(server, json.loads((WORKFLOWS / f"{name}.json").read_text()))
    editor.template(name)
    assert not editor.problems()
    assert_apart(editor.boxes())
    done = editor.run()
    assert done["status"]["status_str"] == "success", done["status"]["messages"][-1]
    assert_apart(editor.boxes())
    awake = editor.awake()
    media = {key: width for key, width in editor.media().items() if key in awake}
    shown = {key: width for key, width in media.items() if key.split()[1] in SHOWING}
    if rendering == "classic":  # where core's node says "Node 2.0 only"
        shown = {key: width for key, width in shown.items() if "ImageCompare" not in key}
    assert shown and all(shown.values()), shown
    assert "failed to load" not in editor.text().lower()
    assert not editor.problems() and not editor.errors
