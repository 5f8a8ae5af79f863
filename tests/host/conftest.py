"""A real ComfyUI with the pack in it, when COMFYUI_DIR names a checkout."""

import pytest
import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.model.colorizationnet.weights import save_model
from real_comfyui import base_folder, running


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A base folder with the pack linked into it, inputs, and weights of our own."""
    base = base_folder(tmp_path_factory.mktemp("comfyui"))
    torch.manual_seed(0)
    network = ColorizationNet()
    with torch.no_grad():
        network.conv4.weight.mul_(40)  # untrained weights give hardly any colour
    save_model(network, base / "models/colorization/test.safetensors", {})
    return base


@pytest.fixture(scope="session")
def server(base):
    """The address of a ComfyUI that runs on the CPU until the tests are over."""
    with running(base, "--disable-api-nodes") as address:
        yield address
