"""How long work tells of itself and hears a cancel: one shape everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Check = Callable[[], None]
"""Called several times a second; what it raises ends the work, and nothing half-done is left."""


class OnProgress(Protocol):
    """Hears how many of ``total`` steps are done.

    ``preview`` makes a small picture ``(H, W, 3)`` in [0, 1] of what was done last; it costs
    something, so it is called only when the picture will be shown.
    """

    def __call__(
        self, done: int, total: int, preview: Callable[[], Tensor] | None = None, /
    ) -> None: ...
