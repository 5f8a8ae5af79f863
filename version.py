"""The pack's version, which stands in pyproject.toml."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def pack_version() -> str:
    """The version, whether the pack is installed or lies in a host's folder."""
    project = Path(__file__).with_name("pyproject.toml")
    if project.is_file():
        found = re.search(r'^version = "(.+)"$', project.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    try:
        return version("colorizationnet")
    except PackageNotFoundError:
        return "unknown"
