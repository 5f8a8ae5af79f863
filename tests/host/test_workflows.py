"""Every API workflow gives the same pixels in ComfyUI and without it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import imageio_ffmpeg
import numpy as np
import pytest
from colorizationnet.headless import cli
from colorizationnet.host import paths
from colorizationnet.nodes import NODES
from colorizationnet.video import probe
from PIL import Image
from real_comfyui import skip_without_its_nodes
from video_clips import ffmpeg

LONG = "ColorizationNetColorizeVideo"
ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows" / "api").glob("*.json"))


@pytest.fixture(scope="session")
def inputs(base):
    """A small picture and a small clip with sound, both with something to colour."""
    folder = base / "input"
    rows, columns = np.mgrid[0:90, 0:121]
    grey = 128 + 100 * np.sin(rows / 9) * np.cos(columns / 13)
    Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(folder / "photo.png")
    red = grey * np.linspace(0, 1, 121)
    colored = np.stack([red, grey, 255 - grey], axis=-1).astype(np.uint8)
    Image.fromarray(colored).save(folder / "colored.png")
    command = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1,hue=s=0"]
    command += ["-f", "lavfi", "-i", "sine=440:duration=1", "-shortest"]
    ffmpeg(*command, "-c:v", "libx264", "-qp", "0", str(folder / "clip.mp4"))
    return folder


def prepare(path, folder):
    """The workflow with the small inputs, weights that colour a lot, and lossless clips."""
    prompt = json.loads(path.read_text())
    teaches = any(node["class_type"] == "ColorizationNetTeach" for node in prompt.values())
    for node in prompt.values():
        inputs = node["inputs"]
        for key, value in inputs.items():
            suffix = Path(value).suffix.lower() if isinstance(value, str) else ""
            if suffix in paths.SUFFIXES["image"]:
                painted = teaches or node["class_type"] == "Painter"
                inputs[key] = "colored.png" if painted else "photo.png"
            elif suffix in paths.SUFFIXES["video"]:
                inputs[key] = "clip.mp4"
            elif suffix == ".safetensors" and not teaches:
                inputs[key] = "test.safetensors"
        quick_and_lossless = {
            "ColorizationNetTeach": {"steps": 20},
            LONG: {"crf": 0},
            "ColorizationNetSaveVideo": {"format": "ffv1"},
        }
        inputs |= quick_and_lossless.get(node["class_type"], {})
    prepared = folder / path.name
    prepared.write_text(json.dumps(prompt))
    return prepared


def pictures(path):
    """Every frame of a photo or clip, (n, H, W, 3) in [0, 1]."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path), dtype=np.float32)[None] / 255
    frames = imageio_ffmpeg.read_frames(str(path))
    width, height = next(frames)["size"]
    pixels = np.stack([np.frombuffer(frame, np.uint8) for frame in frames])
    return pixels.reshape(-1, height, width, 3).astype(np.float32) / 255


def run(capsys, *arguments):
    code = cli.main(["run", *map(str, arguments)])
    output = capsys.readouterr()
    assert code == 0, output.err
    return [Path(line) for line in output.out.splitlines()]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_same_pixels_in_comfyui(workflow, server, base, inputs, tmp_path, capsys, monkeypatch):
    skip_without_its_nodes(server, json.loads(workflow.read_text()))
    prepared = prepare(workflow, tmp_path)
    monkeypatch.chdir(base)  # where the stand-in finds models/colorization
    common = [prepared, "--input-dir", inputs]
    here = run(capsys, *common, "--output-dir", tmp_path / "here")
    there = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    # Other tests have saved under these names on the server, which counts on.
    names = [[re.sub(r"_\d{5}_", "_", path.name) for path in paths] for paths in (here, there)]
    assert here and names[0] == names[1]
    for one, other in zip(map(pictures, here), map(pictures, there), strict=True):
        assert one.shape == other.shape
        assert np.ptp(one, axis=-1).max() > 0.1  # in colour
        assert np.abs(one - other).max() <= 1 / 255 + 1e-6


def test_server_words_a_wrong_value(server, base, inputs, tmp_path, capsys):
    prompt = json.loads(prepare(WORKFLOWS[0], tmp_path).read_text())
    key, node = next((key, node) for key, node in prompt.items() if "strength" in node["inputs"])
    node["inputs"]["strength"] = 7
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(prompt))
    code = cli.main(["run", str(path), "--input-dir", str(inputs), "--server", server])
    error = capsys.readouterr().err
    assert code == 2
    assert f"Node {key} ({node['class_type']}): Value 7.0 bigger than max of 1.0: strength" in error


