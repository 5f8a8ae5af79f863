"""Weights on disk: safetensors in, safetensors out, nothing else."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .network import ColorizationNet

SHIPPED = Path(__file__).with_name("colorizationnet.safetensors")


class WeightsError(ValueError):
    """The file holds no usable weights; the message names the file and the remedy."""


def load_model(path: str | os.PathLike | None = None) -> ColorizationNet:
    """Load a ``ColorizationNet`` in eval mode; ``None`` loads the weights shipped with the pack.

    The file's metadata (recipe, licence, best settings, as strings) becomes
    ``network.metadata``. Tensors may be stored in any floating-point type and are read as
    float32.

    Raises ``FileNotFoundError`` when there is no such file and ``WeightsError`` when it is not
    safetensors or a tensor is missing, unknown, of another shape, or not finite.
    """
    path = Path(SHIPPED if path is None else path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}; check the name.")
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is not a .safetensors file; pickled weights are never loaded, convert them "
            "to safetensors first."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors ({error}); download or save it again."
        ) from error
    network = ColorizationNet()
    _check(tensors, network.state_dict(), path)
    network.load_state_dict(tensors)
    network.metadata = metadata
    return network.eval().requires_grad_(False)


def save_model(network: ColorizationNet, path: str | os.PathLike, metadata: dict[str, str]) -> None:
    """Write the network's weights as float32 safetensors; whole or not at all."""
    path = Path(path)
    tensors = {
        key: tensor.detach().float().cpu().contiguous()
        for key, tensor in network.state_dict().items()
    }
    part = path.with_name(f".{path.name}.part")
    try:
        # Not save_file, whose files only their owner may read.
        part.write_bytes(save(tensors, metadata={"format": "pt", **metadata}))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _check(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path) -> None:
    problems = [f"{key} is missing" for key in expected if key not in found]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        tensor, shape = found[key], tuple(expected[key].shape)
        if tuple(tensor.shape) != shape:
            problems.append(f"{key} has shape {tuple(tensor.shape)} where {shape} belongs")
        elif not tensor.is_floating_point():
            problems.append(f"{key} holds {tensor.dtype}, not floating-point numbers")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{key} holds NaN or infinity")
    if problems:
        raise WeightsError(
            f"{path} does not hold ColorizationNet weights: {'; '.join(sorted(problems))}. "
            "Choose a file made for this network."
        )
