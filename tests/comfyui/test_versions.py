"""The versions of ComfyUI that the README names are those that CI runs, and every name of ComfyUI we use is in them."""

import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
CI = REPO / ".ci" / "run"
TREES = [Path(os.environ["COMFYUI_PATH"])] if os.environ.get("COMFYUI_PATH") else []
TREES += [path.parent for path in sorted((REPO / ".cache").glob("ComfyUI*/main.py")) if path.parent not in TREES]


def table(language: str = "") -> dict[str, dict[str, str]]:
    """The table of tested versions: its columns by the first one, ComfyUI's version."""
    text = (REPO / f"README{language}.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    (head,) = (index for index, row in enumerate(rows) if row[0] == "ComfyUI")
    found = {}
    for row in rows[head + 2 :]:
        if not re.match(r"\d", row[0]):
            break
        found[row[0]] = dict(zip(("comfyui", "frontend", "python", "torch", "tests"), row, strict=True))
    return found


@pytest.mark.both_ends
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_every_name_of_comfyui_that_we_use_is_there(tree):
    script = Path(__file__).with_name("inside_names.py")
    done = subprocess.run([sys.executable, script, tree, REPO], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["looked up"] > 100
    assert not found["missing"]


@pytest.mark.skipif(not CI.is_file(), reason="CI's own command is left out of this copy")
def test_ci_runs_the_versions_that_the_readme_calls_tested():
    told = {row["comfyui"] for row in table().values() if row["tests"] != "once"}
    assert told == set(re.findall(r"\b0(?:\.\d+){2}\b", CI.read_text("utf-8")))


def test_both_languages_tell_the_same_versions():
    ours, theirs = table(), table(".zh")
    assert list(ours) == list(theirs)
    for name in ours:
        assert list(ours[name].values())[:4] == list(theirs[name].values())[:4]


@pytest.mark.both_ends
def test_what_runs_here_is_what_the_readme_says_of_this_comfyui(comfy):
    system = comfy.get("/system_stats")["system"]
    row = table().get(system["comfyui_version"])
    if row is None:
        pytest.skip(f"ComfyUI {system['comfyui_version']} is not in the README's table")
    assert row["frontend"] == version("comfyui-frontend-package")
    assert row["python"] == ".".join(platform.python_version_tuple()[:2])
    assert row["torch"] == version("torch").partition("+")[0]
