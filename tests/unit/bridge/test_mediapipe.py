"""MediaPipe's models: what is missing is told in the words of the node; a download is shown, stopped, cleaned up."""

import hashlib
import importlib
import importlib.util
import io
import sys
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def models(tmp_path, monkeypatch):
    """bridge/mediapipe.py in as much of ComfyUI as it asks for: a models folder, of which nobody named a part."""

    def nobody_named_it(kind):
        raise KeyError(kind)

    folder_paths = ModuleType("folder_paths")
    folder_paths.models_dir, folder_paths.get_folder_paths = str(tmp_path), nobody_named_it
    spec = importlib.util.spec_from_file_location("pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    for name, module in {"folder_paths": folder_paths, "pack": importlib.util.module_from_spec(spec)}.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield importlib.import_module("pack.bridge.mediapipe")
    for name in [name for name in sys.modules if name.startswith("pack.")]:
        del sys.modules[name]


def bundle(size: int = 500_000) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.tflite", bytes(size))
    return file.getvalue()


@pytest.fixture
def google(models, monkeypatch):
    """What the links answer; None is no connection. Published is what they answer at first."""
    answers = {"content": bundle()}
    digest = hashlib.sha256(answers["content"]).hexdigest()
    sources = {kind: replace(source, sha256=digest) for kind, source in models.BUNDLE_SOURCES.items()}
    monkeypatch.setattr(models, "BUNDLE_SOURCES", sources)

    class Answer(io.BytesIO):
        @property
        def headers(self):
            return {"Content-Length": str(len(answers["content"]))}

    def urlopen(link, timeout):
        if answers["content"] is None:
            raise OSError("no route to host")
        return Answer(answers["content"])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return answers


def test_a_node_with_the_switch_names_it_and_one_without_names_hand_pose(models):
    with pytest.raises(ValueError, match=r"pose_landmarker_full\.task and put it there, or turn on download_models$"):
        models.find_bundles(False)
    with pytest.raises(ValueError, match="or turn on download_models in a Hand Pose node and run it once$"):
        models.find_bundles()


def test_a_download_shows_how_far_it_is(models, google, tmp_path):
    told = []
    found = models.find_bundles(True, lambda done, total: told.append((done, total)))
    size = len(google["content"])
    assert found.hand.read_bytes() == google["content"] and found.pose and found.face
    assert told.count((size, size)) == 3 and len(told) > 3
    assert all(0 < done <= total == size for done, total in told)
    assert models.find_bundles() == found


def test_a_cancelled_download_leaves_nothing_behind(models, google, tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        models.find_bundles(True, cancel)
    assert not list((tmp_path / "mediapipe").iterdir())


@pytest.mark.parametrize("content", (None, b"<html>not found</html>", bundle()[:-1000]))
def test_a_download_that_fails_says_what_to_do_and_leaves_nothing_behind(models, google, tmp_path, content):
    google["content"] = content
    with pytest.raises(ValueError, match="could not be downloaded .* download it in a browser and put it into .*media"):
        models.find_bundles(True)
    assert not list((tmp_path / "mediapipe").iterdir())
