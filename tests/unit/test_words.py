"""What users read: one language beside the other, help pages for every node, and no words that need decoding."""

import json
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "web" / "docs"
NODES = sorted(json.loads((REPO / "tests" / "comfyui" / "schema.json").read_text("utf-8")))
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def outline(text: str) -> dict:
    """What two languages of a text have in common: headings, tables, commands and links."""
    lines = text.splitlines()
    return {
        "headings": [len(line) - len(line.lstrip("#")) for line in lines if re.match(r"#+ ", line)],
        "tables": [line.count(" | ") for line in lines if line.startswith("|")],
        "commands": sorted(re.findall(r"(?:^|`)((?:cd|git|pip|python3?) [^`\n]+)", text, flags=re.M)),
        "pictures": re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text),
        "fences": text.count("\n```"),
        "links": sorted(set(re.findall(r"\]\(((?:https?:|docs/)[^)]+)\)", text))),
    }


@pytest.mark.parametrize("node", NODES)
def test_help_page_without_a_language_is_the_english_one(node):
    assert (DOCS / f"{node}.md").read_text("utf-8") == (DOCS / node / "en.md").read_text("utf-8")


@pytest.mark.parametrize("node", NODES)
def test_chinese_help_page_has_everything_that_the_english_one_has(node):
    english, chinese = ((DOCS / node / f"{language}.md").read_text("utf-8") for language in ("en", "zh"))
    assert outline(chinese) == outline(english)
    assert len(CHINESE.findall(chinese)) > len(CHINESE.findall(english))


def test_chinese_readme_has_everything_that_the_english_one_has():
    english, chinese = ((REPO / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
    assert outline(chinese) == outline(english)
    names = json.loads((REPO / "locales" / "zh" / "nodeDefs.json").read_text("utf-8"))
    named = chinese + chinese.replace("**", "**EchoMimicV2 ")
    assert not [texts["display_name"] for texts in names.values() if texts["display_name"] not in named]


def test_every_folder_of_help_pages_belongs_to_a_node():
    assert {path.name for path in DOCS.iterdir() if path.is_dir()} == {*NODES, "gestures", "speed"}


def test_chinese_uses_one_word_for_a_pose():
    texts = [REPO / "README.zh.md", REPO / "locales" / "zh" / "nodeDefs.json", *DOCS.glob("*/zh.md")]
    assert not [path.name for path in texts if "姿势" in path.read_text("utf-8")]
