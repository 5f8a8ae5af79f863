"""The rules of the house: who imports whom, and only by a room's face."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "callbacks",
    "exif",
    "files",
    "lazy",
    "options",
    "owners",
    "version",
}  # files of the root that know no room
MAY_IMPORT = {
    "nodes": {"pipeline", "host"},
    "headless": {"pipeline", "nodes", "host", "video"},  # of clips: stand-in, cluster
    "pipeline": {"model", "video"},
    "host": {"headless"},  # the stand-in, when there is no ComfyUI
    "model": set(),
    "video": set(),
    "training": {"pipeline", "model", "video"},
    "benchmarks": {"pipeline", "model", "video"},
}
# Rooms within rooms, which have a face of their own.
FACES = {
    "headless/cluster",
    "headless/standin",
    "model/colorizationnet",
    "model/ddcolor",
    "model/temporal",
    "pipeline/photo",
    "pipeline/segments",
}


def modules():
    return [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path, everywhere=True):
    """The modules of the pack that the file imports, or those that it imports when it is loaded."""
    here = path.relative_to(ROOT).parent.parts
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            module = base + tuple((node.module or "").split(".") if node.module else ())
            for name in node.names:
                inner = (*module, name.name)
                is_module = ROOT.joinpath(*inner).is_dir() or _file(inner).is_file()
                yield inner if is_module and name.name not in offered(module) else module
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("colorizationnet"):
            pytest.fail(f"{path} imports the pack by its name, which ComfyUI changes")


@cache
def offered(package):
    """The names that a room's face imports from its files."""
    face = ROOT.joinpath(*package, "__init__.py")
    if not package or not face.is_file():
        return set()
    nodes = ast.walk(ast.parse(face.read_text()))
    return {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}


def _file(parts):
    return ROOT.joinpath(*parts[:-1], f"{parts[-1]}.py") if parts else ROOT / "__init__.py"


def face(parts):
    """The room that a module belongs to: the innermost that has a face."""
    for length in range(len(parts), 1, -1):
        if "/".join(parts[:length]) in FACES:
            return parts[:length]
    return parts[:1]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_keep_to_the_rules(path):
    room = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        if not module or module[0] in SMALL:
            continue
        assert module[0] == room or module[0] in MAY_IMPORT[room], f"{room} imports {module[0]}"
        if room == "host" and module[:2] == ("headless", "standin"):
            continue
        theirs = face(module)
        if module == ("host", "base") or module == ("host", "paths"):
            theirs = module  # what hosts are made with
        assert module[0] == room or module == theirs, f"{'.'.join(module)}: import it from {theirs}"


def test_nothing_below_the_nodes_knows_a_host():
    below = [
        path
        for path in modules()
        if path.relative_to(ROOT).parts[0] in ("pipeline", "model", "video")
    ]
    assert not [path for path in below if any("host" in module[:1] for module in imports(path))]


@pytest.mark.parametrize("face", ["pipeline", "pipeline.photo"])
def test_a_face_offers_what_it_lists(face):
    room = import_module(f"colorizationnet.{face}")
    assert all(getattr(room, name) is not None for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        room.nothing  # noqa: B018


def test_no_room_imports_in_a_circle():
    graph = {path: set() for path in modules()}
    for path in graph:
        for module in imports(path, everywhere=False):
            for found in (_file(module), ROOT.joinpath(*module, "__init__.py")):
                if found in graph and found != path and not _is_own_face(path, found):
                    graph[path].add(found)
    done = set()

    def visit(path, trail):
        assert path not in trail, " -> ".join(
            str(step.relative_to(ROOT)) for step in (*trail, path)
        )
        if path not in done:
            for other in graph[path]:
                visit(other, (*trail, path))
            done.add(path)

    for path in graph:
        visit(path, ())


def _is_own_face(path, found):
    return found.name == "__init__.py" and found.parent in path.parents


def test_every_room_that_users_need_is_installed():
    listed = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    packages = set(re.findall(r'"colorizationnet\.([\w.]+)"', listed[1]))
    rooms = {
        str(face.parent.relative_to(ROOT)).replace("/", ".")
        for room in MAY_IMPORT
        for face in (ROOT / room).rglob("__init__.py")
        if room not in ("training", "benchmarks")
    }
    assert packages == rooms


def test_ci_runs_the_readmes_own_command():
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    start = commands.index("python3 -m venv .venv")
    assert " && ".join(commands[start : start + 3]) in (ROOT / "README.md").read_text()


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_are_there(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_.]+/[\w./]+\.(?:py|md|json))`", text))
    named |= {str(page.parent / link) for link in re.findall(r"\]\((?!http)([^)#]+)\)", text)}
    assert not [name for name in named - {"nodes/my_node.py"} if not (ROOT / name).exists()]
