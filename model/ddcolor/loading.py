"""DDColor's weights: which variant they are is deduced from their shapes, by spandrel."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ..weights_file import WeightsError, WeightsFile
from .network import DDColorNetwork

MARKS = {"refine_net.0.0.weight_orig", "encoder.arch.downsample_layers.0.0.weight"}


def detect(keys: Iterable[str]) -> bool:
    """Whether a file with tensors of these names is meant for DDColor."""
    return set(keys) >= MARKS


def load(file: WeightsFile) -> DDColorNetwork:
    """The network with the weights of ``file``, tiny or large, in eval mode, as float32.

    Raises `WeightsError` when spandrel's extra architectures are not installed, or the tensors are
    not those of a DDColor.
    """
    try:
        from spandrel_extra_arches.architectures.DDColor import DDColorArch
    except ImportError as error:
        raise WeightsError(
            f"{file.path} holds DDColor weights, which need another package: "
            "pip install spandrel-extra-arches."
        ) from error
    tensors = {key: tensor.float() for key, tensor in file.tensors().items()}
    if spoilt := [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise WeightsError(f"{file.path}: {spoilt[0][:60]} holds NaN or infinity; get it anew.")
    try:
        descriptor = DDColorArch().load(tensors)
        descriptor.model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{file.path} does not hold whole DDColor weights ({reason}); get it anew."
        ) from error
    if descriptor.model.num_output_channels != 2:
        raise WeightsError(f"{file.path} is a DDColor that gives no chroma; choose another.")
    return DDColorNetwork(descriptor.model, dict(file.metadata)).eval().requires_grad_(False)
