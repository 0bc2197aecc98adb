"""A VAE inside a one-file model, and the one of SD 1.5 among others in a folder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import network

from echomimic_core.config import TINY
from echomimic_core.files.checkpoints import FLOAT8, open_one_file, save_one_file
from echomimic_core.files.tensor_file import CheckpointError
from echomimic_core.files.vae import VAE_DOWNLOAD, VAE_NAME, at_true_width, find_vae, inside, open_vae
from echomimic_core.models.build import build, config_of, write_tiny_model

NANO = Path(__file__).resolve().parents[3] / "demo" / "models" / "nano.safetensors"
TAESD = {
    "taesd_encoder.0.weight": torch.randn(64, 3, 3, 3),
    "taesd_decoder.1.weight": torch.randn(64, 4, 3, 3).half(),
    "vae_scale": torch.tensor(0.18215),
}


def sd_vae(channels: int) -> dict[str, torch.Tensor]:
    """The first layers of a VAE in SD's layout."""
    return {
        "encoder.conv_in.weight": torch.zeros(8, 3, 3, 3),
        "decoder.conv_in.weight": torch.zeros(8, channels, 3, 3),
    }


def test_channels_that_are_zero_throughout_are_left_out_and_pictures_stay_equal():
    """The demo's model: trained at half of TAESD's width."""
    pytest.importorskip("diffusers")
    from echomimic_core.networks.frozen_vae import taesd_of

    file, prefix = open_vae(NANO)
    stored = {name: tensor.float() for name, tensor in file.state_dict(prefix).items()}
    narrow = at_true_width(stored)
    assert narrow["taesd_decoder.10.conv.2.weight"].shape == (32, 32, 3, 3)
    assert narrow["taesd_decoder.19.weight"].shape == (3, 32, 3, 3)
    wide, true = taesd_of(stored), taesd_of(narrow)
    with torch.no_grad():
        latents, pictures = torch.randn(2, 4, 4, 4), torch.rand(2, 3, 32, 32)
        assert torch.allclose(wide.decode(latents).sample, true.decode(latents).sample, atol=1e-5)
        assert torch.allclose(wide.encode(pictures).latents, true.encode(pictures).latents, atol=1e-5)


def test_a_channel_that_any_layer_writes_into_stays():
    whole = {
        "taesd_decoder.1.weight": torch.zeros(64, 4, 3, 3),
        "taesd_decoder.3.conv.0.weight": torch.zeros(64, 64, 3, 3),
        "taesd_decoder.3.conv.0.bias": torch.zeros(64),
        "taesd_decoder.19.weight": torch.ones(3, 64, 3, 3),
    }
    assert at_true_width(whole)["taesd_decoder.1.weight"].shape[0] == 64, "nothing would be left"
    whole["taesd_decoder.1.weight"][5] = 1.0
    whole["taesd_decoder.3.conv.0.bias"][40] = 1.0
    narrow = at_true_width(whole)
    assert [narrow[name].shape[:2] for name in whole] == [(2, 4), (2, 2), (2,), (3, 2)]
    assert at_true_width(TAESD)["taesd_decoder.1.weight"] is TAESD["taesd_decoder.1.weight"]


def one_file(path, vae, dtype=None, **metadata):
    networks = {name: network(name).state_dict() for name in ("denoising_unet", "pose_encoder")}
    return save_one_file(path, {**networks, "vae": vae}, "accelerated", TINY, dtype, metadata)


@pytest.mark.parametrize("dtype", [None, torch.float16, *FLOAT8])
def test_a_vae_inside_is_kept_as_it_is_beside_networks_of_any_precision(tmp_path, dtype):
    path = one_file(tmp_path / "m.safetensors", TAESD, dtype)
    files = open_one_file(path)
    assert files.vae_file() == path and build(files, "pose_encoder", config_of(files)) is not None
    file, prefix = inside(path)
    kept = file.state_dict(prefix)
    assert kept.keys() == TAESD.keys()
    assert all(kept[name].dtype == tensor.dtype and torch.equal(kept[name], tensor) for name, tensor in TAESD.items())


