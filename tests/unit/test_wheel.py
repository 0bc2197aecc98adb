"""The core as a library: built as a wheel and used outside the clone, with its data files."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

USE = """
import json
from pathlib import Path
import numpy as np, torch
import echomimic_core
from echomimic_core.landmarks import find_hands
from echomimic_core.models.build import config_of, write_tiny_model
from echomimic_core.files.checkpoints import open_one_file
from echomimic_core.pose import gestures
from echomimic_core.training.__main__ import BUILT_IN
from echomimic_core.training.settings import load_settings

files = open_one_file(write_tiny_model("tiny.safetensors"))
hands = find_hands([np.zeros((96, 96, 3), np.uint8)])
print(json.dumps({
    "folder": str(Path(echomimic_core.__file__).parent),
    "config": config_of(files).audio_dim,
    "hands": len(hands),
    "frames": len(gestures.clip("waving", 5)),
    "configs": sorted(path.stem for path in BUILT_IN.glob("*.yaml")),
    "steps": load_settings(BUILT_IN / "tiny.yaml").train.steps,
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what the wheel holds; skips where no wheel can be built (no network, no setuptools)."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # A build leaves its folders in the tree that it builds.
    shutil.copytree(REPO / "echomimic_core", source / "echomimic_core", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (REPO / "pyproject.toml", REPO / "README.md", REPO / "LICENSE", *REPO.glob("requirements*.txt")):
        shutil.copy(path, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if built.returncode:
        pytest.skip(f"no wheel can be built here: {built.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_core_and_nothing_of_the_pack(installed):
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"echomimic_core"}


def test_the_core_runs_from_the_wheel_with_its_data_files(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", USE], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(installed) in done.stdout and '"frames": 5' in done.stdout and '"tiny"' in done.stdout


def test_the_extras_are_named(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    extras = {line.split(": ")[1] for line in text.splitlines() if line.startswith("Provides-Extra: ")}
    assert extras == {"standalone", "training", "evaluation", "mediapipe", "ray", "dev"}
    plain = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert {line.split(": ")[1].strip() for line in plain} == {"av", "huggingface_hub", "safetensors", "transformers"}
