"""The host is ComfyUI: its folders, its model management, its progress bar and its cancel button.

Everything that ComfyUI may swap after start is read as an attribute at the time of use.
"""

# pyright: reportMissingImports=false
# ComfyUI is no package that could be installed.

from __future__ import annotations

import inspect
import io as bytes_io
import json
import logging
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import ComfyExtension, Input, InputImpl, io
from PIL import Image

from ..files import AtomicOutput
from ..options import SHIPPED_WEIGHTS
from . import paths
from .base import Progress, VideoSource
from .describe import answer_descriptions
from .origin import made_by
from .page import show_text
from .paths import SavePath

log = logging.getLogger(__name__)

MODELS = "colorization"
SAMPLES = Path(__file__).parents[1] / "workflows" / "samples"
OFFERED = ".colorizationnet_samples"  # in the input folder: the names of those that it has got


class ComfyUIHost:
    """`Host` by ComfyUI. Making one lets ComfyUI look for weights where this pack has them."""

    def __init__(self) -> None:
        _register_models()

    def extension(self, nodes: list[type[io.ComfyNode]]) -> ComfyExtension:
        _offer_samples()
        answer_descriptions(nodes)

        class Extension(ComfyExtension):
            async def get_node_list(self) -> list[type[io.ComfyNode]]:
                return nodes

        return Extension()

    def progress(self, total: int, title: str | None = None) -> Progress:
        return _NodeProgress(total)

    def check_cancelled(self) -> None:
        management.throw_exception_if_processing_interrupted()

    def device(self) -> torch.device:
        return management.get_torch_device()

    def precision(self, name: str) -> str:
        """What "auto" means on a GPU, by what ComfyUI knows of it and was told; else ``name``."""
        if name != "auto" or self.device().type == "cpu":
            return name
        if management.should_use_fp16(self.device()):
            return "fp16"
        return "bf16" if management.should_use_bf16(self.device()) else "fp32"

    def free_memory(self) -> int:
        return int(management.get_free_memory(torch.device("cpu")))

    def wrap_model(self, network: torch.nn.Module) -> Any:
        patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
        return patcher(
            network,
            load_device=management.get_torch_device(),
            offload_device=management.unet_offload_device(),
        )

    def load_to_device(self, handle: Any, memory_required: int = 0) -> torch.nn.Module:
        management.load_models_gpu([handle], memory_required=memory_required)
        return handle.model

    def to_output(self, tensor: torch.Tensor) -> torch.Tensor:
        # intermediate_dtype is younger than the oldest ComfyUI that we run in.
        dtype = getattr(management, "intermediate_dtype", lambda: torch.float32)()
        return tensor.to(management.intermediate_device(), dtype)

    def input_files(self, kind: str) -> list[str]:
        return paths.list_files(_folder("input"), kind)

    def input_path(self, name: str, kind: str | None = None) -> Path:
        folders = {where: _folder(where) for where in ("input", "output", "temp")}
        return paths.find_input(name, folders, kind)

    def folder_files(
        self, name: str, kind: str, suffixes: Collection[str] | None = None
    ) -> list[Path]:
        folders = {where: _folder(where) for where in ("input", "output", "temp")}
        return paths.find_files(name, folders, kind, suffixes)

    def output_path(
        self, prefix: str, suffix: str, width: int = 0, height: int = 0, folder: str = "output"
    ) -> SavePath:
        return paths.free_path(_folder(folder), paths.expand(prefix, width, height), suffix, folder)

    def output_folder(self, name: str) -> Path:
        return paths.find_folder(_folder("output"), paths.expand(name, 0, 0), "output")

    def taught_folder(self) -> Path:
        # A folder of the program, which no page of its server can read.
        return Path(folder_paths.get_system_user_directory("colorizationnet"), "taught")

    def models_folder(self) -> Path:
        return Path(folder_paths.get_folder_paths(MODELS)[0])

    def model_names(self) -> list[str]:
        names = folder_paths.get_filename_list(MODELS)
        return [SHIPPED_WEIGHTS.name, *(name for name in names if name != SHIPPED_WEIGHTS.name)]

    def model_path(self, name: str) -> Path:
        path = folder_paths.get_full_path(MODELS, name) if name in self.model_names() else None
        if path is None:
            raise ValueError(
                f"There are no weights {name!r}; put the .safetensors file into "
                f"{self.models_folder()}."
            )
        return Path(path)

    def metadata(self, cls: type[io.ComfyNode]) -> dict[str, str]:
        if args.disable_metadata:
            return {}
        values = {"prompt": cls.hidden.prompt} | (cls.hidden.extra_pnginfo or {})
        texts = {key: json.dumps(value) for key, value in values.items() if value is not None}
        return texts | made_by(cls.hidden.prompt or {}, self.model_path)

    def video_from_file(self, path: str | Path) -> Input.Video:
        return InputImpl.VideoFromFile(str(path))

    def video_source(self, video: Input.Video) -> VideoSource:
        """The file behind any VIDEO; one that is none yet is written by ComfyUI, as it can best."""
        if _has_file(video) and _tells_its_window(video):
            window = video.get_active_trim_window() if hasattr(video, "as_trimmed") else (0.0, 0.0)
            source = video.get_stream_source()
            if not isinstance(source, bytes_io.BytesIO):
                return VideoSource(Path(source), *window)
            path = self._unused()
            with path.open("xb") as file:
                shutil.copyfileobj(source, file)
            return VideoSource(path, *window)
        path = self._unused()
        # The luma of this file is what the result keeps, so it must not lose any.
        lossless = {"crf": 0} if "crf" in inspect.signature(video.save_to).parameters else {}
        video.save_to(str(path), **lossless)
        return VideoSource(path)

    def _unused(self) -> Path:
        return self.output_path("source", ".mp4", folder="temp").path


