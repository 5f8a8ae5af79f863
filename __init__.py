"""ColorizationNet: colour for black-and-white photos and film, as ComfyUI nodes.

ComfyUI reads `comfy_entrypoint` and `WEB_DIRECTORY`; nothing heavy is imported before it asks.
"""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from . import host, nodes

    return host.current().extension(nodes.NODES)
