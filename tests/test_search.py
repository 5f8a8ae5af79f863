"""What a user types into the editor's node search finds the node that does it.

The editor looks in a node's id, display name and search aliases.
"""

import pytest
from colorizationnet.nodes import NODES

PHOTO, FILM, TEACH = "ColorizeImages", "ColorizeVideo", "Teach"
WORDS = {
    "color": [PHOTO, FILM], "colour": [PHOTO, FILM], "colorize": [PHOTO, FILM],
    "colorise": [PHOTO, FILM], "black and white": [PHOTO, FILM], "b&w": [PHOTO, FILM],
    "sepia": [PHOTO, FILM], "restore": [PHOTO, FILM], "deoldify": [PHOTO, FILM],
    "ddcolor": [PHOTO, FILM], "old photo": [PHOTO],
    "video": [FILM, "LoadVideo", "SaveVideo"], "film": [FILM], "movie": [FILM],
    "flicker": ["StabilizeColors"], "stabilize": ["StabilizeColors"],
    "keyframe": ["ShotKeyframes"],
    "reference": [TEACH], "paint": [TEACH], "strokes": [TEACH], "teach": [TEACH], "train": [TEACH],
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_finds_its_nodes(word):
    found = set()
    for node in NODES:
        schema = node.GET_SCHEMA()
        words = {alias.lower() for alias in schema.search_aliases}
        words |= set(schema.display_name.lower().split())
        if word in words:
            found.add(schema.node_id.removeprefix("ColorizationNet"))
    assert set(WORDS[word]) <= found
