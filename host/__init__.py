"""The one door to whatever runs the graph: ComfyUI, or the embedded host when it is not there.

Both hosts offer the same names, listed in `EXPORTS`; nodes import them from here and never learn
which one answers.
"""

import sys
from importlib import import_module

EXPORTS = (
    "Progress",
    "SavePath",
    "check_cancelled",
    "device",
    "extension",
    "free_memory",
    "input_files",
    "input_path",
    "intermediate",
    "io",
    "load",
    "manage",
    "metadata",
    "model_names",
    "model_path",
    "models_folder",
    "output_path",
    "precision",
    "temp_folder",
    "ui",
    "video_from_file",
    "video_source",
)


def __getattr__(name: str):
    """Import the host when a name of it is first needed: `--help` needs none, and no torch."""
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # ComfyUI imports both before it loads any custom node; nothing else brings them in.
    in_comfyui = {"folder_paths", "comfy_api.latest"} <= sys.modules.keys()
    host = ".comfyui" if in_comfyui else "..headless.standin.host"
    return getattr(import_module(host, __name__), name)
