"""The host when there is no ComfyUI: plain folders, CPU or GPU, a progress bar in the terminal."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from ...host import paths
from ...host.paths import SHIPPED, SavePath
from . import schema as io
from . import ui  # noqa: F401, for the door
from .clip import VideoFromFile


@functools.cache
def _process_temp() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="colorizationnet-")


@dataclass
class Settings:
    """What ComfyUI's start options say there; set it before a graph runs."""

    input: Path = Path()
    output: Path = Path("output")
    models: Path = Path("models", "colorization")
    node: str = "working"  # the node that runs now, as the progress bar calls it

    def folder(self, kind: str) -> str:
        """The "input", "output" or "temp" folder; temp lives as long as the process."""
        return str(_process_temp().name if kind == "temp" else getattr(self, kind))


settings = Settings()


def extension(nodes: list[type[io.ComfyNode]]):
    """Only ComfyUI asks for this."""
    raise RuntimeError("ComfyUI is not running here; use the command line.")


def input_files(kind: str) -> list[str]:
    """Names of the pictures (`kind` "image") or clips ("video") in the input folder."""
    return paths.list_files(settings.folder("input"), kind)


def input_path(name: str) -> Path:
    """The file that a widget's text names: `a.png`, `sub/a.png` or `a.png [output]`.

    Raises FileNotFoundError when it is missing, ValueError when it leads outside its folder.
    """
    kinds = ("input", "output", "temp")
    return paths.find_input(name, {kind: settings.folder(kind) for kind in kinds})


def output_path(
    prefix: str, suffix: str, width: int = 0, height: int = 0, folder: str = "output"
) -> SavePath:
    """The next free file `<prefix>_00001_<suffix>` in the "output" or "temp" folder.

    Raises ValueError for a prefix that leads outside it.
    """
    prefix = paths.expand(prefix, width, height)
    return next(paths.free_paths(settings.folder(folder), prefix, suffix, folder))


def temp_folder() -> Path:
    """Where files may be put that are gone when the process ends."""
    return Path(settings.folder("temp"))


def models_folder() -> Path:
    """Where taught models are kept."""
    return settings.models


def model_names() -> list[str]:
    """The shipped weights, then the *.safetensors of the models folder."""
    files = settings.models.rglob("*.safetensors")
    names = {str(file.relative_to(settings.models)) for file in files} - {SHIPPED.name}
    return [SHIPPED.name, *sorted(names)]


def model_path(name: str) -> Path:
    """The weights file `name`; a user's own comes before a shipped one of the same name.

    Raises ValueError when it is not one of `model_names()`.
    """
    if name not in model_names():
        raise ValueError(
            f"There are no weights {name!r}; put the .safetensors file into "
            f"{settings.models.resolve()}."
        )
    own = settings.models / name
    return own if own.is_file() else SHIPPED


def metadata(cls: type[io.ComfyNode]) -> dict[str, str]:
    """Prompt and workflow as JSON, for the file that node `cls` writes; none outside a graph."""
    if cls.hidden is None:
        return {}
    values = {"prompt": cls.hidden.prompt} | (cls.hidden.extra_pnginfo or {})
    return {key: json.dumps(value) for key, value in values.items() if value is not None}


def check_cancelled() -> None:
    """Nothing to do: Ctrl-C raises KeyboardInterrupt by itself."""


class Progress:
    """A bar over `total` steps, if there is a terminal, under the name of the running node."""

    def __init__(self, total: int):
        self._bar = tqdm(
            total=total, desc=settings.node, leave=False, dynamic_ncols=True, disable=None
        )

    def update(self, n: int = 1, preview=None) -> None:
        """Move on by `n`; a terminal shows no preview."""
        self._bar.update(n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()


def device() -> torch.device:
    """Where networks run: the first CUDA or Apple device, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision(name: str) -> str:
    """`name`: without a host, the engine knows best what "auto" means."""
    return name


def intermediate(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` as it travels between nodes: float32 on the CPU."""
    return tensor.to("cpu", torch.float32)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on `device`."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if os.path.exists("/proc/meminfo"):
        with open("/proc/meminfo") as file:
            sizes = dict(line.split(":") for line in file)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    return 2 * 1024**3  # no portable way to ask; what any machine that runs torch can spare


def manage(network: torch.nn.Module) -> torch.nn.Module:
    """The handle that `load` takes; here the network itself."""
    return network


def load(handle: torch.nn.Module, memory_required: int = 0) -> torch.nn.Module:
    """The network of `handle` on its device."""
    return handle.to(device())


def video_from_file(path: str | Path) -> VideoFromFile:
    """The VIDEO of a file; nothing of it is read into memory."""
    return VideoFromFile(path)


def video_source(video: VideoFromFile, folder: str | Path) -> tuple[Path, float, float]:
    """`(file, start, duration)` of a VIDEO, in seconds; a duration of 0 is to the end."""
    return Path(video.get_stream_source()), 0.0, 0.0