def test_the_size_it_was_trained_at_is_in_the_metadata(tmp_path):
    assert open_one_file(one_file(tmp_path / "m.safetensors", TAESD, size="256")).size == 256
    assert open_one_file(one_file(tmp_path / "old.safetensors", TAESD)).size == 768
    assert open_one_file(write_tiny_model(tmp_path / "tiny.safetensors")).size == 128


@pytest.mark.parametrize("size", ["large", "0", "-128", "100", "", "56", "2056", "786432"])
def test_an_impossible_size_is_named(tmp_path, size):
    path = one_file(tmp_path / "m.safetensors", TAESD, size=size)
    with pytest.raises(CheckpointError, match=f"m.safetensors says .*{size!r} pixels"):
        open_one_file(path)


@pytest.mark.parametrize(
    "vae", [{"layer.weight": torch.zeros(2)}, sd_vae(16), {"decoder.conv_in.weight": torch.zeros(8, 4, 3, 3)}]
)
def test_another_kind_of_vae_inside_is_named_when_it_is_used(tmp_path, vae):
    path = one_file(tmp_path / "m.safetensors", vae)
    assert open_one_file(path).variant == "accelerated"
    with pytest.raises(CheckpointError, match="m.safetensors has no VAE inside with an encoder and a decoder of 4"):
        inside(path)


def test_a_vae_is_read_from_a_one_file_model_and_from_a_file_of_its_own(tmp_path):
    save_file(TAESD, tmp_path / "vae.safetensors")
    (alone, no_prefix), (whole, prefix) = (
        open_vae(path) for path in (tmp_path / "vae.safetensors", one_file(tmp_path / "m.safetensors", TAESD))
    )
    assert alone.state_dict(no_prefix).keys() == whole.state_dict(prefix).keys() == TAESD.keys()


def test_sd_vae_ft_mse_is_taken_before_others_and_others_only_with_four_channels(tmp_path):
    (tmp_path / "sub").mkdir()
    save_file(sd_vae(16), tmp_path / "ae.safetensors")
    save_file(sd_vae(4), tmp_path / "sdxl_vae.safetensors")
    (tmp_path / "a_broken.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError) as missing:
        find_vae([tmp_path])
    assert all(words in str(missing.value) for words in (VAE_NAME, VAE_DOWNLOAD, str(tmp_path), "Load VAE"))
    torch.save({"state_dict": sd_vae(4)}, tmp_path / "kl.ckpt")
    assert find_vae([tmp_path])[0].path.name == "kl.ckpt"
    save_file(TAESD, tmp_path / "b.safetensors")
    assert find_vae([tmp_path])[0].path.name == "b.safetensors"
    save_file(sd_vae(4), tmp_path / "sub" / VAE_NAME)
    assert find_vae([tmp_path])[0].path.name == VAE_NAME


def test_names_of_subfolders_count_where_every_file_is_called_the_same(tmp_path):
    name = "diffusion_pytorch_model.safetensors"
    for folder in ("another", "SD-VAE-FT-MSE", "SDXL_vae"):
        (tmp_path / "xl" / folder).mkdir(parents=True)
        save_file(sd_vae(4), tmp_path / "xl" / folder / name)
    assert find_vae([tmp_path / "xl"])[0].path.parent.name == "SD-VAE-FT-MSE", "above the folder a name says nothing"
    (tmp_path / "xl" / "SD-VAE-FT-MSE" / name).unlink()
    assert find_vae([tmp_path / "xl"])[0].path.parent.name == "another"
    (tmp_path / "xl" / "another" / name).unlink()
    with pytest.raises(CheckpointError, match="there is no VAE"):
        find_vae([tmp_path / "xl"])


def test_the_first_folder_goes_before_the_second(tmp_path):
    for name in ("z", "a"):
        (tmp_path / name).mkdir()
        save_file(sd_vae(4), tmp_path / name / "vae.safetensors")
    assert find_vae([tmp_path / "z", tmp_path / "a"])[0].path.parent.name == "z"


def test_a_damaged_sd_vae_ft_mse_is_not_passed_over_in_silence(tmp_path):
    save_file(sd_vae(4), tmp_path / "another.safetensors")
    (tmp_path / VAE_NAME).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match="Git LFS"):
        find_vae([tmp_path])
