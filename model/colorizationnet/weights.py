"""ColorizationNet's weights on disk: safetensors in, safetensors out, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from ...files import AtomicOutput
from ..weights_file import WeightsError, WeightsFile
from .network import ColorizationNet


def detect(keys: Iterable[str]) -> bool:
    """Whether a file with tensors of these names is meant for ColorizationNet."""
    return bool({"conv1.weight", "conv4.bias"} & set(keys))


def load(file: WeightsFile) -> ColorizationNet:
    """The network with the weights of ``file``, in eval mode, as float32.

    Raises `WeightsError` when a tensor is missing, unknown, of another shape, or not finite; names
    and shapes are looked at before a tensor is read.
    """
    network = ColorizationNet()
    expected = network.state_dict()
    _raise_if(_mismatches(file.shapes, expected), file.path)
    tensors = file.tensors()
    _raise_if(_unusable(tensors), file.path)
    network.load_state_dict(tensors)
    network.metadata = dict(file.metadata)
    return network.eval().requires_grad_(False)


def save_model(
    network: ColorizationNet,
    path: str | os.PathLike,
    metadata: Mapping[str, str],
    *,
    overwrite: bool = True,
) -> None:
    """Write the network's weights as float32 safetensors; whole or not at all.

    Raises ``FileExistsError`` when ``path`` is there and ``overwrite`` is off.
    """
    tensors = {
        key: tensor.detach().float().cpu().contiguous()
        for key, tensor in network.state_dict().items()
    }
    with AtomicOutput(path, overwrite=overwrite) as part:
        # Not save_file, whose files only their owner may read.
        part.write_bytes(save(tensors, metadata={"format": "pt", **metadata}))


def _mismatches(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, torch.Tensor]
) -> list[str]:
    problems = [f"{key} is missing" for key in expected if key not in found]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        shape = tuple(expected[key].shape)
        if found[key] != shape:
            problems.append(f"{key} has shape {found[key]} where {shape} belongs")
    return problems


def _unusable(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    problems = []
    for key, tensor in tensors.items():
        if not tensor.is_floating_point():
            problems.append(f"{key} holds {tensor.dtype}, not floating-point numbers")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{key} holds NaN or infinity")
    return problems


def _raise_if(problems: list[str], path: Path) -> None:
    if problems:
        few = "; ".join(sorted(problems)[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(
            f"{path} does not hold ColorizationNet weights: {few}{more}. "
            "Choose a file made for this network."
        )
