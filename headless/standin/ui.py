"""What a node shows, without ComfyUI: the part of `comfy_api.latest.ui` that the pack uses."""

from __future__ import annotations

from typing import Any

from .schema import FolderType


class SavedResult(dict):
    """A file that a node wrote: its name, its subfolder and the folder it is in."""

    def __init__(self, filename: str, subfolder: str, type: FolderType):
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)


class SavedImages:
    def __init__(self, results: list[SavedResult], is_animated: bool = False):
        self.results, self.is_animated = results, is_animated

    def as_dict(self) -> dict:
        return {"images": self.results} | ({"animated": (True,)} if self.is_animated else {})


class PreviewVideo:
    def __init__(self, values: list[SavedResult]):
        self.values = values

    def as_dict(self) -> dict:
        return {"images": self.values, "animated": (True,)}


class PreviewImage:
    """Pictures to look at in the node; there is no node to look at here, so none is written."""

    def __init__(self, image: Any, animated: bool = False, cls: Any = None):
        self.animated = animated

    def as_dict(self) -> dict:
        return {"images": [], "animated": (self.animated,)}
