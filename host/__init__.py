"""The one door to whatever runs the graph: ComfyUI, or the stand-in where it is not there.

Nodes get `io` and `ui`, the classes that they are declared with, and `current`, the host that runs
them; they never learn which one it is. Importing this room imports no torch of itself.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from .base import Host, Progress, VideoSource, verdict
from .origin import KEY, PROMPT, WORKFLOW, for_clip, made_by, record
from .paths import SUFFIXES, SavePath

# ComfyUI imports both before it loads any custom node; nothing else brings them in.
IN_COMFYUI = {"folder_paths", "comfy_api.latest"} <= sys.modules.keys()

if TYPE_CHECKING or not IN_COMFYUI:
    from ..headless.standin import schema as io
    from ..headless.standin import ui
else:
    from comfy_api.latest import io, ui

__all__ = [
    "KEY",
    "PROMPT",
    "SUFFIXES",
    "WORKFLOW",
    "Host",
    "Progress",
    "SavePath",
    "VideoSource",
    "current",
    "for_clip",
    "io",
    "made_by",
    "record",
    "ui",
    "use",
    "verdict",
]

_current: ContextVar[Host | None] = ContextVar("host", default=None)
AnyHost = TypeVar("AnyHost", bound=Host)


def current() -> Host:
    """The host that `use` put in charge of this thread, else the program's own.

    That is ComfyUI where it runs, and a stand-in with its default folders where it does not.
    """
    return _current.get() or _of_the_program()


@contextmanager
def use(host: AnyHost) -> Iterator[AnyHost]:
    """Put ``host`` in charge of what this thread does in the block."""
    token = _current.set(host)
    try:
        yield host
    finally:
        _current.reset(token)


@functools.cache
def _of_the_program() -> Host:
    if IN_COMFYUI:
        from .comfyui import ComfyUIHost

        return ComfyUIHost()
    from ..headless.standin.host import StandInHost

    return StandInHost()
