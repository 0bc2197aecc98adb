"""A model's own VAE, the precision it computes in and what is saved of it, in a real ComfyUI's process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file
from tiny_models import tiny_vae

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set: run python3 tests/run.py")
    folder = tmp_path_factory.mktemp("models")
    save_file(tiny_vae(), folder / "vae.safetensors")
    script = Path(__file__).with_name("inside_models.py")
    command = [sys.executable, script, os.environ["COMFYUI_PATH"], REPO, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_threads_that_use_a_vae_first_at_the_same_time_all_get_it_read_once(seen):
    assert seen["many first users"] == {"reads": 1, "seen": [4, 4, 4, 4]}


def test_an_unread_vae_answers_every_probe_without_being_read(seen):
    found = seen["probed"]
    assert found["said"] == "" and not found["is a patcher"]
    assert all("the VAE was read" in said for said in found["used"])
    assert found["later"] == [4, True]


def test_a_vae_is_run_at_its_true_width_with_equal_pictures(seen):
    found = seen["true width"]
    assert found["width"] == 32 and max(found["decoded"], found["encoded"]) < 1e-5
    before, after = found["in the file"]
    assert before > 0 and after == 0, "weights in pages of a file that may be replaced"
    assert found["again"] == found["size"]


def test_a_vae_that_does_not_fit_is_not_called_damaged(seen):
    found = seen["short of memory"]
    assert "out of memory" in found["said"] and "Download" not in found["said"]
    assert found["later"] == 4


def test_the_unconditional_half_computes_in_what_core_s_node_asks_for(seen):
    assert seen["computes in"] == ["torch.bfloat16", "torch.float32"]


def test_what_is_said_of_a_model_and_of_its_parts_is_saved_with_them(seen):
    about = {"title": "Mine", "weights": "my own", "license": "MIT", "vae": "a small one"}
    assert seen["saved"]["deaf"].items() >= about.items() and "audio_encoder" not in seen["saved"]["deaf"]
    assert seen["saved"]["whole"].items() >= {**about, "audio_encoder": "Whisper", "size": "128"}.items()


@pytest.mark.parametrize(("what", "words"), [("changed", "has changed since"), ("gone", "is gone since")])
def test_a_vae_whose_file_is_another_by_now_is_not_saved_in_its_place(seen, what, words):
    assert words in seen[what] and "whole.safetensors" in seen[what] and "load the model again" in seen[what]


def test_who_lacks_the_released_files_is_told_of_the_models_that_are_there(seen):
    assert "denoising_unet_acc" in seen["not there"]
    assert "Or choose an available model: " in seen["not there"] and "whole.safetensors" in seen["not there"]
