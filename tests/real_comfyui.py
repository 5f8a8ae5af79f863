"""A real ComfyUI with the pack in it, for the tests in tests/host and tests/page."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
START_TIMEOUT = 240


def base_folder(folder):
    """``folder`` as a base folder of ComfyUI, the pack linked into it."""
    for name in ("custom_nodes", "input", "models/colorization"):
        (folder / name).mkdir(parents=True)
    (folder / "custom_nodes" / "colorizationnet").symlink_to(ROOT, target_is_directory=True)
    return folder


@contextlib.contextmanager
def running(base, *options):
    """The address of a ComfyUI that runs on the CPU, when COMFYUI_DIR names a checkout."""
    if "COMFYUI_DIR" not in os.environ:
        pytest.skip("COMFYUI_DIR names no ComfyUI checkout (COMFYUI_PYTHON: its Python)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    command = [python, "main.py", "--cpu", "--port", str(port), "--base-directory", str(base)]
    command += ["--database-url", "sqlite:///:memory:", *options]
    log = base / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=os.environ["COMFYUI_DIR"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def skip_without_its_nodes(url, workflow):
    """Skip where this ComfyUI is older than a core node of the ``workflow``, in either form."""
    nodes = workflow["nodes"] if "nodes" in workflow else workflow.values()
    kinds = {node.get("type") or node["class_type"] for node in nodes} - {"MarkdownNote"}
    with urlopen(f"{url}/object_info") as answer:
        if missing := kinds - set(json.load(answer)):
            pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")


def _wait(url, process, log):
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(f"{url}/system_stats", timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    pytest.fail(f"ComfyUI did not start:\n{log.read_text(errors='replace')[-4000:]}")
