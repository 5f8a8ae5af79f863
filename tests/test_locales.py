"""The editor shows the nodes in its own languages: each has every text, and none that is stale."""

import json
import re
from pathlib import Path

import pytest
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.nodes import NODES

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
LOCALES = ROOT / "locales"
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir())
NAME = r"\{(\w+)(?:\.(\w+))?\}"  # of a node, and of a widget of it
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


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read(language):
    return texts(load(LOCALES / language / "nodeDefs.json"))


def notes(language):
    """What stands in the templates' notes, by the templates' names; {node} is that node's title."""
    return load(LOCALES / language / "main.json")["colorizationnet"]["notes"]


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


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_english_is_what_the_notes_say(path):
    workflow, schemas = load(path), [*SCHEMAS, *(node.GET_SCHEMA() for node in CORE_NODES)]
    titles = {schema.node_id: schema.display_name for schema in schemas}

    def title(found):
        assert found[1] in [node["type"] for node in workflow["nodes"]]
        return found[2] or titles[found[1]]

    (note,) = [node for node in workflow["nodes"] if node["type"] == "MarkdownNote"]
    said = notes("en")[path.name.split(" ", 1)[1].split(".")[0]]
    assert note["title"] == said["title"]
    assert note["widgets_values"] == [re.sub(NAME, title, said["text"])]


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_each_note_is_translated_and_names_what_the_template_has(language):
    source, found = notes("en"), notes(language)
    assert found.keys() == source.keys()
    for name, note in found.items():
        assert note["title"] != source[name]["title"] and note["text"] != source[name]["text"]
        named, known = (set(re.findall(NAME, text["text"])) for text in (note, source[name]))
        assert named >= known and named <= known | {("LoadImage", "")}
        assert note["text"].count("## ") == 2
