"""Models of other latents: sixteen channels, in patches of two, that predict clean latents."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import relative_error

from echomimic_core.config import CLEAN, TINY, ModelConfig, SamplingConfig
from echomimic_core.files.checkpoints import open_one_file
from echomimic_core.models.build import NETWORKS, build, config_of, write_tiny_model
from echomimic_core.models.context import WindowContext
from echomimic_core.models.patches import from_patches, to_patches
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.sampling.clip import ClipConditions
from echomimic_core.sampling.denoiser import ClipDenoiser
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.schedule import alphas_cumprod, predict_clean, velocity_of
from echomimic_core.sampling.segments import plan_segments, segment_noise

PATCHED = replace(
    TINY, block_out_channels=(32, 32, 32, 32), norm_num_groups=8, latent_channels=16, patch=2, output=CLEAN
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "patched.safetensors", config=PATCHED)


@pytest.fixture(scope="module")
def networks(file):
    return {name: build(open_one_file(file), name, PATCHED, torch.float32) for name in NETWORKS}


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
def test_every_size_goes_through_in_patches_and_comes_back(size):
    values = torch.randn(2, 16, *size)
    cells = to_patches(values, 2)
    assert cells.shape == (2, 64, *PATCHED.cells(*size))
    assert torch.equal(from_patches(cells, 2, size), values)
    assert to_patches(values, 1) is values


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
def test_patches_make_latents_of_the_size_they_were_given(networks, size):
    height, width = size
    with torch.no_grad():
        pose = networks["pose_encoder"](torch.rand(2, 3, 8 * height, 8 * width))
        tokens = networks["reference_unet"](torch.randn(1, 16, height, width))
        made = networks["denoising_unet"](
            torch.randn(2, 16, height, width), torch.tensor([500.0]), WindowContext(frames=2), pose
        )
    assert made.shape == (2, 16, height, width)
    rows, columns = PATCHED.cells(height, width)
    assert tokens[0].shape[1] == rows * columns and pose.shape[-2:] == (rows, columns)


def test_a_file_says_what_its_latents_are_and_older_files_need_not(file, tmp_path):
    assert config_of(open_one_file(file)) == PATCHED
    plain = open_one_file(write_tiny_model(tmp_path / "plain.safetensors"))
    said = json.loads(plain.networks["denoising_unet"][0][0].metadata["config"])
    assert not {"latent_channels", "patch", "output"} & set(said) and config_of(plain) == TINY


@pytest.mark.parametrize("wrong", [{"output": "noise"}, {"patch": 0}, {"patch": 64}])
def test_there_are_no_other_outputs_and_patches(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ModelConfig(**wrong)


@pytest.mark.parametrize("timestep", [999, 500, 0])
def test_the_velocity_of_predicted_clean_latents_leads_back_to_them(timestep):
    clean, latents = torch.randn(2, 2, 3, 16, 4, 4)
    velocity = velocity_of(clean, latents, torch.tensor([timestep]))
    assert relative_error(predict_clean(latents, velocity, alphas_cumprod()[timestep]), clean) < 1e-4


def test_one_step_of_sampling_lands_on_what_the_network_predicts(networks):
    """From pure noise, in one step, the clip is the prediction itself."""
    frames, generator = 3, torch.Generator().manual_seed(0)
    maps = torch.rand(frames, 3, 64, 64, generator=generator)
    noise = torch.randn(frames, 16, 8, 8, generator=generator).clamp(-1.5, 1.5)
    with torch.no_grad():
        reference = ReferenceFeatures(networks["reference_unet"](noise[:1]), 8, 8, channels=16)
        denoiser = ClipDenoiser(networks["denoising_unet"], networks["pose_encoder"])
        conditions = ClipConditions(reference, None, lambda rows: maps[rows])
        made = sample(denoiser, conditions, noise, SamplingConfig(1, 1.0))
        context = WindowContext(frames, reference=denoiser.denoising_unet.project_reference(reference.tokens))
        pose = denoiser.pose_encoder(maps)
        expected = denoiser.denoising_unet(noise, torch.tensor([999.0]), context, pose)
    assert relative_error(made, expected) < 1e-4


def test_segments_have_noise_of_the_reference_s_channels():
    (segment,) = plan_segments(3, 8, 2, loop=False)
    assert segment_noise(0, segment, 3, ReferenceFeatures([], 8, 6, channels=16)).shape == (3, 16, 8, 6)
