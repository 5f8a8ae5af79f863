"""Nothing is taught twice: networks that were taught, kept in a folder of bounded size."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..model import TEACHING, ColorizationNet, Network, WeightsError, load_model, save_model
from ..options import TeachOptions

log = logging.getLogger(__name__)

MAX_BYTES = 256 * 2**20  # two hundred networks


class TaughtNetworks:
    """A cache of taught networks below ``folder``, at most ``max_bytes``; the oldest used go first.

    It only saves time: where its folder cannot be read or written, everything is taught anew.
    """

    def __init__(self, folder: str | os.PathLike, max_bytes: int = MAX_BYTES) -> None:
        self.folder, self.max_bytes = Path(folder), max_bytes

    def find(self, key: str) -> ColorizationNet | None:
        """The network that was kept as ``key``, on the CPU."""
        path = self._path(key)
        try:
            network = load_model(path)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, WeightsError) as error:
            log.warning("A taught network is not used again: %s", error)
            with suppress(OSError):
                path.unlink()
            return None
        return cast(ColorizationNet, network)

    def keep(self, key: str, network: ColorizationNet) -> None:
        """Keep ``network`` as ``key``; written whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_model(network, self._path(key), network.metadata)
            self._make_room()
        except OSError as error:
            log.warning("What was taught is not kept for the next time: %s", error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _make_room(self) -> None:
        files = [(file.stat(), file) for file in self.folder.glob("*.safetensors")]
        left = sum(stat.st_size for stat, _ in files) - self.max_bytes
        for stat, file in sorted(files, key=lambda found: found[0].st_mtime_ns):
            if left <= 0:
                return
            file.unlink(missing_ok=True)
            left -= stat.st_size


def teaching_key(
    network: Network,
    references: Sequence[Tensor],
    options: TeachOptions,
    masks: Sequence[Tensor | None] | None,
    device: torch.device | str,
) -> str:
    """What tells one teaching from another: all that its result depends on, as a digest."""
    digest = hashlib.sha256(repr((TEACHING, astuple(options), torch.device(device).type)).encode())
    tensors = [*cast(torch.nn.Module, network).state_dict().values(), *references]
    for tensor in [*tensors, *(masks or ())]:
        values = torch.zeros(0) if tensor is None else tensor.detach().to("cpu", torch.float32)
        digest.update(repr(tuple(values.shape)).encode() + values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
