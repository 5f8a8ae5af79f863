"""Which state of a source file segments are of, and what else they depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...model import Network
from ...video import VideoError

SAMPLE = 1 << 16  # bytes at either end of a file that are compared


@dataclass(frozen=True)
class SourceState:
    """A file as it was when a film was begun."""

    path: Path
    size: int
    mtime_ns: int
    ends: str

    @classmethod
    def of(cls, path: str | os.PathLike) -> SourceState:
        """The file at ``path`` as it is now; raises `VideoError` when it cannot be read."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                facts = os.fstat(file.fileno())
                digest = hashlib.sha256(file.read(SAMPLE))
                file.seek(max(0, facts.st_size - SAMPLE))
                digest.update(file.read(SAMPLE))
        except OSError as error:
            raise VideoError(f"{path} cannot be read ({error.strerror}).") from None
        return cls(path, facts.st_size, facts.st_mtime_ns, digest.hexdigest()[:16])

    @property
    def identity(self) -> tuple[str, int, int, str]:
        """What tells this state of it from others, wherever it lies."""
        return self.path.name, self.size, self.mtime_ns, self.ends

    def check(self) -> None:
        """Raise `VideoError` when the file has been written to since."""
        try:
            facts = os.stat(self.path)
        except OSError as error:
            raise VideoError(f"{self.path} cannot be read any more ({error.strerror}).") from None
        if (facts.st_size, facts.st_mtime_ns) != (self.size, self.mtime_ns):
            raise VideoError(
                f"{self.path} has changed since its colouring began; start again once it is whole."
            )


def digest(*values: object) -> str:
    """A short digest of plain values, by what they print as."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]


def digest_of_network(network: Network) -> str:
    """A digest of the network's weights and of what its file says of them."""
    tensors = dict(network.state_dict()) if isinstance(network, torch.nn.Module) else {}
    found = hashlib.sha256(repr(sorted(network.metadata.items())).encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(_bytes(tensors[name]))
    return found.hexdigest()[:16]


def digest_of_images(images: Sequence[Tensor] | None) -> str:
    """A digest of pictures; of none."""
    if images is None:
        return ""
    found = hashlib.sha256()
    for image in images:
        found.update(repr(tuple(image.shape)).encode())
        found.update(_bytes(image))
    return found.hexdigest()[:16]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