class _NodeProgress(Progress):
    """The bar on the running node; ComfyUI sends every preview that it gets."""

    def __init__(self, total: int) -> None:
        super().__init__(total, management.throw_exception_if_processing_interrupted)
        self._bar = comfy.utils.ProgressBar(total)

    def _show(self, image: torch.Tensor | None) -> None:
        preview = None
        if image is not None:
            levels = image.mul(255).round().clamp(0, 255).byte().cpu().numpy()
            preview = "JPEG", Image.fromarray(levels), args.preview_size
        self._bar.update_absolute(self.done, self.total, preview)

    def tell(self, text: str) -> None:
        show_text(text)


def _folder(kind: str) -> str:
    return folder_paths.get_directory_by_type(kind)


def _register_models() -> None:
    """Let ComfyUI look for *.safetensors in models/colorization, then in the pack."""
    # extra_model_paths.yaml or another pack may have made the entry, of lists, sets or tuples.
    folders, extensions = folder_paths.folder_names_and_paths.get(MODELS, ([], set()))
    ours = str(Path(folder_paths.models_dir, MODELS)), str(SHIPPED_WEIGHTS.parent)
    folder_paths.folder_names_and_paths[MODELS] = (
        list(dict.fromkeys([*folders, *ours])),
        type(extensions)(dict.fromkeys([*extensions, ".safetensors"])),
    )


def _offer_samples() -> None:
    """Put the templates' pictures and clips into the input folder; what is there stays.

    Right in it but for the album: ComfyUI's loaders list no others, and its editor marks a template
    red that names a file which is not in the list. What was offered once and deleted is not offered
    again.
    """
    folder = Path(_folder("input"))
    files = (file for file in sorted(SAMPLES.rglob("*")) if file.suffix != ".md")
    samples = [file.relative_to(SAMPLES).as_posix() for file in files if file.is_file()]
    offered = folder / OFFERED
    try:
        known = offered.read_text(errors="replace").splitlines() if offered.is_file() else []
        new = [name for name in samples if name not in known]
        missing = [name for name in new if not (folder / name).exists()]
        for name in missing:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with AtomicOutput(folder / name) as part:
                shutil.copyfile(SAMPLES / name, part)
        if new:
            with AtomicOutput(offered, overwrite=True) as part:
                part.write_text("".join(f"{name}\n" for name in sorted({*known, *samples})))
    except OSError as error:
        log.warning("ColorizationNet's samples are not in the input folder: %s", error)
        return
    if missing:
        log.info("ColorizationNet's samples are in the input folder: %s", ", ".join(missing))


def _has_file(video: Input.Video) -> bool:
    return type(video).get_stream_source is not Input.Video.get_stream_source


def _tells_its_window(video: Input.Video) -> bool:
    # For some releases ComfyUI could trim a clip but not say where.
    return hasattr(video, "get_active_trim_window") or not hasattr(video, "as_trimmed")
