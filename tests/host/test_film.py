"""Films in a real ComfyUI: a cancel in the middle of each way leaves nothing behind."""

import json
import os
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from video_clips import ffmpeg

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

COLORIZE_VIDEO = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "film.mp4"}},
    "2": {
        "class_type": "ColorizationNetLoadModel",
        "inputs": {"model_name": "colorizationnet.safetensors", "precision": "auto"},
    },
    "3": {
        "class_type": "ColorizationNetColorizeVideo",
        "inputs": {
            "model": ["2", 0],
            "video": ["1", 0],
            "render_size": 128,
            "strength": 1.0,
            "saturation": 1.0,
            "stability": 0.5,
            "quality": "full",
        },
    },
    "4": {
        "class_type": "SaveVideo",
        "inputs": {
            "video": ["3", 0],
            "filename_prefix": "film",
            "format": "auto",
            "codec": "auto",
        },
    },
}
FRAMES = {
    "1": {
        "class_type": "ColorizationNetLoadVideo",
        "inputs": {
            "file": "film.mp4",
            "start_frame": 0,
            "frame_count": 0,
            "frame_step": 1,
            "batch_size": 16,
        },
    },
    "2": {
        "class_type": "ColorizationNetSaveVideo",
        "inputs": {
            "frames": ["1", 0],
            "audio": ["1", 1],
            "fps": ["1", 2],
            "filename_prefix": "frames",
            "format": "h264",
        },
    },
}


@pytest.fixture(scope="module")
def film(base):
    """A clip that takes long enough to be cancelled."""
    path = base / "input" / "film.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "mandelbrot=size=640x360:rate=25", "-f", "lavfi"),
        *("-i", "sine=440:sample_rate=48000", "-t", "12", "-pix_fmt", "yuv420p"),
        *("-preset", "ultrafast", path),
    )
    return path


def ask(server, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{server}/{path}", data)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def wait_for(true):
    deadline = time.monotonic() + 120
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def ffmpegs(base):
    """Arguments of each ffmpeg that works on a file below ``base``."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                program = os.path.basename(os.readlink(folder / "exe"))
                arguments = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if program.startswith("ffmpeg") and any(str(base) in word for word in arguments):
                yield arguments


def parts(base):
    return [*base.glob("temp/.*.part*"), *base.glob("output/.*.part*")]


@pytest.mark.parametrize(
    ("prompt", "begun"),
    [
        pytest.param(COLORIZE_VIDEO, parts, id="Colorize Video"),
        pytest.param(FRAMES, lambda base: list(ffmpegs(base)), id="Load Video Frames"),
        pytest.param(FRAMES, parts, id="Save Video Frames"),
    ],
)
def test_cancel_in_the_middle_leaves_nothing(server, base, film, prompt, begun):
    before = {*base.glob("output/*"), *base.glob("temp/*.mp4")}
    number = ask(server, "prompt", {"prompt": prompt})["prompt_id"]
    wait_for(lambda: begun(base))
    time.sleep(1)
    ask(server, "interrupt", {})
    wait_for(lambda: not ask(server, "queue")["queue_running"])
    status = ask(server, f"history/{number}")[number]["status"]
    assert status["messages"][-1][0] == "execution_interrupted"
    assert not list(ffmpegs(base))
    assert not parts(base)
    assert {*base.glob("output/*"), *base.glob("temp/*.mp4")} == before
