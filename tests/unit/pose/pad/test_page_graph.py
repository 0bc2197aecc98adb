"""How the pad asks ComfyUI for a detection and finds the picture upstream, and that it has its words, by node."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from echomimic_core.pose.pad.fit import PARTS
from echomimic_core.pose.pad.presets import PRESETS

PAGE = Path(__file__).resolve().parents[4] / "web" / "pose_pad"
STUBS = {
    "api.js": "export const api = { clientId: 'us', apiURL: (path) => path };",
    "app.js": "export const app = { extensionManager: null };",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    folder = tmp_path_factory.mktemp("comfyui")
    pages = folder / "extensions" / "echomimicv2" / "pose_pad"
    pages.mkdir(parents=True)
    (folder / "scripts").mkdir()
    for path in PAGE.glob("*.js"):
        shutil.copy(path, pages)
    for name, text in STUBS.items():
        (folder / "scripts" / name).write_text(text)
    (folder / "package.json").write_text('{"type": "module"}')
    command = ["node", str(Path(__file__).with_name("graph.mjs")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_find_runs_the_pad_alone_and_says_how_many_come_first(told):
    found = told["answers"]["found"]
    assert found["shown"]["pad_size"] == [2, 2] and found["waits"] == [1, 0]
    sent = found["sent"]
    assert set(sent["prompt"]) == {"1", "2"} and sent["partial_execution_targets"] == ["2"]
    assert json.loads(sent["prompt"]["2"]["inputs"]["pad"])["find"] is True


def test_over_a_clip_the_pad_runs_with_the_clip_and_shows_it(told):
    shown = told["answers"]["shown"]
    assert shown["shown"]["pad_ground"] == [{"fps": 24}] and set(shown["sent"]["prompt"]) == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("failed", "no memory"),
        ("interrupted", "whyInterrupted"),
        ("removed", "whyRemoved"),
        ("refused", "no such file"),
        ("empty", "whyRefused"),
        ("silent", "whySilent"),
        ("muted", "whyMuted"),
    ],
)
def test_find_ends_with_its_run_and_says_why(told, case, why):
    assert told["answers"][case] == {"why": why}


def test_picture_is_the_loaded_one_also_through_reroutes_and_bypassed_nodes(told):
    loaded = told["pictures"]["loaded"]
    assert "filename=a.png&subfolder=in&type=output" in loaded["url"] and loaded["exact"]
    assert told["pictures"]["rerouted"] == loaded


def test_picture_of_further_upstream_is_a_guess_until_a_run_has_shown_the_real_one(told):
    pictures = told["pictures"]
    assert (
        "a.png" in pictures["above"]["url"] and not pictures["above"]["exact"] and pictures["above"]["title"] == "Load"
    )
    assert "seen.png" in pictures["arrived"]["url"] and pictures["arrived"]["exact"]
    assert "other.png" in pictures["changed"]["url"] and not pictures["changed"]["exact"]
    assert "seen.png" in pictures["previewed"]["url"] and not pictures["previewed"]["exact"]


def test_picture_that_is_yet_to_be_made_is_unknown(told):
    assert [told["pictures"][name] for name in ("made", "latent", "unconnected")] == [None, None, None]


def test_every_word_that_the_pad_uses_is_there_in_both_languages(told):
    known = told["words"]
    assert all(len(both) == 2 and all(both) for both in known.values())
    used = {f"part {part}" for part in PARTS} | set(PRESETS)
    for path in PAGE.glob("*.js"):
        text = path.read_text("utf-8")
        used |= set(re.findall(r'\b(?:words|named|Wrong)\("([^"]+)"', text))
        used |= {name for pair in re.findall(r'\bwords\([\w.]+ \? "(\w+)" : "(\w+)"', text) for name in pair}
    assert used - set(known) == set()
    assert all(re.search(r"[\u4e00-\u9fff]", chinese) for name, (_, chinese) in known.items() if name != "comma")
