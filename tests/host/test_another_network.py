"""DDColor in a real ComfyUI: pictures and film with it, or the one sentence without its package."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli
from colorizationnet.video import probe
from safetensors.torch import save_file
from test_workflows import get, inputs, pictures, run

__all__ = ["inputs"]  # a fixture
arch = pytest.importorskip(
    "spandrel_extra_arches.architectures.DDColor",
    reason="DDColor needs spandrel-extra-arches: pip install colorizationnet[ddcolor]",
)
NAME = "ddcolor_random.safetensors"


@pytest.fixture(scope="module")
def weights(base):
    """Random ones of the tiny variant with fewer layers, whose colours are not all grey."""
    torch.manual_seed(0)
    size = {"encoder_name": "convnext-t", "num_queries": 8, "dec_layers": 3}
    network = arch.DDColor(**size, num_output_channels=2, last_norm="Spectral")
    with torch.no_grad():
        for _ in range(4):  # spectral norm measures the weights while it trains
            network.train()(torch.rand(2, 3, 64, 64))
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    state["refine_net.0.0.bias"] = torch.tensor([25.0, -20.0])
    path = base / "models" / "colorization" / NAME
    save_file(state, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def has_package(server):
    """Whether the server's own Python has the package; both must work."""
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    found = subprocess.run(
        [python, "-c", "import spandrel_extra_arches.architectures.DDColor"],
        cwd=os.environ["COMFYUI_DIR"],
        capture_output=True,
    )
    return found.returncode == 0


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


LOAD = {"model": node("ColorizationNetLoadModel", model_name=NAME, precision="auto")}
COLOUR = {"model": ["model", 0], "render_size": 64, "strength": 1.0, "saturation": 1.0}
PHOTO = LOAD | {
    "photo": node("LoadImage", image="photo.png"),
    "coloured": node("ColorizationNetColorizeImages", images=["photo", 0], **COLOUR),
    "saved": node("SaveImage", images=["coloured", 0], filename_prefix="ddcolor"),
}
FILM = LOAD | {
    "clip": node("LoadVideo", file="clip.mp4"),
    "film": node("ColorizationNetColorizeVideo", video=["clip", 0], stability=0.5, crf=0, **COLOUR),
    "saved": node(
        "SaveVideo", video=["film", 0], filename_prefix="ddcolor", format="auto", codec="auto"
    ),
}


def written(prompt, folder, **changes):
    prompt = json.loads(json.dumps(prompt))
    for entry in prompt.values():
        entry["inputs"] |= {k: v for k, v in changes.items() if "saturation" in entry["inputs"]}
    path = folder / "prompt.json"
    path.write_text(json.dumps(prompt))
    return path


def here_and_there(prompt, server, base, inputs, tmp_path, capsys, **changes):
    common = [written(prompt, tmp_path, **changes), "--input-dir", inputs]
    here = run(capsys, *common, "--output-dir", tmp_path / "here")
    there = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    return here[0], there[0]


def test_it_is_listed(server, weights):
    models = get(server, "/object_info")["ColorizationNetLoadModel"]["input"]["required"]
    assert NAME in models["model_name"][1]["options"]


@pytest.mark.parametrize("prompt", [PHOTO, FILM], ids=["photo", "film"])
def test_same_pixels_in_comfyui(
    prompt, server, base, inputs, weights, has_package, tmp_path, capsys, monkeypatch
):
    if not has_package:
        pytest.skip("the server's Python has no spandrel-extra-arches")
    monkeypatch.chdir(base)  # where the stand-in finds models/colorization
    found = here_and_there(prompt, server, base, inputs, tmp_path, capsys)
    here, there = map(pictures, found)
    assert here.shape == there.shape and np.abs(here - there).max() <= 1 / 255 + 1e-6
    assert np.ptp(there, axis=-1).mean() > 0.02
    if prompt is FILM:
        assert [len(probe(path).audio) for path in found] == [1, 1]


def test_the_vivid_look_has_more_of_its_colour(
    server, base, inputs, weights, has_package, tmp_path, capsys, monkeypatch
):
    if not has_package:
        pytest.skip("the server's Python has no spandrel-extra-arches")
    spread = []
    for look in ("natural", "vivid"):
        common = [written(PHOTO, tmp_path, look=look), "--input-dir", inputs, "--server", server]
        (path,) = run(capsys, *common, "--output-dir", tmp_path / look)
        spread.append(np.ptp(pictures(path), axis=-1).mean())
    assert spread[1] > 1.02 * spread[0]


def test_without_the_package_the_node_says_what_to_install(
    server, base, inputs, weights, has_package, tmp_path, capsys
):
    if has_package:
        pytest.skip("the server's Python has spandrel-extra-arches")
    path = written(PHOTO, tmp_path)
    code = cli.main(["run", str(path), "--input-dir", str(inputs), "--server", server])
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 1 and line.startswith("Node model (ColorizationNetLoadModel) failed: ")
    assert line.endswith("which need another package: pip install spandrel-extra-arches.")
