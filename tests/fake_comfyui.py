"""The modules of ComfyUI that the pack imports, as small fakes, and the pack loaded into them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from colorizationnet.headless.standin import schema, ui

ROOT = Path(__file__).parents[1]
PACK = "custom_nodes_colorizationnet"  # ComfyUI gives packs names of its own


class Interrupted(BaseException):
    """Like ComfyUI's own, which no `except Exception` catches."""


class Video:
    """`Input.Video`, whose subclasses know the file behind them, or do not."""

    def get_stream_source(self):
        raise NotImplementedError

    def get_active_trim_window(self):
        return 0.0, 0.0

    def as_trimmed(self, start_time, duration):
        raise NotImplementedError

    def save_to(self, path, metadata=None, crf=None):
        Path(path).write_text(f"encoded with crf {crf}")


class VideoFromFile(Video):
    def __init__(self, file, start_time=0.0, duration=0.0):
        self.file, self.window = file, (start_time, duration)

    def get_stream_source(self):
        return self.file

    def get_active_trim_window(self):
        return self.window


class VideoFromComponents(Video):
    pass


class ProgressBar:
    """`comfy.utils.ProgressBar`: every update of every bar goes into the list ``shown``."""

    def __init__(self, total, shown):
        self.shown = shown

    def update_absolute(self, value, total=None, preview=None):
        self.shown.append((value, total, preview))


class ModelPatcher:
    def __init__(self, model, load_device, offload_device):
        self.model, self.devices = model, (load_device, offload_device)


class ComfyUI:
    """What the fakes answer, to set, and what they were given, to look at."""

    def __init__(self, base: Path, model_folders: dict | None = None) -> None:
        self.base = base
        self.model_folders = {} if model_folders is None else model_folders
        for folder in ("input", "output", "models/colorization"):
            (base / folder).mkdir(parents=True)
        self.cancelled = False
        self.device = torch.device("cpu")
        self.fast_dtypes: set[str] = set()
        self.shown: list[tuple] = []
        self.loaded: list[tuple] = []
        self.args = SimpleNamespace(disable_metadata=False, preview_size=512)
        self.management = _module(
            get_torch_device=lambda: self.device,
            unet_offload_device=lambda: torch.device("cpu"),
            intermediate_device=lambda: torch.device("cpu"),
            intermediate_dtype=lambda: torch.float16,
            get_free_memory=lambda device: 1e9,
            should_use_fp16=lambda device: "fp16" in self.fast_dtypes,
            should_use_bf16=lambda device: "bf16" in self.fast_dtypes,
            load_models_gpu=lambda models, memory_required: self.loaded.append(
                (models, memory_required)
            ),
            throw_exception_if_processing_interrupted=self._throw,
        )

    def _throw(self):
        if self.cancelled:
            raise Interrupted

    def _files(self, kind):
        folders, suffixes = self.model_folders[kind]
        return [
            file
            for folder in folders
            for file in sorted(Path(folder).glob("*"))
            if file.suffix in suffixes or not suffixes
        ]

    def _full_path(self, kind, name):
        return next((str(file) for file in self._files(kind) if file.name == name), None)

    def _modules(self) -> dict[str, ModuleType]:
        comfy = {
            "cli_args": _module(args=self.args),
            "model_management": self.management,
            "model_patcher": _module(ModelPatcher=ModelPatcher),
            "utils": _module(ProgressBar=lambda total: ProgressBar(total, self.shown)),
        }
        latest = _module(
            ComfyExtension=type("ComfyExtension", (), {}),
            Input=SimpleNamespace(Video=Video),
            InputImpl=SimpleNamespace(VideoFromFile=VideoFromFile),
            io=schema,
            ui=ui,
        )
        folder_paths = _module(
            models_dir=str(self.base / "models"),
            folder_names_and_paths=self.model_folders,
            get_directory_by_type=lambda kind: str(self.base / kind),
            get_folder_paths=lambda kind: self.model_folders[kind][0][:],
            get_filename_list=lambda kind: sorted({file.name for file in self._files(kind)}),
            get_full_path=self._full_path,
        )
        return {
            "comfy": _module(**comfy),
            **{f"comfy.{name}": module for name, module in comfy.items()},
            "comfy_api": _module(latest=latest),
            "comfy_api.latest": latest,
            "folder_paths": folder_paths,
        }

    @contextmanager
    def with_pack(self) -> Iterator[ModuleType]:
        """The pack, imported as ComfyUI does it: its folder, under another name."""
        fakes = self._modules()
        sys.modules.update(fakes)
        spec = spec_from_file_location(
            PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        pack = sys.modules[PACK] = module_from_spec(spec)
        try:
            spec.loader.exec_module(pack)
            yield pack
        finally:
            for name in [*fakes, *(name for name in sys.modules if name.startswith(PACK))]:
                del sys.modules[name]


def _module(**members) -> ModuleType:
    module = ModuleType("fake")
    vars(module).update(members, __path__=[])
    return module
