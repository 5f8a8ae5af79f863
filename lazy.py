"""Rooms whose parts are imported when they are asked for: torch takes a second or two."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` (PEP 562) for the names, parted by spaces, of each module."""
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def getattr_(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name], package), name)

    return getattr_
