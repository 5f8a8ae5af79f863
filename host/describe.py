"""What a node can tell of a file before it runs: the page asks, and shows it beside the widgets."""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .page import page_server

if TYPE_CHECKING:
    from . import io


def answer_descriptions(nodes: list[type[io.ComfyNode]]) -> None:
    """Answer ``GET /colorizationnet/describe/NODE?name=value`` by ``describe(name=value)``.

    For the nodes that have such a class method, which gives what JSON can hold.
    """
    server = page_server()
    if server is None:
        return
    from aiohttp import web

    known: dict[str, Any] = {
        node.GET_SCHEMA().node_id: node for node in nodes if hasattr(node, "describe")
    }

    @server.routes.get("/colorizationnet/describe/{node}")
    async def describe(request: web.Request) -> web.Response:
        node = known.get(request.match_info["node"])
        if node is None:
            return web.Response(status=404)
        try:
            return web.json_response(await asyncio.to_thread(node.describe, **request.query))
        except (OSError, ValueError, TypeError) as error:
            return web.Response(status=400, text=str(error))
