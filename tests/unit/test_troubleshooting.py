"""The README's troubleshooting quotes every sentence that a download can end with."""

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
FILES = REPO / "echomimic_core" / "files"
# Where the sentences of a download are made: in these calls, and in what `_transfer` returns.
SAYING = {"_failed", "WriteError", "DownloadError"}


def texts(tree: ast.AST) -> list[str]:
    """Every text of a piece of code, with … for each value in it."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            found.append(node.value)
    return found


def sentences_of_downloads() -> list[str]:
    """What can be said while files are fetched: whole sentences, with … for each value."""
    tree = ast.parse((FILES / "hub.py").read_text("utf-8"))
    said = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAYING]
    said += [node for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    return [text for node in said for text in texts(node) if len(text.split()) > 4]


def quotes(name: str) -> list[str]:
    """The sentences that the troubleshooting of a README quotes."""
    text = (REPO / name).read_text("utf-8")
    table = re.findall(r"^\| (.*?) \|", text.split("](docs/training.md)")[-1], re.MULTILINE)
    return [quote for row in table for quote in re.findall(r"\*([^*]+)\*", row)]


def pieces(quote: str) -> list[str]:
    return [piece.strip() for piece in quote.split("…") if len(piece.split()) > 2]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_every_sentence_of_a_download_is_among_the_quotes(name):
    quoted = quotes(name)
    missing = [said for said in sentences_of_downloads() if not any(set_in(said, quote) for quote in quoted)]
    assert len(sentences_of_downloads()) > 5 and not missing


def set_in(said: str, quote: str) -> bool:
    return any(piece in said for piece in pieces(quote))
