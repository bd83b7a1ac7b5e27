"""The house rules that no linter has: how long a function and a module may be, and what has to be covered."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "operator"
CORE = sorted((SOURCE / "fairway/core").rglob("*.py"))
LONGEST_FUNCTION = 50
LONGEST_MODULE = 320


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_and_modules_of_the_core_are_small(path: Path) -> None:
    assert [(name, lines) for name, lines in functions(path) if lines > LONGEST_FUNCTION] == []
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


def imported(path: Path) -> set[Path]:
    """Modules of the core that a module imports."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.module)
    asked = {name for node in nodes for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))}
    return {found for name in asked if (found := SOURCE / f"{name.replace('.', '/')}.py") in CORE}


def test_everything_that_decides_is_covered_by_the_tests() -> None:
    """Given what ``decide`` imports, and what those import, then each is among the modules that need full coverage."""
    reached: set[Path] = set()
    found = {SOURCE / "fairway/core/rollout/decide.py"}
    while found - reached:
        reached |= (fresh := found - reached)
        found = {path for module in fresh for path in imported(module)}
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]["include"]
    covered = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert {str(path) for path in reached - covered} == set()
