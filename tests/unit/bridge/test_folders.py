"""What Load Pose offers: poses, and nothing of the system's own or of what is gone."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from echomimic_core.files import durable

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """bridge/folders.py with an input, an output and a models directory below tmp_path."""
    folder_paths = ModuleType("folder_paths")
    folder_paths.models_dir = str(tmp_path / "models")
    folder_paths.get_folder_paths = lambda kind: [str(tmp_path / "models" / kind)]
    folder_paths.add_model_folder_path = lambda kind, path: None
    folder_paths.get_input_directory = lambda: str(tmp_path / "input")
    folder_paths.get_output_directory = lambda: str(tmp_path / "output")
    spec = importlib.util.spec_from_file_location("pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    for name, module in {"folder_paths": folder_paths, "pack": importlib.util.module_from_spec(spec)}.items():
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "input").mkdir()
    yield importlib.import_module("pack.bridge.folders")
    for name in [name for name in sys.modules if name.startswith("pack.")]:
        del sys.modules[name]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_poses_of_all_places_are_offered_with_their_marks(folders, tmp_path):
    touch(tmp_path / "input" / "clip" / "0.npy", tmp_path / "input" / "a.json")
    touch(tmp_path / "output" / "poses" / "b.safetensors", tmp_path / "models" / "echomimic" / "poses" / "c" / "0.npy")
    assert sorted(folders.list_poses()) == ["a.json", "b.safetensors [output]", "c [models]", "clip"]


def test_what_macos_and_half_written_files_leave_is_not_offered(folders, tmp_path):
    touch(tmp_path / "input" / "clip" / "0.npy", tmp_path / "input" / "clip" / "._0.npy")
    touch(tmp_path / "input" / "__MACOSX" / "clip" / "._0.npy", tmp_path / "input" / "__MACOSX" / "x.json")
    touch(tmp_path / "input" / "only_hidden" / "._0.npy", tmp_path / "input" / "._a.json")
    touch(tmp_path / "input" / ".echomimic-00000000-1-00000000.part")
    assert folders.list_poses() == ["clip"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_to_what_is_gone_is_not_offered(folders, tmp_path):
    (tmp_path / "input" / "gone.json").symlink_to(tmp_path / "nowhere.json")
    (tmp_path / "input" / "frames").mkdir()
    (tmp_path / "input" / "frames" / "0.npy").symlink_to(tmp_path / "nowhere.npy")
    (tmp_path / "input" / "gone").symlink_to(tmp_path / "nowhere")
    touch(tmp_path / "elsewhere.json")
    (tmp_path / "input" / "there.json").symlink_to(tmp_path / "elsewhere.json")
    assert folders.list_poses() == ["there.json"]


def test_half_a_model_that_a_killed_process_left_is_removed_at_the_start(folders, tmp_path):
    models = tmp_path / "models" / "echomimic"
    left = models / f"{durable.PREFIX}00000000-1-00000000{durable.SUFFIX}"
    touch(left, models / "whole.safetensors")
    os.utime(left, (0, 0))
    folders.register_model_folders()
    assert sorted(path.name for path in models.iterdir()) == ["poses", "whole.safetensors"]
