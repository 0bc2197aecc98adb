"""A model of sixteen channels in patches, which predicts clean latents, samples in ComfyUI as in plain torch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers")

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from echomimic_core.config import CLEAN, LATENT_SCALE, TINY
from echomimic_core.models.build import write_tiny_model
from echomimic_core.networks.block_vae import BlockVAE, weights_of

REPO = Path(__file__).resolve().parents[2]
PATCHED = replace(
    TINY, block_out_channels=(32, 32, 32, 32), norm_num_groups=8, latent_channels=16, patch=2, output=CLEAN
)


def write_model(folder: Path) -> Path:
    """A tiny model with its own VAE inside."""
    path = write_tiny_model(folder / "tiny.safetensors", config=PATCHED)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    torch.manual_seed(0)
    vae = weights_of(BlockVAE(16, 8, 0.5 * LATENT_SCALE), torch.float32)
    whole = folder / "whole.safetensors"
    save_file(load_file(path) | {f"vae.{name}": tensor for name, tensor in vae.items()}, whole, metadata)
    return whole


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set: run python3 tests/run.py")
    script = Path(__file__).with_name("inside_patches.py")
    model = write_model(tmp_path_factory.mktemp("patches"))
    done = subprocess.run(
        [sys.executable, script, os.environ["COMFYUI_PATH"], REPO, model], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("run", ["original 1", "original 2", "euler 1"])
def test_sampling_in_comfyui_equals_the_plain_loop(seen, run):
    assert seen[run] < (1e-3 if run.startswith("original") else 2e-2)


def test_its_own_vae_is_the_same_in_comfyui(seen):
    assert seen["encoded"] < 1e-4 and seen["decoded"] < 1e-3


def test_the_empty_latent_has_the_model_s_channels(seen):
    assert seen["latent"] == [14, 16, 16, 16]


def test_a_reference_of_another_model_is_refused(seen):
    assert "4 latent channels" in seen["refused"] and "same Load EchoMimicV2" in seen["refused"]
