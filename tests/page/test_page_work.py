"""Working in the page: finding nodes, a cancel, an error, a result dropped back on the canvas."""

import json
import logging
from pathlib import Path

import pytest
from editor import Editor

BLUEPRINTS = sorted((Path(__file__).parents[2] / "subgraphs").glob("*.json"))

# What a user types, one of our nodes, and how far down it may stand. The editor ranks by names;
# other words that it is found by come after all names that look alike, and 64 are shown.
WORDS = {
    "color": ("Colorize Images", 12), "colour": ("Colorize Images", 12),
    "colorize": ("Colorize Images", 3), "colorise": ("Colorize Images", 8),
    "film": ("Colorize Video", 6), "movie": ("Colorize Video", 8),
    "old photo": ("Colorize Images", 3), "restore": ("Colorize Images", 6),
    "black and white": ("Colorize Images", 6), "b&w": ("Colorize Images", 3),
    "sepia": ("Colorize Images", 6), "deoldify": ("Colorize Images", 3),
    "ddcolor": ("Colorize Images", 10), "flicker": ("Stabilize Colors", 3),
    "stabilize": ("Stabilize Colors", 3), "keyframe": ("Shot Keyframes", 10),
    "strokes": ("Teach ColorizationNet", 3), "teach": ("Teach ColorizationNet", 3),
    "train": ("Teach ColorizationNet", 40), "paint": ("Teach ColorizationNet", 40),
    "reference": ("Reference Colorization", 8), "video": ("Video Colorization", 12),
    "album": ("Colorize Photo Folder", 3), "film by keyframes": ("Colorize Film By Keyframes", 3),
}  # fmt: skip
# Front-ends of 1.37 and before search names alone, and do not know other words for a node.
NAMES_ONLY = (1, 37)
IN_NAMES = {
    "color", "colour", "colorize", "colorise", "ddcolor", "stabilize", "keyframe", "teach",
    "reference", "video", "film by keyframes",
}  # fmt: skip


@pytest.fixture(scope="module")
def ranks(server, browser):
    """Where in the search each word finds its node."""
    editor = Editor(browser, server)
    version = editor.page.evaluate("window.__COMFYUI_FRONTEND_VERSION__")
    is_old = tuple(map(int, version.split(".")[:2])) <= NAMES_ONLY
    found = {}
    for word, (name, _) in WORDS.items():
        if is_old and word not in IN_NAMES:
            continue
        names = editor.search(word)
        found[word] = names.index(name) + 1 if name in names else None
    editor.close()
    logging.getLogger(__name__).info("ranks: %s", found)
    return found


@pytest.mark.parametrize("word", WORDS)
def test_the_search_lists_our_node_near_the_top(ranks, word):
    if word not in ranks:
        pytest.skip("this front-end searches names alone")
    assert ranks[word] is not None and ranks[word] <= WORDS[word][1]


def test_an_output_on_the_canvas_gives_its_workflow_back(editor, base):
    editor.template("01 Colorize Photo")
    editor.vary("ColorizationNetColorizeImages")
    before, files = editor.types(), set(base.glob("output/colorized/photo_*"))
    editor.run()
    (saved,) = set(base.glob("output/colorized/photo_*")) - files
    editor.command("Comfy.NewBlankWorkflow")
    editor.wait(lambda: editor.types() == [])
    editor.drop(saved, "image/png")
    editor.wait(lambda: editor.types() == before)


def test_a_clip_on_the_canvas_gives_its_workflow_back(editor, base):
    editor.template("02 Colorize Film")
    editor.vary("ColorizationNetColorizeVideo")
    before, files = editor.types(), set(base.glob("output/colorized/film_*"))
    editor.run()
    (saved,) = set(base.glob("output/colorized/film_*")) - files
    editor.command("Comfy.NewBlankWorkflow")
    editor.wait(lambda: editor.types() == [])
    editor.drop(saved, "video/mp4")
    editor.wait(lambda: editor.types() == before)


def test_a_cancel_stops_the_work_without_an_error(editor, base):
    editor.template("03 Teach From One Frame")
    editor.set("ColorizationNetTeach", "steps", 10_000)
    files = set(base.glob("output/colorized/taught_*"))
    editor.press_run()
    before = set(editor.ask("history"))
    editor.wait(lambda: editor.ask("queue")["queue_running"])
    editor.page.wait_for_timeout(1000)
    editor.command("Comfy.Interrupt")
    editor.wait(lambda: set(editor.ask("history")) - before)
    (number,) = set(editor.ask("history")) - before
    messages = editor.ask("history")[number]["status"]["messages"]
    assert messages[-1][0] == "execution_interrupted"
    assert set(base.glob("output/colorized/taught_*")) == files
    assert not editor.errors


