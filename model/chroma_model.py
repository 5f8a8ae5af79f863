"""What a network must offer to colour pictures and film here."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..callbacks import Check
from ..options import ColorOptions


class ChromaModel(Protocol):
    """Luma in, chroma out, at the size at which the network looks; chosen by `ColorOptions`.

    Luma is Rec. 601 of the encoded values, ``(B, 1, h, w)`` in [0, 1]; chroma is ``(Cb, Cr)`` in
    [-0.5, 0.5], ``(B, 2, h, w)``.
    """

    device: torch.device
    """Where it works, and where its results are."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width, at most the picture's own, at which it looks at such a picture."""
        ...

    def chroma(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The chroma ``(B, 2, h, w)`` float32 of small ``luma`` ``(B, 1, h, w)``, saturated.

        ``check`` is called several times a second; what it raises ends the work.
        """
        ...

    def rgb(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The network's own picture ``(B, 3, h, w)`` in [0, 1] of small ``luma``."""
        ...


class Network(Protocol):
    """A loaded network, which a host moves between devices: a ``torch.nn.Module`` that offers this.

    ``metadata`` is what its file says of it.
    """

    metadata: dict[str, str]

    detailed: bool
    """Whether its chroma has edges of its own, as that of a large network; else it is smooth."""

    teachable: bool
    """Whether `pipeline.teaching` can give it a shot's colours."""

    def chroma_model(
        self, options: ColorOptions, device: torch.device | str = "cpu", *, film: bool = False
    ) -> ChromaModel:
        """The network as ``options`` say, on ``device``; ``film``: for many frames in order."""
        ...

    def memory_required(
        self, options: ColorOptions, count: int, height: int, width: int, *, film: bool = False
    ) -> int:
        """Bytes that a device needs for ``count`` pictures of ``height`` x ``width`` at a time."""
        ...
