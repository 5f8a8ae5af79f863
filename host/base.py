"""What a node may ask of whatever runs the graph. No torch is imported here."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..callbacks import Check
from .paths import SavePath

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from . import io

    Preview = Callable[[], Tensor] | Tensor

PREVIEW_INTERVAL = 0.5  # seconds; a browser draws no more of them, and each is a JPEG to encode


class VideoSource(NamedTuple):
    """The file behind a VIDEO and the part of it that counts, in seconds; duration 0: the rest."""

    path: Path
    start: float = 0.0
    duration: float = 0.0


def verdict(ask: Callable[..., object], *arguments: object) -> bool | str:
    """What a node's ``validate_inputs`` says of a name that ``ask`` may refuse: True, or why."""
    try:
        ask(*arguments)
    except (OSError, ValueError) as error:
        return str(error)
    return True


class Progress(ABC):
    """A piece of work as the user sees it: how much is done and, now and then, a picture.

    A context manager. Each report notices a cancel and raises what `Host.check_cancelled` raises.
    A preview is an RGB picture ``(H, W, 3)`` in [0, 1], or better a function that makes one: it is
    called only when the picture will be shown, at most twice a second.
    """

    shows_previews = True

    def __init__(self, total: int, check: Check) -> None:
        self.done, self.total = 0, total
        self._check = check
        self._next_preview = 0.0

    def report(self, done: int, total: int, preview: Preview | None = None) -> None:
        """``done`` of ``total`` steps are done: what the pipeline takes as ``on_progress``."""
        self._check()
        image = None
        if preview is not None and self.shows_previews and time.monotonic() >= self._next_preview:
            image = preview() if callable(preview) else preview
            self._next_preview = time.monotonic() + PREVIEW_INTERVAL
        self.done, self.total = done, total
        self._show(image)

    def tell(self, text: str) -> None:  # noqa: B027, a host may have no room for it
        """Say in a few words what is being done now, or what came of it."""

    @abstractmethod
    def _show(self, image: Tensor | None) -> None:
        """Bring ``done``, ``total`` and ``image`` to the user."""

    def __enter__(self) -> Progress:
        self._check()
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027, a host's bar may need no end
        pass


class Host(Protocol):
    """Folders, models, devices, progress and cancel of the program that runs the graph."""

    def extension(self, nodes: list[type[io.ComfyNode]]) -> Any:
        """What `comfy_entrypoint` returns for ``nodes``."""
        ...

    def progress(self, total: int, title: str | None = None) -> Progress:
        """A bar over ``total`` steps; ``title`` is for hosts that do not show it on a node."""
        ...

    def check_cancelled(self) -> None:
        """Raise the host's own interrupt when the user has cancelled."""
        ...

    def device(self) -> torch.device:
        """Where networks run."""
        ...

    def precision(self, name: str) -> str:
        """What precision "auto" means here, if the host has an opinion; else ``name``."""
        ...

    def free_memory(self) -> int | None:
        """Bytes of main memory that can still be had; None where that is not known."""
        ...

    def wrap_model(self, network: nn.Module) -> Any:
        """The handle of ``network`` in the host's model management, for `load_to_device`."""
        ...

    def load_to_device(self, handle: Any, memory_required: int = 0) -> nn.Module:
        """The network of ``handle`` on its device, with ``memory_required`` bytes free for work."""
        ...

    def to_output(self, tensor: Tensor) -> Tensor:
        """``tensor`` where, and as, values travel between nodes."""
        ...

    def input_files(self, kind: str) -> list[str]:
        """Names of the pictures (``kind`` "image") or clips ("video") in the input folder."""
        ...

    def input_path(self, name: str, kind: str | None = None) -> Path:
        """The file that a widget's text names: ``a.png``, ``sub/a.png`` or ``a.png [output]``.

        Raises ``FileNotFoundError`` when it is missing, ``ValueError`` when it leads outside its
        folder or, for a ``kind`` "image" or "video", has no suffix of that kind.
        """
        ...

    def folder_files(
        self, name: str, kind: str, suffixes: Collection[str] | None = None
    ) -> list[Path]:
        """The pictures or clips right in a folder, by the numbers in their names, then by name.

        ``name`` is below the input folder, or ``keys [output]``. They are told by their suffixes:
        those of the ``kind``, or others. Raises ``FileNotFoundError`` for
        a folder that is missing or holds none, ``ValueError`` for one outside.
        """
        ...

    def output_path(
        self, prefix: str, suffix: str, width: int = 0, height: int = 0, folder: str = "output"
    ) -> SavePath:
        """The next free file ``<prefix>_00001_<suffix>`` in the "output" or "temp" folder.

        ``width`` and ``height`` in pixels are for ``%width%`` and ``%height%`` in the prefix.
        Raises ``ValueError`` for a prefix that leads outside the folder.
        """
        ...

    def output_folder(self, name: str) -> Path:
        """The folder ``name`` below the output folder, made when it is missing.

        Raises ``ValueError`` for a name that leads outside.
        """
        ...

    def taught_folder(self) -> Path:
        """Where what was taught is kept, so that nothing is taught twice; it may not exist yet."""
        ...

    def models_folder(self) -> Path:
        """Where taught models are kept."""
        ...

    def model_names(self) -> list[str]:
        """The shipped weights, then the ``*.safetensors`` of the models folder."""
        ...

    def model_path(self, name: str) -> Path:
        """The weights file ``name``; a user's own comes before a shipped one of the same name.

        Raises ``ValueError`` when it is not one of `model_names`.
        """
        ...

    def metadata(self, cls: type[io.ComfyNode]) -> dict[str, str]:
        """What made the file that node ``cls`` writes, as JSON by name, if that is wanted.

        ``prompt`` and ``workflow`` as ComfyUI has them, and `made_by`'s.
        """
        ...

    def video_from_file(self, path: str | Path) -> Any:
        """The VIDEO of a file; nothing of it is read into memory."""
        ...

    def video_source(self, video: Any) -> VideoSource:
        """The file behind any VIDEO; one that is no file yet is written into the temp folder."""
        ...
