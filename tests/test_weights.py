"""Weights on disk: strict, safe, and told apart by name."""

import os
import pickle
import stat
from pathlib import Path

import pytest
import torch
from colorizationnet.model import ColorizationNet, WeightsError, load_model, save_model
from safetensors import safe_open
from safetensors.torch import save_file


@pytest.fixture
def state():
    return {key: tensor.clone() for key, tensor in ColorizationNet().state_dict().items()}


def test_what_is_saved_is_loaded(tmp_path, state):
    network = ColorizationNet()
    network.load_state_dict(state)
    save_model(network, tmp_path / "net.safetensors", {"license": "CC0-1.0"})
    loaded = load_model(tmp_path / "net.safetensors")
    assert not loaded.training and loaded.metadata["license"] == "CC0-1.0"
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_saved_weights_have_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    save_model(ColorizationNet(), tmp_path / "net.safetensors", {})
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("any", "net.safetensors")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_read(tmp_path, state, dtype):
    path = tmp_path / "net.safetensors"
    save_file({key: tensor.to(dtype) for key, tensor in state.items()}, path)
    loaded = load_model(path)
    assert loaded.conv1.weight.dtype == torch.float32
    assert torch.equal(loaded.conv1.weight, state["conv1.weight"].to(dtype).float())


def missing(state):
    del state["conv2.bias"]


def extra(state):
    state["conv5.weight"] = torch.zeros(1)


def misshapen(state):
    state["conv3.weight"] = torch.zeros(128, 64, 3, 3)


def infinite(state):
    state["conv4.bias"][1] = float("nan")


def integral(state):
    state["conv1.bias"] = torch.zeros(64, dtype=torch.int32)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, "conv2.bias is missing"),
        (extra, "conv5.weight is unknown"),
        (misshapen, r"conv3.weight has shape \(128, 64, 3, 3\) where \(128, 64, 5, 5\) belongs"),
        (infinite, "conv4.bias holds NaN or infinity"),
        (integral, "conv1.bias holds torch.int32"),
    ],
)
def test_spoilt_weights_are_named(tmp_path, state, spoil, words):
    spoil(state)
    save_file(state, tmp_path / "spoilt.safetensors")
    with pytest.raises(WeightsError, match=rf"spoilt\.safetensors.*{words}"):
        load_model(tmp_path / "spoilt.safetensors")


def test_pickles_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    for name in ("net.pth", "net.safetensors"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(WeightsError, match=name):
            load_model(path)
    assert not (tmp_path / "sprung").exists()


def test_torn_files_are_named(tmp_path, state):
    path = tmp_path / "torn.safetensors"
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="torn.safetensors cannot be read"):
        load_model(path)


def test_no_file_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.safetensors"):
        load_model(tmp_path / "nowhere.safetensors")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_model(ColorizationNet(), path, {"round": "first"})

    def full_disk(path, data):
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(ColorizationNet(), path, {"round": "second"})
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["round"] == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]
