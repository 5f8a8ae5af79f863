"""ColorizationNet's weights on disk: safetensors in, safetensors out, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from ...files import AtomicOutput
from ...options import MAX_RENDER_SIZE, MAX_SATURATION, QUALITIES
from ..weights_file import WeightsError, WeightsFile, short
from .network import ColorizationNet

MAX_ACTIVATION = 1e30  # float32 ends at 3e38; trained weights stay below 1e9


def detect(keys: Iterable[str]) -> bool:
    """Whether a file with tensors of these names is meant for ColorizationNet."""
    return bool({"conv1.weight", "conv4.bias"} & set(keys))


def load(file: WeightsFile) -> ColorizationNet:
    """The network with the weights of ``file``, in eval mode, as float32.

    Raises `WeightsError` when a tensor is missing, unknown, of another shape, not finite, or so
    large that it would give NaN, and for metadata that steers the colours out of range; names and
    shapes are looked at before a tensor is read.
    """
    network = ColorizationNet()
    expected = network.state_dict()
    _raise_if(_mismatches(file.shapes, expected), file.path)
    _check_metadata(file.metadata, file.path)
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
    problems += [f"{short(key)} is unknown" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        shape = tuple(expected[key].shape)
        if found[key] != shape:
            problems.append(f"{key} has shape {short(str(found[key]))} where {shape} belongs")
    return problems


def _check_metadata(metadata: Mapping[str, str], path: Path) -> None:
    """Raise `WeightsError` for settings in a file's metadata that no `ColorOptions` could have."""
    for name, most in (
        ("render_size", MAX_RENDER_SIZE),
        ("saturation", MAX_SATURATION),
        ("tint", 1),
    ):
        given = metadata.get(name)
        if given is None:
            continue
        try:
            value = int(given) if name == "render_size" else float(given)
            is_odd = not 0 <= value <= most  # so written, NaN is odd as well
        except ValueError:
            is_odd = True
        if is_odd:
            raise WeightsError(
                f"{path} says in its metadata that its {name} is {short(given)}; save it with a "
                f"number from 0 to {most}."
            )
    quality = metadata.get("quality", "full")
    if quality not in QUALITIES[1:]:
        raise WeightsError(
            f"{path} says in its metadata that its quality is {short(quality)}; save it with one "
            f"of {', '.join(QUALITIES[1:])}."
        )


def _unusable(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    problems = []
    for key, tensor in tensors.items():
        if not tensor.is_floating_point():
            problems.append(f"{key} holds {tensor.dtype}, not floating-point numbers")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{key} holds NaN or infinity")
    if not problems and _bound(tensors) > MAX_ACTIVATION:
        problems.append("their numbers are so large that the network would overflow")
    return problems


def _bound(tensors: Mapping[str, torch.Tensor]) -> float:
    """What no activation exceeds, whatever the luma: by the rows' sums, layer by layer."""
    bound = 1.0
    for layer in ("conv1", "conv2", "conv3", "conv4"):
        weight, bias = (tensors[f"{layer}.{part}"].double().abs() for part in ("weight", "bias"))
        bound = float((weight.sum((1, 2, 3)) * bound + bias).max())
    return bound


def _raise_if(problems: list[str], path: Path) -> None:
    if problems:
        few = "; ".join(sorted(problems)[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(
            f"{path} does not hold ColorizationNet weights: {few}{more}. "
            "Choose a file made for this network."
        )
