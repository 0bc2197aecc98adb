"""Who may know whom: nodes -> bridge -> echomimic_core, and inside the core from what is made to what is used."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SHELLS = ("nodes", "bridge", "echomimic_core")
FILES = sorted(path for shell in SHELLS for path in (REPO / shell).rglob("*.py"))

# Rooms of the core, each on a floor: a room may know those of lower floors, and of its own floor only itself.
FLOORS = (
    {"choices", "config", "runtime"},
    {"files"},
    {"media"},
    {"models", "landmarks", "networks"},
    {"audio", "pose", "apdh"},
    {"gestures", "scene", "measures"},
    {"sampling", "workers"},
    {"render", "training", "evaluation", "parity"},
    {"verify"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def module(path: Path) -> str:
    parts = path.relative_to(REPO).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def known(path: Path) -> set[str]:
    """The modules of the pack that a file imports anywhere, in functions too."""
    package = module(path).split(".") if path.name == "__init__.py" else module(path).split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            name = f"{source}.{alias.name}"
            found.add(name if name in MODULES else source)
    return {name for name in found if name in MODULES} - {module(path)}


ARROWS = {name: known(path) for name, path in MODULES.items()}


def room(name: str) -> str:
    return (name.split(".") + [""])[1] if name.startswith("echomimic_core") else name.split(".")[0]


@pytest.mark.parametrize("name", ARROWS)
def test_imports_run_from_nodes_over_the_bridge_to_the_core(name):
    shell = SHELLS.index(name.split(".")[0])
    upward = [other for other in ARROWS[name] if SHELLS.index(other.split(".")[0]) < shell]
    assert not upward, f"{name} imports {upward}: arrows run {' -> '.join(SHELLS)}"


def test_no_imports_run_in_a_circle():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        for other in sorted(ARROWS[name]):
            visit(other, (*path, name))
        done.add(name)

    for name in ARROWS:
        visit(name, ())


def test_rooms_of_the_core_know_only_rooms_below_them():
    for name, others in ARROWS.items():
        # A command stands above all rooms, whichever it is named after.
        if not name.startswith("echomimic_core.") or name.endswith(".__main__"):
            continue
        own = room(name)
        assert own in FLOOR, f"the room {own} has no floor: add it to FLOORS"
        for other in others:
            there = room(other)
            if there and there != own:
                below = FLOOR[there] < FLOOR[own]
                assert below, f"{name} imports {other}: {own} may only know the floors below its own"
