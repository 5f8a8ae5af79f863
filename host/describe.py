"""What a node can tell of a file before it runs: the page asks, and shows it beside the widgets."""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import io


def answer_descriptions(nodes: list[type[io.ComfyNode]]) -> None:
    """Answer ``GET /colorizationnet/describe/NODE?name=value`` by ``describe(name=value)``.

    For the nodes that have such a class method, which gives what JSON can hold.
    """
    instance = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if instance is None:  # ComfyUI without its page, as in a script
        return
    from aiohttp import web

    known: dict[str, Any] = {
        node.GET_SCHEMA().node_id: node for node in nodes if hasattr(node, "describe")
    }

    @instance.routes.get("/colorizationnet/describe/{node}")
    async def describe(request: web.Request) -> web.Response:
        node = known.get(request.match_info["node"])
        if node is None:
            return web.Response(status=404)
        try:
            return web.json_response(await asyncio.to_thread(node.describe, **request.query))
        except (OSError, ValueError, TypeError) as error:
            return web.Response(status=400, text=str(error))
