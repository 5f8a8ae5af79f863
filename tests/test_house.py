"""The rules of the house: who imports whom, and only by a room's face."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {"callbacks", "files", "options"}  # files of the root that know no room
MAY_IMPORT = {
    "nodes": {"pipeline", "host"},
    "headless": {"pipeline", "nodes", "host"},
    "pipeline": {"model", "video"},
    "host": {"headless"},  # the stand-in, when there is no ComfyUI
    "model": set(),
    "video": set(),
    "training": {"pipeline", "model", "video"},
    "benchmarks": {"pipeline", "model", "video"},
}
# Rooms within rooms, which have a face of their own.
FACES = {
    "headless/standin",
    "model/colorizationnet",
    "model/ddcolor",
    "model/temporal",
    "pipeline/photo",
}


def modules():
    return [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path):
    """The modules, as paths from the root, that the file imports of the pack."""
    here = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            module = base + tuple((node.module or "").split(".") if node.module else ())
            for name in node.names:
                inner = (*module, name.name)
                is_module = ROOT.joinpath(*inner).is_dir() or _file(inner).is_file()
                yield inner if is_module else module
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("colorizationnet"):
            pytest.fail(f"{path} imports the pack by its name, which ComfyUI changes")


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
    own = face(path.relative_to(ROOT).parent.parts)
    for module in imports(path):
        if not module or module[0] in SMALL or module == ("headless", "standin"):
            continue
        assert module[0] == room or module[0] in MAY_IMPORT[room], f"{room} imports {module[0]}"
        theirs = face(module)
        inside = own[: len(theirs)] == theirs
        assert inside or module == theirs, f"{'.'.join(module)}: import it from {theirs}"


def test_nothing_below_the_nodes_knows_a_host():
    below = [
        path
        for path in modules()
        if path.relative_to(ROOT).parts[0] in ("pipeline", "model", "video")
    ]
    assert not [path for path in below if any("host" in module[:1] for module in imports(path))]


def test_no_room_imports_in_a_circle():
    graph = {path: set() for path in modules()}
    for path in graph:
        for module in imports(path):
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
