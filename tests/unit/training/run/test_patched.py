"""A model of other latents is trained: a step runs, at the velocity its clean latents mean, and its file says so."""

import dataclasses

import pytest
import torch
import training_clips as clips
from training_runs import fresh_accelerate, write_config  # noqa: F401 (a fixture of every test here)

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")

from echomimic_core.config import CLEAN, LATENT_SCALE
from echomimic_core.files.checkpoints import open_one_file, write_tensors
from echomimic_core.models.build import config_of
from echomimic_core.networks.block_vae import BlockVAE, weights_of
from echomimic_core.sampling.schedule import velocity_of
from echomimic_core.training.run.loop import Trainer
from echomimic_core.training.settings import SettingsError, load_settings

PATCHED = dataclasses.replace(clips.MICRO, latent_channels=16, patch=2, output=CLEAN)


@pytest.fixture
def config(tmp_path):
    clips.two_clips(tmp_path / "clips", frames=6, headshot=True)
    torch.manual_seed(0)
    write_tensors(tmp_path / "vae.safetensors", weights_of(BlockVAE(16, 8, 0.5 * LATENT_SCALE)))
    return write_config(
        tmp_path,
        tmp_path,
        model=dataclasses.asdict(PATCHED),
        loss={"pose": 0, "detail": 0.1, "low": 0, "hand_weight": 4, "decoded_size": 32},
        validation={"every": 0},
    )


def test_a_run_goes_through_and_its_file_says_what_its_latents_are(config):
    checkpoint = Trainer(load_settings(config)).run()
    assert config_of(open_one_file(checkpoint / "echomimicv2.safetensors")) == PATCHED


def test_the_loss_is_at_the_velocity_that_the_clean_latents_mean(config, monkeypatch):
    trainer = Trainer(load_settings(config))
    seen = {}
    network, loss = trainer.plain.denoising_unet.forward, trainer.loss.forward

    def predict(latents, timesteps, *rest):
        seen["clean"] = network(latents, timesteps, *rest)
        seen["latents"], seen["timesteps"] = latents, timesteps
        return seen["clean"]

    def judge(velocity, *rest, **more):
        seen["velocity"] = velocity
        return loss(velocity, *rest, **more)

    monkeypatch.setattr(trainer.plain.denoising_unet, "forward", predict)
    monkeypatch.setattr(trainer.loss, "forward", judge)
    batch = next(iter(trainer.loader()))
    batch["dropped"] = torch.zeros_like(batch["dropped"])
    batch |= {name: torch.ones_like(batch[name]) for name in ("picture_kept", "audio_kept")}
    trainer.losses(batch, audio=True)
    expected = velocity_of(seen["clean"], seen["latents"], seen["timesteps"])
    assert torch.allclose(seen["velocity"].flatten(0, 1), expected, atol=1e-5)


def test_a_vae_of_other_latents_is_refused(config, tmp_path):
    clips.write_vae(tmp_path / "vae.safetensors")
    with pytest.raises(SettingsError, match="4 latent channels, but the model has 16"):
        Trainer(load_settings(config))
