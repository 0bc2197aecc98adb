"""The small model's VAE: what is written is read again, and its components hold what blocks of the frames show."""

import pytest
import torch

pytest.importorskip("diffusers")

from echomimic_core.config import LATENT_SCALE
from echomimic_core.files.checkpoints import write_tensors
from echomimic_core.networks.block_vae import BlockVAE, weights_of
from echomimic_core.networks.frozen_vae import load_vae


def test_a_file_holds_the_same_vae(tmp_path):
    torch.manual_seed(0)
    vae = BlockVAE(16, 8, 0.5 * LATENT_SCALE)
    write_tensors(tmp_path / "vae.safetensors", weights_of(vae, torch.float32))
    read, pictures = load_vae(tmp_path / "vae.safetensors"), torch.rand(2, 3, 32, 24)
    latents = vae.encode(pictures * 2 - 1).latents
    assert read.channels == 16
    # Scaled latents spread about 1 where those inside spread 0.5
    assert torch.allclose(read.encode(pictures), 2 * latents, atol=1e-5)
    assert torch.allclose(read.decode(2 * latents), vae.decode(latents).sample / 2 + 0.5, atol=1e-5)
