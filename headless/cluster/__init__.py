"""Films and photos on the machines of a Ray cluster; Ray is imported when one is asked for."""

from typing import TYPE_CHECKING

from ...lazy import imported_on_demand

if TYPE_CHECKING:
    from .connect import connected
    from .engine import Engine
    from .report import Piece, Report

__all__ = ["Engine", "Piece", "Report", "connected"]

# A wrong address is told before torch is imported.
__getattr__ = imported_on_demand(
    __name__,
    {
        ".connect": "connected",
        ".engine": "Engine",
        ".report": "Piece Report",
    },
)
