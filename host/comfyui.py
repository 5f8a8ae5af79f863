"""The host is ComfyUI: its folders, its model management, its progress bar and its cancel button.

Everything that ComfyUI may swap after start is read as an attribute at the time of use.
"""

from __future__ import annotations

import inspect
import io as bytes_io
import json
import shutil
import time
from pathlib import Path

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import ComfyExtension, Input, InputImpl, io, ui  # noqa: F401, for the door
from PIL import Image

from . import paths
from .paths import SHIPPED, SavePath

MODELS = "colorization"
PREVIEW_INTERVAL = 0.5  # seconds; ComfyUI sends every preview that it gets


def _register_models() -> None:
    """Let ComfyUI look for *.safetensors in models/colorization, then in the pack."""
    # extra_model_paths.yaml may have made the entry already, without any extension.
    folders, extensions = folder_paths.folder_names_and_paths.setdefault(MODELS, ([], set()))
    extensions.add(".safetensors")
    for folder in (Path(folder_paths.models_dir, MODELS), SHIPPED.parent):
        if str(folder) not in folders:
            folders.append(str(folder))


_register_models()


def extension(nodes: list[type[io.ComfyNode]]) -> ComfyExtension:
    """What `comfy_entrypoint` returns for `nodes`."""

    class Extension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return nodes

    return Extension()


def _folder(kind: str) -> str:
    return folder_paths.get_directory_by_type(kind)


def input_files(kind: str) -> list[str]:
    """Names of the pictures (`kind` "image") or clips ("video") in the input folder."""
    return paths.list_files(_folder("input"), kind)


def input_path(name: str) -> Path:
    """The file that a widget's text names: `a.png`, `sub/a.png` or `a.png [output]`.

    Raises FileNotFoundError when it is missing, ValueError when it leads outside its folder.
    """
    return paths.find_input(name, {kind: _folder(kind) for kind in ("input", "output", "temp")})


def output_path(
    prefix: str, suffix: str, width: int = 0, height: int = 0, folder: str = "output"
) -> SavePath:
    """The next free file `<prefix>_00001_<suffix>` in the "output" or "temp" folder.

    Raises ValueError for a prefix that leads outside it.
    """
    prefix = paths.expand(prefix, width, height)
    return next(paths.free_paths(_folder(folder), prefix, suffix, folder))


def temp_folder() -> Path:
    """Where files may be put that ComfyUI deletes when it starts and ends."""
    folder = Path(_folder("temp"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def models_folder() -> Path:
    """Where taught models are kept."""
    return Path(folder_paths.get_folder_paths(MODELS)[0])


def model_names() -> list[str]:
    """The shipped weights, then the *.safetensors of models/colorization."""
    names = folder_paths.get_filename_list(MODELS)
    return [SHIPPED.name, *(name for name in names if name != SHIPPED.name)]


def model_path(name: str) -> Path:
    """The weights file `name`; a user's own comes before a shipped one of the same name.

    Raises ValueError when it is not one of `model_names()`.
    """
    path = folder_paths.get_full_path(MODELS, name) if name in model_names() else None
    if path is None:
        raise ValueError(
            f"There are no weights {name!r}; put the .safetensors file into {models_folder()}."
        )
    return Path(path)


def metadata(cls: type[io.ComfyNode]) -> dict[str, str]:
    """Prompt and workflow as JSON, for the file that node `cls` writes; empty if not wanted."""
    if args.disable_metadata:
        return {}
    values = {"prompt": cls.hidden.prompt} | (cls.hidden.extra_pnginfo or {})
    return {key: json.dumps(value) for key, value in values.items() if value is not None}


def check_cancelled() -> None:
    """Raise ComfyUI's own interrupt when the user has cancelled."""
    management.throw_exception_if_processing_interrupted()


class Progress:
    """The node's progress bar over `total` steps; every update notices a cancel."""

    def __init__(self, total: int):
        self._bar = comfy.utils.ProgressBar(total)
        self._shown = -PREVIEW_INTERVAL

    def update(self, n: int = 1, preview=None) -> None:
        """Move on by `n` and show `preview`, an (H, W, 3) tensor in [0, 1] or a PIL image."""
        check_cancelled()
        image, now = None, time.monotonic()
        if preview is not None and now - self._shown >= PREVIEW_INTERVAL:
            image, self._shown = ("JPEG", _picture(preview), args.preview_size), now
        self._bar.update_absolute(self._bar.current + n, preview=image)

    def __enter__(self) -> Progress:
        check_cancelled()
        return self

    def __exit__(self, *_) -> None:
        pass


def _picture(preview: torch.Tensor | Image.Image) -> Image.Image:
    if isinstance(preview, Image.Image):
        return preview
    return Image.fromarray(preview.mul(255).round().clamp(0, 255).byte().cpu().numpy())


def device() -> torch.device:
    """Where networks run."""
    return management.get_torch_device()


def precision(name: str) -> str:
    """What "auto" means on a GPU, by what ComfyUI knows of it and was told; else `name`."""
    if name != "auto" or device().type == "cpu":
        return name
    if management.should_use_fp16(device()):
        return "fp16"
    return "bf16" if management.should_use_bf16(device()) else "fp32"


def intermediate(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` where, and as, ComfyUI keeps what travels between nodes."""
    # intermediate_dtype is younger than the oldest ComfyUI that we run in.
    dtype = getattr(management, "intermediate_dtype", lambda: torch.float32)()
    return tensor.to(management.intermediate_device(), dtype)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on `device`."""
    return int(management.get_free_memory(device))


def manage(network: torch.nn.Module):
    """Hand `network` to ComfyUI's model management; what comes back goes to `load`."""
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return patcher(
        network,
        load_device=management.get_torch_device(),
        offload_device=management.unet_offload_device(),
    )


def load(handle, memory_required: int = 0) -> torch.nn.Module:
    """The network of `handle` on its device, with `memory_required` bytes free for its work."""
    management.load_models_gpu([handle], memory_required=memory_required)
    return handle.model


def video_from_file(path: str | Path) -> Input.Video:
    """The VIDEO of a file; nothing of it is read into memory."""
    return InputImpl.VideoFromFile(str(path))


def video_source(video: Input.Video, folder: str | Path) -> tuple[Path, float, float]:
    """`(file, start, duration)` of any VIDEO, in seconds; a duration of 0 is to the end.

    A clip that is not a file yet is written into `folder`, by the host, as well as it can.
    """
    if type(video).get_stream_source is not Input.Video.get_stream_source and _window_known(video):
        window = video.get_active_trim_window() if hasattr(video, "as_trimmed") else (0.0, 0.0)
        source = video.get_stream_source()
        if isinstance(source, bytes_io.BytesIO):
            path = _unused(folder)
            with open(path, "xb") as file:
                shutil.copyfileobj(source, file)
            return path, *window
        return Path(source), *window
    path = _unused(folder)
    # The luma of this file is what the result keeps, so it must not lose any.
    lossless = {"crf": 0} if "crf" in inspect.signature(video.save_to).parameters else {}
    video.save_to(str(path), **lossless)
    return path, 0.0, 0.0


def _window_known(video: Input.Video) -> bool:
    # For some releases ComfyUI could trim a clip but not say where.
    return hasattr(video, "get_active_trim_window") or not hasattr(video, "as_trimmed")


def _unused(folder: str | Path) -> Path:
    return next(paths.free_paths(str(folder), "source", ".mp4", "temp")).path
