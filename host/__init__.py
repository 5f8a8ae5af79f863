"""The one door to whatever runs the graph: ComfyUI, or the embedded host when it is not there.

Both hosts offer the same names, listed in `EXPORTS`; nodes import them from here and never learn
which one answers.
"""

import sys

EXPORTS = (
    "OutOfMemory",
    "Progress",
    "SavePath",
    "best_dtype",
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
    "soft_empty_cache",
    "temp_folder",
    "ui",
    "video_from_file",
    "video_source",
)

# ComfyUI imports both before it loads any custom node; nothing else brings them in.
if {"folder_paths", "comfy_api.latest"} <= sys.modules.keys():
    from . import comfyui as _host
else:
    from . import embedded as _host

globals().update({name: getattr(_host, name) for name in EXPORTS})
__all__ = list(EXPORTS)
