"""The editor shows the nodes in its own languages: each has every text, and none that is stale."""

import json
from pathlib import Path

import pytest
from colorizationnet.nodes import NODES

LOCALES = Path(__file__).parents[1] / "locales"
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir())
SCHEMAS = [node.GET_SCHEMA() for node in NODES]


def texts(value, place=()):
    """Each text in nested dictionaries, by where it stands."""
    if isinstance(value, str):
        return {place: value}
    found = {}
    for key, inner in value.items():
        found |= texts(inner, (*place, key))
    return found


def english():
    """What the schemas say, as the editor's ``nodeDefs.json`` has it."""
    defs = {}
    for schema in SCHEMAS:
        inputs = {
            socket.id: {"name": socket.display_name or socket.id, "tooltip": socket.tooltip}
            for socket in schema.inputs
        }
        outputs = {}
        for number, socket in enumerate(schema.outputs):
            outputs[str(number)] = {"name": socket.display_name or socket.id}
            if socket.tooltip:
                outputs[str(number)]["tooltip"] = socket.tooltip
        defs[schema.node_id] = {
            "display_name": schema.display_name,
            "description": schema.description,
            "inputs": inputs,
            "outputs": outputs,
        }
    return texts(defs)


def read(language):
    return texts(json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8")))


def test_the_editors_languages_are_there():
    assert {"en", "zh", "zh-TW", "ja", "ko", "ru", "fr", "es", "de"} <= set(LANGUAGES)


def test_english_is_what_the_nodes_say():
    assert read("en") == english()


@pytest.mark.parametrize("language", LANGUAGES)
def test_none_lacks_a_text_and_none_has_a_stale_one(language):
    found = read(language)
    assert found.keys() == english().keys()
    assert all(text.strip() for text in found.values())


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_sentences_are_translated(language):
    source, found = english(), read(language)
    long = [place for place in source if place[-1] in ("description", "tooltip")]
    assert not [place for place in long if found[place] == source[place]]
