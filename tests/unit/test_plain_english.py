"""What users read is English of the trade: words and phrases that make people decode stay at zero."""

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("nodes", "bridge", "echomimic_core") for path in (REPO / room).rglob("*.py"))
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", REPO / "CHANGELOG.md"]
PAGES += [*sorted((REPO / "docs").glob("*.md")), *sorted((REPO / "web" / "docs").glob("*.md"))]

# Each with what a native speaker of the trade says instead.
BANNED = {
    r"film(s|ed|ing)?": "video, generate, record",
    r"(frames?|pictures?|clips|steps?|heights?|times|seconds|[kMG]i?B|ms|TFLOP) an? "
    r"(second|minute|hour|frame|window|step|core|side|run|clip|video)": "per second, per frame",
    r"(one a core|once a (step|run|window|frame))": "per core, per step",
    r"told|heard|hears|whoever": "says, reports, encodes",
    r"anew|for ever": "again, permanently",
    r"by (itself|themselves)": "automatically",
    r"(go(es)?|going) on": "continue, resume",
    r"lies? (in|outside|within|between)": "is in, must be between",
    r"beside|all the same|as it stands|perhaps|so many": "next to, still, unchanged, optionally, this many",
    r"(?<!there )is no (?!longer|need|more|way|other|\d)\w+": "is not a",
    r"looked for|come along|of before|make space|give a new|what is there": "searched, included, earlier, free, choose",
    r"brings|holds? (no|an|a|text|numbers|values|tensors)": "includes, contains",
    r"endings?|an own|graphics card|the whole way": "extension, its own, GPU, the whole pipeline",
}
PHRASES = re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in BANNED), re.IGNORECASE)


def sentences(path: Path) -> list[str]:
    """Texts of a source file that can reach a user: every string of several words but docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            found.append(node.value)
    return [text for text in found if text.count(" ") > 1]


def wrong(text: str) -> list[str]:
    text = re.sub(r"\s+", " ", text)
    return [text[max(0, found.start() - 40) : found.end() + 20] for found in PHRASES.finditer(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_tooltips_and_errors_are_plain_english(path):
    assert not [phrase for text in sentences(path) for phrase in wrong(text)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_documents_and_help_pages_are_plain_english(path):
    assert not wrong(path.read_text("utf-8"))
