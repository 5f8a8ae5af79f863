"""What ComfyUI's page shows on a node beside its widgets."""

from __future__ import annotations

import sys
from typing import Any


def page_server() -> Any | None:
    """The server of ComfyUI's page; None where there is no page, as in a script."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def show_text(text: str) -> None:
    """Show ``text`` on the node that runs."""
    server, running = page_server(), sys.modules.get("comfy_execution.utils")
    if server is None or running is None:
        return
    if (context := running.get_executing_context()) is not None:
        server.send_progress_text(text, context.node_id)
