"""The code is written in one dialect of Python 3.10."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOMS = ("nodes", "bridge", "echomimic_core", "drawn_world", "benchmarks")
SOURCES = sorted(path for room in ROOMS for path in (REPO / room).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_annotations_need_no_future_and_errors_are_called_error(path):
    tree = ast.parse(path.read_text("utf-8"))
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "__future__" not in imports
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    assert caught <= {"error", "cancelled"}
