"""Memory on cards of several sizes: what ComfyUI's loader leaves, what the plan takes, and what the log says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
GIB = 2**30
TOGETHER, APART = "both halves of guidance together", "one half of guidance at a time"


@pytest.fixture(scope="module")
def cards() -> dict:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set: run python3 tests/run.py")
    command = [sys.executable, Path(__file__).with_name("inside_memory.py"), os.environ["COMFYUI_PATH"], REPO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_card_gets_a_plan_that_fits_beside_the_weights(cards):
    assert len(cards) == 4 * 3 * 2
    for name, found in cards.items():
        assert found["needed"] <= found["beside"], name


def test_what_is_said_of_the_halves_is_what_comfyui_does(cards):
    for name, found in cards.items():
        assert found["together"] == found["plan"][1], name
        assert (TOGETHER if found["together"] else APART) in found["said"], name
    assert {found["together"] for found in cards.values()} == {True, False}


def test_what_is_said_of_the_weights_is_where_they_are(cards):
    for name, found in cards.items():
        on_device, whole = (size / GIB for size in found["weights"])
        resident = on_device == whole
        said = f"besides {whole:.2f} GiB of weights, all on the device"
        said = said if resident else f"{on_device:.2f} of {whole:.2f} GiB on the device, the rest read from main memory"
        assert said in found["said"], name
    assert "the rest read" in cards["4 GB 1024 60"]["said"] and "all on the device" in cards["6 GB 768 14400"]["said"]


def test_weights_leave_no_more_room_than_a_window_needs(cards):
    """On a small card the minimum that ComfyUI is told decides how many weights stay on the device."""
    on_device, whole = cards["4 GB 768 60"]["weights"]
    assert 0.7 * whole < on_device < whole


def test_ten_minutes_need_no_more_than_a_minute(cards):
    for card in (4, 6, 8, 12):
        for pixels in (512, 768, 1024):
            long, short = (cards[f"{card} GB {pixels} {frames}"] for frames in (14_400, 60))
            assert "latents" not in long["said"] and "latents" in short["said"]
            whole = long["weights"][0] + long["needed"]
            assert whole <= 6 * 10**9 or pixels == 1024