def test_server_words_a_failing_node(server, base, inputs, tmp_path, capsys):
    (inputs / "broken.mp4").write_bytes(b"no video")
    prompt = {
        "1": {
            "class_type": "ColorizationNetLoadVideo",
            "inputs": {
                "file": "broken.mp4",
                "start_frame": 0,
                "frame_count": 0,
                "frame_step": 1,
                "batch_size": 8,
            },
        },
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(prompt))
    code = cli.main(["run", str(path), "--input-dir", str(inputs), "--server", server])
    error = capsys.readouterr().err
    assert code == 1
    (line,) = error.splitlines()
    assert line.startswith("Node 1 (ColorizationNetLoadVideo) failed: ") and "broken.mp4" in line


def test_ctrl_c_stops_the_work_on_the_server(server, base, inputs, tmp_path):
    source = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=12"]
    ffmpeg(*source, "-preset", "ultrafast", str(inputs / "long.mp4"))
    path = prepare(next(path for path in WORKFLOWS if path.stem == "Colorize Clip"), tmp_path)
    path.write_text(path.read_text().replace("clip.mp4", "long.mp4"))
    command = [sys.executable, "-m", "colorizationnet", "run", str(path), "--server", server]
    client = subprocess.Popen(
        [
            *command,
            "--input-dir",
            str(inputs),
            "--set",
            "ColorizationNetColorizeImages.render_size=224",
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: get(server, "/queue")["queue_running"])
    before = set(base.joinpath("output").rglob("*"))
    client.send_signal(signal.SIGINT)
    assert client.communicate(timeout=60)[1].splitlines()[-1] == "Stopped."
    assert client.returncode == 130
    wait_until(lambda: not get(server, "/queue")["queue_running"])
    (*_, last) = get(server, "/history").values()
    assert last["status"]["messages"][-1][0] == "execution_interrupted"
    assert set(base.joinpath("output").rglob("*")) == before


@pytest.mark.parametrize("source", ["CreateVideo", "Video Slice"])
def test_any_video_of_comfyui_is_coloured(source, server, base, inputs, tmp_path, capsys):
    """Frames that were never a file, and a part of one, which the oldest ComfyUI cannot cut."""
    nodes = get(server, "/object_info")
    if source not in nodes:
        pytest.skip(f"this ComfyUI has no {source}")
    path = next(path for path in WORKFLOWS if path.stem == "Colorize Film")
    prompt = json.loads(prepare(path, tmp_path).read_text())
    (film,) = [node for node in prompt.values() if node["class_type"] == LONG]
    film["inputs"]["video"] = ["video", 0]
    if source == "CreateVideo":
        load = {"file": "clip.mp4", "start_frame": 5, "frame_count": 10}
        load |= {"frame_step": 1, "batch_size": 100}
        prompt["frames"] = {"class_type": "ColorizationNetLoadVideo", "inputs": load}
        made = {"images": ["frames", 0], "fps": 25.0}
    else:
        prompt["clip"] = {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}}
        made = {"video": ["clip", 0], "start_time": 0.2, "duration": 0.4, "strict_duration": True}
    prompt["video"] = {"class_type": source, "inputs": made}
    path = tmp_path / "video.json"
    path.write_text(json.dumps(prompt))
    common = [path, "--input-dir", inputs, "--output-dir", tmp_path, "--server", server]
    (saved,) = run(capsys, *common)
    found, original = pictures(saved), pictures(inputs / "clip.mp4")[5:15]
    assert found.shape == original.shape
    # A ComfyUI of today writes frames in the luma of BT.709.
    is_bt709 = probe(saved).color_matrix == "bt709"
    luma = np.array([0.2126, 0.7152, 0.0722] if is_bt709 else [0.299, 0.587, 0.114])
    # Two conversions between RGB and eight-bit YUV lie between them; and a ComfyUI without
    # Video Slice writes frames to a file at its own quality only.
    levels = 1.5 if "Video Slice" in nodes else 3
    assert np.abs((found - original) @ luma).mean() < levels / 255


def get(server, path):
    with urlopen(f"{server}{path}") as answer:
        return json.load(answer)


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_comfyui_shows_the_pack(server):
    """Nodes, pages and templates are where the editor looks for them."""
    info = get(server, "/object_info")
    for node in NODES:
        schema = node.GET_SCHEMA()
        assert info[schema.node_id]["display_name"] == schema.display_name
        with urlopen(f"{server}/extensions/colorizationnet/docs/{schema.node_id}.md") as page:
            assert page.read()
    languages = get(server, "/i18n")
    for folder in (ROOT / "locales").iterdir():
        assert set(languages[folder.name]["nodeDefs"]) >= {n.GET_SCHEMA().node_id for n in NODES}
    pictures = info["LoadImage"]["input"]["required"]["image"][0]
    assert "colorizationnet_tower.png" in pictures
    models = info["ColorizationNetLoadModel"]["input"]["required"]["model_name"][1]["options"]
    assert models == ["colorizationnet.safetensors", "test.safetensors"]
    templates = {path.stem for path in WORKFLOWS[0].parents[1].glob("*.json")}
    assert set(get(server, "/workflow_templates").get("colorizationnet", [])) == templates
