"""A safetensors file: its header, and its tensors when they are wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open


class WeightsError(ValueError):
    """The file holds no usable weights; the message names the file and the remedy."""


class WeightsFile:
    """What the header of the file at ``path`` says: ``metadata`` and the tensors' ``shapes``.

    Raises ``FileNotFoundError`` when there is no such file and `WeightsError` when it is not
    safetensors. No tensor is read before `tensors` is called.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no weights file {self.path}; check the name.")
        if self.path.suffix != ".safetensors":
            raise WeightsError(
                f"{self.path} is not a .safetensors file; pickled weights are never loaded: "
                "colorizationnet convert writes them as safetensors."
            )
        try:
            with safe_open(self.path, framework="pt") as file:
                self.metadata: Mapping[str, str] = file.metadata() or {}
                self.shapes: dict[str, tuple[int, ...]] = {
                    key: tuple(file.get_slice(key).get_shape())
                    for key in file.keys()  # noqa: SIM118, not a mapping
                }
        except (SafetensorError, OSError) as error:
            raise self._unreadable(error) from error

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors, as they are stored."""
        try:
            with safe_open(self.path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in self.shapes}
        except (SafetensorError, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> WeightsError:
        return WeightsError(
            f"{self.path} cannot be read as safetensors ({short(str(error), 200)}); download or "
            "save it again."
        )


def short(text: str, longest: int = 60) -> str:
    """What a file says, for a message: on one line, cut, harmless to a terminal."""
    text = text if len(text) <= longest else f"{text[:longest]} ..."
    return text if text.isprintable() else text.encode("unicode_escape").decode()
