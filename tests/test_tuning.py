"""The tables of docs/tuning.md against the code."""

import ast
import importlib
import operator
import re
from fractions import Fraction
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "model" / "temporal").glob("*.py"))


def rows() -> dict[str, dict[str, str]]:
    """The values in the tables, by file and constant."""
    tables: dict[str, dict[str, str]] = {}
    for line in (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            table = tables.setdefault(line[4:].strip(), {})
        elif row := re.match(r"\| `([\w.]+)` \| ([^|]+) \|", line):
            table[row[1]] = row[2].strip()
    return tables


def constants(path: Path) -> dict[str, object]:
    """The module's own numbers in capitals, also those in a named tuple."""
    module = importlib.import_module(f"colorizationnet.model.temporal.{path.stem}")
    names = {
        name.id
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and name.id.isupper()
    }
    found: dict[str, object] = {}
    for name in names:
        value = getattr(module, name)
        if hasattr(value, "_asdict"):
            found |= {f"{name}.{field}": part for field, part in value._asdict().items()}
        else:
            found[name] = value
    return found


def value(text: str) -> object:
    if text.startswith("("):
        return tuple(value(part) for part in text[1:-1].split(","))
    return float(Fraction(text)) if "/" in text else ast.literal_eval(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_constant_stands_in_its_table_with_its_value(path):
    table = rows().get(path.relative_to(ROOT).as_posix(), {})
    assert {name: value(text) for name, text in table.items()} == constants(path)


@pytest.mark.parametrize("name", sorted(rows()))
def test_the_tables_have_the_codes_values(name):
    module = importlib.import_module(f"colorizationnet.{name[:-3].replace('/', '.')}")
    for constant, text in rows()[name].items():
        assert operator.attrgetter(constant)(module) == value(text), constant
