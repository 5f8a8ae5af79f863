"""What Colorize Video tells of its keyframes in a real ComfyUI: maps on the node, a score file."""

import json

from test_workflows import LONG, WORKFLOWS, get, inputs, prepare, run

__all__ = ["inputs"]  # a fixture


def test_maps_are_shown_and_the_score_is_written(server, base, inputs, tmp_path, capsys):
    path = next(path for path in WORKFLOWS if path.stem == "Colorize Film By Keyframes")
    prompt = json.loads(prepare(path, tmp_path).read_text())
    for node in prompt.values():
        if node["class_type"] == LONG:
            node["inputs"] |= {"score_prefix": "scores/film", "teach_steps": 5}
        if node["class_type"] == "ColorizationNetShotKeyframes":
            node["inputs"]["more"] = 2
    path = tmp_path / "scored.json"
    path.write_text(json.dumps(prompt))
    common = [path, "--input-dir", inputs, "--output-dir", tmp_path / "there"]
    run(capsys, *common, "--server", server)
    (*_, last) = get(server, "/history").values()
    (film,) = [key for key, node in prompt.items() if node["class_type"] == LONG]
    (picker,) = [k for k, n in prompt.items() if n["class_type"] == "ColorizationNetShotKeyframes"]
    maps = last["outputs"][film]["images"]
    assert len(maps) == 6
    assert all((base / "temp" / entry["subfolder"] / entry["filename"]).is_file() for entry in maps)
    assert len(last["outputs"][picker]["images"]) == 3
    written = json.loads((base / "output" / "scores" / "film_00001_.json").read_text())
    assert len(written["confidence"]) == 25 and max(written["confidence"]) > 0.98
