"""The pack's nodes by name."""

from colorizationnet.nodes import NODES

BY_ID = {node.GET_SCHEMA().node_id: node for node in NODES}


def node(name):
    return BY_ID[f"ColorizationNet{name}"]


def colorize_video(model, video, saturation=1.0, **given):
    """The film that Colorize Video makes of one; its inputs come as lists."""
    given = {"model": model, "video": video, "render_size": -1, "strength": 1.0} | given
    given |= {"saturation": saturation, "stability": 0.5}
    lists = {name: [value] for name, value in given.items()}
    ((colored,),) = node("ColorizeVideo").execute(**lists).args
    return colored