def test_an_errors_sentence_is_visible(editor):
    editor.template("05 Colorize Film By Keyframes")
    cut = "app.graph.nodes.find(n => n.type == 'ColorizationNetColorizeVideo').disconnectInput(3)"
    editor.page.evaluate(cut)
    editor.run()
    editor.page.get_by_text("View details").or_(
        editor.page.get_by_text("Show report")
    ).first.click()
    sentence = "Coloured keyframes need the SHOTS of Shot Keyframes"
    editor.page.get_by_text(sentence).first.wait_for(timeout=10_000)


def test_the_node_says_which_shot_it_colours(editor):
    editor.template("05 Colorize Film By Keyframes")
    editor.vary("ColorizationNetColorizeVideo")
    before = editor.press_run()
    says = """() => app.graph.nodes.find(node => node.type == 'ColorizationNetColorizeVideo')
      .widgets.some(widget => /^shot 1 of \\d+: (teaching|colouring)$/.test(widget.value))"""
    editor.page.wait_for_function(says, timeout=60_000)
    editor.wait(lambda: set(editor.ask("history")) - before)


@pytest.fixture
def french(server, browser, rendering):
    editor = Editor(browser, server, rendering, language="fr")
    yield editor
    editor.close()


def test_a_note_is_read_in_the_language_of_the_page(french):
    french.template("03 Teach From One Frame")
    note = "app.graph.nodes.find(node => node.type == 'MarkdownNote')"
    title = "Apprendre d'une image : que faire"
    french.page.wait_for_function(f'{note}.title == "{title}"', timeout=10_000)
    text = french.page.evaluate(f"{note}.widgets[0].value")
    load = french.page.evaluate("app.graph.nodes.find(node => node.type == 'LoadImage').title")
    assert text.startswith(f"## **{load}** : une image du plan en couleur")
    assert "Donnez un **nom de fichier** pour" in text


def test_an_app_shows_its_widgets_runs_and_shows_the_result(editor):
    editor.choose("01 Colorize Photo.app")
    page = editor.page
    tour = page.get_by_test_id("coach-landing-overlay")  # offered whoever opens a first app
    page.add_locator_handler(tour, lambda: page.keyboard.press("Escape"))
    run = page.get_by_text("Run", exact=True).locator("visible=true").last
    run.wait_for()
    for name in ("strength", "saturation", "look"):
        page.get_by_text(name, exact=True).locator("visible=true").first.wait_for()
    editor.vary("ColorizationNetColorizeImages")
    before = set(editor.ask("history"))
    run.click()
    editor.wait(lambda: set(editor.ask("history")) - before)
    large = "image => image.naturalWidth == 640 && image.getBoundingClientRect().width > 300"
    page.wait_for_function(f"[...document.images].some({large})", timeout=30_000)
    assert not editor.errors


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_node_that_holds_its_own(blueprint, editor):
    (graph,) = json.loads(blueprint.read_text())["definitions"]["subgraphs"]
    editor.command("Comfy.NewBlankWorkflow")
    editor.wait(lambda: editor.types() == [])
    editor.command("Workspace.SearchBox.Toggle")
    editor.page.wait_for_function("document.activeElement?.tagName == 'INPUT'")
    editor.page.keyboard.type(blueprint.stem)
    found = editor.page.get_by_role("option").filter(has_text=blueprint.stem).first
    found.wait_for()
    editor.page.wait_for_timeout(1000)  # the list follows the keys with a delay
    found.click()
    editor.page.mouse.click(700, 400)  # where it shall lie
    editor.wait(lambda: editor.types())
    inside = "app.graph.nodes.map(node => node.subgraph?.nodes.map(inner => inner.type))"
    assert editor.page.evaluate(inside) == [[node["type"] for node in graph["nodes"]]]
    assert not editor.problems() and not editor.errors


def test_the_loader_says_how_long_and_how_fast_its_clip_is(editor):
    editor.template("11 Colorize Clip")
    labels = """() => app.graph.nodes.find(n => n.type == 'ColorizationNetLoadVideo')
      .widgets.map(widget => widget.label)"""
    wanted = {"frame_count (0 = 100)", "rate (0 = 25)", "short_side (0 = 360)"}
    editor.wait(lambda: wanted <= set(editor.page.evaluate(labels)))
    if editor.page.locator(".lg-node").count():
        editor.page.get_by_text("frame_count (0 = 100)").first.wait_for()
