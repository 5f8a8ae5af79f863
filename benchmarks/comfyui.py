"""A clip through a real ComfyUI: its own nodes, VideoHelperSuite's and ours, side by side."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ..video import probe
from .peak import Peak, resident

PACK = Path(__file__).parents[1]
VHS = "ComfyUI-VideoHelperSuite"
CRF = 18  # everybody's

LOAD = {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}}
SAVE = {"filename_prefix": "out", "format": "mp4", "codec": "auto"}
WORKFLOWS = {
    "core, through frames": {
        "1": LOAD,
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": {
            "class_type": "CreateVideo",
            "inputs": {"images": ["2", 0], "audio": ["2", 1], "fps": ["2", 2]},
        },
        "4": {
            "class_type": "SaveVideo",
            "inputs": SAVE
            | {
                "video": ["3", 0],
                "codec": "h264",
                "codec.encoding": "re-encode",
                "codec.encoding.crf": CRF,
                "codec.encoding.color_space": "auto",
            },
        },
    },
    "VideoHelperSuite": {
        "1": {
            "class_type": "VHS_LoadVideo",
            "inputs": {
                "video": "clip.mp4",
                "force_rate": 0,
                "custom_width": 0,
                "custom_height": 0,
                "frame_load_cap": 0,
                "skip_first_frames": 0,
                "select_every_nth": 1,
            },
        },
        "2": {
            "class_type": "VHS_VideoCombine",
            "inputs": {
                "images": ["1", 0],
                "audio": ["1", 2],
                "frame_rate": 25,
                "loop_count": 0,
                "filename_prefix": "out",
                "format": "video/h264-mp4",
                "pix_fmt": "yuv420p",
                "crf": CRF,
                "save_metadata": True,
                "trim_to_audio": False,
                "pingpong": False,
                "save_output": True,
            },
        },
    },
    "ours, through frames": {
        "1": {
            "class_type": "ColorizationNetLoadVideo",
            "inputs": {
                "file": "clip.mp4",
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
                "filename_prefix": "out",
                "format": "h264",
                "quality": CRF,
            },
        },
    },
    "Colorize Video": {
        "1": LOAD,
        "2": {
            "class_type": "ColorizationNetLoadModel",
            "inputs": {"model_name": "colorizationnet.safetensors", "precision": "auto"},
        },
        "3": {
            "class_type": "ColorizationNetColorizeVideo",
            "inputs": {
                "model": ["2", 0],
                "video": ["1", 0],
                "render_size": -1,
                "strength": 1.0,
                "saturation": 1.0,
                "stability": 0.5,
                "quality": "auto",
                "crf": CRF,
            },
        },
        "4": {"class_type": "SaveVideo", "inputs": SAVE | {"video": ["3", 0]}},
    },
}


def report_host(clip: Path, vhs: Path | None) -> None:
    """Print wall time and peak memory of each way, each in a ComfyUI of its own."""
    comfyui = Path(os.environ["COMFYUI_DIR"])
    vhs = vhs or comfyui / "custom_nodes" / VHS
    facts = probe(clip)
    tensor = facts.frame_count * facts.width * facts.height * 12
    print(f"\nin ComfyUI, h264, crf {CRF}; all frames as floats are {tensor / 1e6:.0f} MB")
    print(f"{'':24}{'wall s':>9}{'idle MB':>9}{'peak MB':>9}{'over idle':>11}{'frames':>8}")
    for label, prompt in WORKFLOWS.items():
        if label == "VideoHelperSuite" and not vhs.is_dir():
            print(f"{label:24} not installed; --vhs names a checkout")
            continue
        with _server(comfyui, clip, vhs) as (url, pid, base):
            idle = resident([pid])
            with Peak(pid) as peak:
                begin = time.perf_counter()
                _run(url, prompt)
                wall = time.perf_counter() - begin
            # VideoHelperSuite leaves a silent clip beside the one with sound.
            frames = probe(max(base.glob("output/out*.mp4"))).frame_count
        print(
            f"{label:24}{wall:9.1f}{idle / 1e6:9.0f}{peak.bytes / 1e6:9.0f}"
            f"{(peak.bytes - idle) / 1e6:11.0f}{frames:8}",
            flush=True,
        )


@contextmanager
def _server(comfyui: Path, clip: Path, vhs: Path) -> Iterator[tuple[str, int, Path]]:
    """The address and process of a ComfyUI with the pack, and its base folder."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        base = Path(folder)
        for name in ("custom_nodes", "input"):
            (base / name).mkdir()
        shutil.copy(clip, base / "input" / "clip.mp4")
        (base / "custom_nodes" / "colorizationnet").symlink_to(PACK)
        if vhs.is_dir() and vhs.parent != comfyui / "custom_nodes":
            (base / "custom_nodes" / VHS).symlink_to(vhs.resolve())
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu"]
        command += ["--port", str(port), "--base-directory", folder, "--disable-api-nodes"]
        command += ["--database-url", "sqlite:///:memory:"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=comfyui, **quiet)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process)
            yield url, process.pid, base
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            _get(f"{url}/system_stats")
            return
        except URLError:
            time.sleep(0.5)
    raise SystemExit("ComfyUI did not start.")


def _run(url: str, prompt: dict) -> None:
    body = json.dumps({"prompt": prompt}).encode()
    number = _get(Request(f"{url}/prompt", body))["prompt_id"]
    while not (history := _get(f"{url}/history/{number}")):
        time.sleep(0.05)
    status = history[number]["status"]
    if status["status_str"] != "success":
        raise SystemExit(f"The workflow failed: {status['messages'][-1][1]}")


def _get(request: str | Request) -> dict:
    try:
        with urlopen(request) as answer:
            return json.load(answer)
    except HTTPError as error:
        raise SystemExit(f"ComfyUI refused it: {error.read().decode()}") from None
