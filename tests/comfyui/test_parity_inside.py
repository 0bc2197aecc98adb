"""The original's sampling runs, through ComfyUI's samplers and our MODEL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PARITY = REPO.parent / "shared" / "parity"


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set: run python3 tests/run.py")
    if not PARITY.is_dir():
        pytest.skip("the parity cases (../shared/parity) are not here")
    script = Path(__file__).with_name("inside_comfyui.py")
    command = [sys.executable, script, os.environ["COMFYUI_PATH"], REPO, PARITY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    [pytest.param("sample_standard", marks=pytest.mark.release), "sample_accelerated", "sample_short", "12 frames"],
)
def test_core_samples_what_the_original_samples(errors, name):
    assert errors[name] < 1e-4


def test_euler_on_our_noise_levels_is_the_original_where_steps_divide_1000(errors):
    assert errors["euler"] < 2e-3
