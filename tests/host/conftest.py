"""A real ComfyUI with the pack in it, when COMFYUI_DIR names a checkout."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.model.colorizationnet.weights import save_model

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 240


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A base folder with the pack linked into it, inputs, and weights of our own."""
    base = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "input", "models/colorization"):
        (base / name).mkdir(parents=True)
    (base / "custom_nodes" / "colorizationnet").symlink_to(ROOT, target_is_directory=True)
    torch.manual_seed(0)
    network = ColorizationNet()
    with torch.no_grad():
        network.conv4.weight.mul_(40)  # untrained weights give hardly any colour
    save_model(network, base / "models/colorization/test.safetensors", {})
    return base


@pytest.fixture(scope="session")
def server(base):
    """The address of a ComfyUI that runs on the CPU until the tests are over."""
    if "COMFYUI_DIR" not in os.environ:
        pytest.skip("COMFYUI_DIR names no ComfyUI checkout (COMFYUI_PYTHON: its Python)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    options = ["--cpu", "--port", str(port), "--base-directory", str(base)]
    options += ["--database-url", "sqlite:///:memory:", "--disable-api-nodes"]
    log = base / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "main.py", *options],
            cwd=os.environ["COMFYUI_DIR"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


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
