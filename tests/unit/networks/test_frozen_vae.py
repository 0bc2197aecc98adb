"""The frozen VAE: every published layout of its files is read, and a gradient passes its decoder."""

import pytest
import torch
import training_clips as clips

pytest.importorskip("diffusers")

from echomimic_core.networks import frozen_vae as module  # noqa: E402
from echomimic_core.networks.frozen_vae import VAEError, load_vae  # noqa: E402


@pytest.fixture
def narrow(monkeypatch):
    """The SD 1.5 VAE at a sixteenth of its width, so that it is built in a moment."""
    monkeypatch.setitem(module.SD15, "block_out_channels", (32, 32, 32, 32))
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    return AutoencoderKL(**module.SD15).eval()


def save(tensors, path):
    from safetensors.torch import save_file

    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    return path


def original_names(state):
    """A state dict of diffusers' VAE under the names of the original SD 1.5 checkpoint."""
    renamed = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if "attentions" in name and name.endswith("weight") and tensor.ndim == 2:
            tensor = tensor[..., None, None]
        name = name.replace("mid_block.attentions.0.", "mid.attn_1.").replace("group_norm", "norm")
        for old, new in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            name = name.replace(f"attn_1.{old}", f"attn_1.{new}")
        name = name.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
        if "down_blocks" in name:
            name = name.replace(f"down_blocks.{parts[2]}.resnets", f"down.{parts[2]}.block")
            name = name.replace(f"down_blocks.{parts[2]}.downsamplers.0", f"down.{parts[2]}.downsample")
        if "up_blocks" in name:
            level = 3 - int(parts[2])
            name = name.replace(f"up_blocks.{parts[2]}.resnets", f"up.{level}.block")
            name = name.replace(f"up_blocks.{parts[2]}.upsamplers.0", f"up.{level}.upsample")
        renamed[name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")] = tensor
    return renamed


@pytest.mark.parametrize("layout", ["diffusers", "old diffusers", "original", "original in a checkpoint"])
def test_every_layout_of_the_vae_is_the_same_vae(narrow, tmp_path, layout):
    state = dict(narrow.state_dict())
    if layout == "old diffusers":
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            state = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in state.items()}
    if layout.startswith("original"):
        state = original_names(state)
    if layout.endswith("checkpoint"):
        state = {f"first_stage_model.{name}": tensor for name, tensor in state.items()}
    loaded = load_vae(save(state, tmp_path / "vae.safetensors"))
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = narrow.encode(pictures * 2 - 1).latent_dist.mean * 0.18215
        assert torch.allclose(loaded.encode(pictures), expected, atol=1e-5)
        decoded = narrow.decode(expected / 0.18215).sample / 2 + 0.5
        assert torch.allclose(loaded.decode(expected), decoded, atol=1e-5)


def test_a_gradient_passes_the_decoder_and_stays_out_of_it(narrow, tmp_path):
    loaded = load_vae(save(narrow.state_dict(), tmp_path / "vae.safetensors"))
    latents = torch.randn(1, 4, 4, 4, requires_grad=True)
    loaded.decode(latents).sum().backward()
    assert latents.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loaded.parameters())
    assert not loaded.encode(torch.rand(1, 3, 32, 32)).requires_grad


def test_taesd_in_comfyui_s_names_keeps_the_picture(tmp_path):
    loaded = load_vae(clips.write_vae(tmp_path / "tiny.safetensors"))
    picture = torch.rand(1, 3, 1, 1).expand(1, 3, 64, 64)
    latents = loaded.encode(picture)
    assert latents.shape == (1, 4, 8, 8)
    assert (loaded.decode(latents) - picture).abs().mean() < 0.1


def test_files_that_are_not_vaes_are_refused_by_name(tmp_path):
    with pytest.raises(VAEError, match="no VAE is given"):
        load_vae(None)
    with pytest.raises(VAEError, match="contains no diffusion_pytorch_model"):
        load_vae(tmp_path)
    other = save({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(VAEError, match=r"other\.safetensors is not a VAE of SD 1.5"):
        load_vae(other)


def test_a_one_file_model_is_read_for_the_vae_inside(tmp_path):
    from safetensors.torch import load_file, save_file

    alone = clips.write_vae(tmp_path / "vae.safetensors")
    inside = {f"vae.{name}": tensor for name, tensor in load_file(alone).items()}
    save_file(inside | {"pose_encoder.x": torch.zeros(1)}, tmp_path / "one.safetensors", {"format": "echomimicv2"})
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(load_vae(tmp_path / "one.safetensors").encode(picture), load_vae(alone).encode(picture))
