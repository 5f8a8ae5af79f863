"""The host where there is no ComfyUI: plain folders, CPU or GPU, a progress bar in the terminal."""

from __future__ import annotations

import copy
import functools
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from ...callbacks import Check
from ...files import temp_prefix
from ...host import Progress, SavePath, VideoSource, made_by, paths
from ...options import SHIPPED_WEIGHTS
from . import schema as io
from .clip import VideoFromFile

MODELS_DIR = Path("models", "colorization")  # as in ComfyUI's own folder


class StandInHost:
    """`Host` by three folders. Several may be at work in one process.

    With ``metadata`` off, files carry nothing of what made them. Its temp folder is removed when
    nothing refers to the host any more.
    """

    def __init__(
        self,
        input: str | os.PathLike = ".",
        output: str | os.PathLike = "output",
        models: str | os.PathLike = MODELS_DIR,
        *,
        metadata: bool = True,
    ) -> None:
        self.input, self.output, self.models = Path(input), Path(output), Path(models)
        self._metadata = metadata
        self._temp = _TempFolder()
        self._title = "working"

    def titled(self, title: str) -> StandInHost:
        """This host, whose progress bars are called ``title``: for the node that runs now."""
        host = copy.copy(self)
        host._title = title
        return host

    def extension(self, nodes: list[type[io.ComfyNode]]) -> NoReturn:
        raise RuntimeError("ComfyUI is not running here; use the command line.")

    def progress(self, total: int, title: str | None = None) -> Progress:
        return TerminalProgress(total, title or self._title, self.check_cancelled)

    def check_cancelled(self) -> None:
        """Nothing to do: Ctrl-C raises KeyboardInterrupt by itself."""

    def device(self) -> torch.device:
        """The first CUDA or Apple device, else the CPU."""
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

    def precision(self, name: str) -> str:
        return name

    def free_memory(self) -> int | None:
        """What Linux says; other systems have no common way to ask."""
        if not os.path.exists("/proc/meminfo"):
            return None
        with open("/proc/meminfo") as file:
            sizes = dict(line.split(":") for line in file)
        return int(sizes["MemAvailable"].split()[0]) * 1024

    def wrap_model(self, network: torch.nn.Module) -> torch.nn.Module:
        return network

    def load_to_device(self, handle: Any, memory_required: int = 0) -> torch.nn.Module:
        return handle.to(self.device())

    def to_output(self, tensor: torch.Tensor) -> torch.Tensor:
        """Float32 on the CPU."""
        return tensor.to("cpu", torch.float32)

    def input_files(self, kind: str) -> list[str]:
        return paths.list_files(self._folder("input"), kind)

    def input_path(self, name: str, kind: str | None = None) -> Path:
        folders = {where: self._folder(where) for where in ("input", "output", "temp")}
        return paths.find_input(name, folders, kind)

    def folder_files(
        self, name: str, kind: str, suffixes: Collection[str] | None = None
    ) -> list[Path]:
        folders = {where: self._folder(where) for where in ("input", "output", "temp")}
        return paths.find_files(name, folders, kind, suffixes)

    def output_path(
        self, prefix: str, suffix: str, width: int = 0, height: int = 0, folder: str = "output"
    ) -> SavePath:
        prefix = paths.expand(prefix, width, height)
        return paths.free_path(self._folder(folder), prefix, suffix, folder)

    def output_folder(self, name: str) -> Path:
        return paths.find_folder(self._folder("output"), paths.expand(name, 0, 0), "output")

    def taught_folder(self) -> Path:
        return self._temp.path / "taught"

    def models_folder(self) -> Path:
        return self.models

    def model_names(self) -> list[str]:
        files = self.models.rglob("*.safetensors")
        names = {str(file.relative_to(self.models)) for file in files} - {SHIPPED_WEIGHTS.name}
        return [SHIPPED_WEIGHTS.name, *sorted(names)]

    def model_path(self, name: str) -> Path:
        if name not in self.model_names():
            raise ValueError(
                f"There are no weights {name!r}; put the .safetensors file into "
                f"{self.models.resolve()}."
            )
        own = self.models / name
        return own if own.is_file() else SHIPPED_WEIGHTS

    def metadata(self, cls: type[io.ComfyNode]) -> dict[str, str]:
        if cls.hidden is None or not self._metadata:  # outside a graph, or not wanted
            return {}
        values = {"prompt": cls.hidden.prompt} | (cls.hidden.extra_pnginfo or {})
        texts = {key: json.dumps(value) for key, value in values.items() if value is not None}
        return texts | made_by(cls.hidden.prompt or {}, self.model_path)

    def video_from_file(self, path: str | Path) -> VideoFromFile:
        return VideoFromFile(path)

    def video_source(self, video: VideoFromFile) -> VideoSource:
        return VideoSource(Path(video.get_stream_source()), *video.get_active_trim_window())

    def _folder(self, kind: str) -> str:
        return str({"input": self.input, "output": self.output}.get(kind) or self._temp.path)


class TerminalProgress(Progress):
    """A bar under the name of the running node, if there is a terminal; it shows no previews."""

    shows_previews = False

    def __init__(self, total: int, title: str, check: Check) -> None:
        super().__init__(total, check)
        self._bar = tqdm(total=total, desc=title, leave=False, dynamic_ncols=True, disable=None)

    def _show(self, image: torch.Tensor | None) -> None:
        self._bar.total = self.total
        self._bar.update(self.done - self._bar.n)

    def tell(self, text: str) -> None:
        self._bar.set_postfix_str(text)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class _TempFolder:
    """A folder, made at its first use and removed with this object or at the program's end."""

    @functools.cached_property
    def path(self) -> Path:
        path = tempfile.mkdtemp(prefix=temp_prefix())
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return Path(path)
