"""What the nodes that load files ask of a name."""

from __future__ import annotations

from ....host import current


def check_input(name: str, kind: str | None) -> bool | str:
    """True, or what is wrong with the name of an input file of ``kind``."""
    try:
        current().input_path(name, kind)
    except (OSError, ValueError) as error:
        return str(error)
    return True
