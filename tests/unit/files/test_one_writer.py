"""There is one way for a file out of the pack, and one for a pickle in: whoever adds another is told here."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
SOURCES = sorted(path for room in ("nodes", "bridge", "echomimic_core") for path in (REPO / room).rglob("*.py"))

WRITING_METHODS = {"write_text", "write_bytes", "savez", "savez_compressed", "imwrite", "save_file", "mkstemp"}
WRITING_MODES = set("wax+")
# The writer itself; and logs, which grow line by line and are never whole.
MAY_WRITE = {"echomimic_core/files/durable.py", "echomimic_core/training/run/records.py"}
# Where a file is handed to another library's writer, it goes through a `Draft` all the same.
INTO_A_DRAFT = {"echomimic_core/evaluation/passes/cache.py": {"savez"}, "echomimic_core/media/video.py": {"av.open"}}
# Torch's own unpickler, for public networks of a form that our reader does not know, on torch that is safe.
MAY_UNPICKLE = {"echomimic_core/networks/local.py"}


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def owner_of(call: ast.Call) -> str:
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def writes(call: ast.Call) -> bool:
    if name_of(call) in WRITING_METHODS:
        # Ours have these names as well, as plain functions.
        return isinstance(call.func, ast.Attribute) and owner_of(call) != "durable"
    if name_of(call) == "replace" and owner_of(call) == "os":
        return True
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    modes = [text for text in texts if isinstance(text, str) and 0 < len(text) <= 3]
    return name_of(call) == "open" and any(set(mode) & WRITING_MODES for mode in modes)


def place(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_files_are_written_through_durable_only(path):
    if place(path) in MAY_WRITE:
        return
    allowed = INTO_A_DRAFT.get(place(path), set())
    found = [f"line {call.lineno}: {ast.unparse(call)}" for call in calls(path) if writes(call)]
    found = [line for line in found if not any(name in line for name in allowed)]
    assert not found, f"{place(path)} writes a file itself, so that half of it may be left: use files.durable. {found}"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_no_pickle_is_opened_by_a_foreign_unpickler(path):
    if place(path) in MAY_UNPICKLE:
        return
    unpicklers = {("torch", "load"), ("pickle", "load"), ("pickle", "loads"), ("np", "load")}
    found = [call for call in calls(path) if (owner_of(call), name_of(call)) in unpicklers]
    found = [call for call in found if "allow_pickle=False" not in ast.unparse(call)]
    assert not found, f"{place(path)} line {found[0].lineno} unpickles: use files.tensor_file or pose.unpickle"


@pytest.mark.parametrize("module", ("fcntl", "resource", "pwd", "grp", "termios"))
def test_no_module_of_one_system_is_imported(module):
    for path in SOURCES:
        imported = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Import)]
        assert module not in {alias.name for node in imported for alias in node.names}, place(path)


@pytest.mark.parametrize(
    "code, expected",
    [
        ("open(path, 'wb')", True),
        ("path.open('a')", True),
        ("path.write_text(x)", True),
        ("os.replace(a, b)", True),
        ("cv2.imwrite(a, b)", True),
        ("open(path, 'rb')", False),
        ("write_text(path, x)", False),
        ("durable.write_bytes(path, x)", False),
        ("replace(pose, fps=3)", False),
    ],
)
def test_the_scan_recognises_calls_that_write(code, expected):
    assert writes(ast.parse(code).body[0].value) is expected
