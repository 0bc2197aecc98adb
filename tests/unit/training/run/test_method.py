"""The method in the trainer: what the networks are given, what is asked of them, and what becomes of the weights."""

import dataclasses

import pytest
import torch
import training_clips as clips
from torch import nn
from torch.nn import functional as F

pytest.importorskip("accelerate")

from safetensors.torch import load_file  # noqa: E402
from training_runs import fresh_accelerate, settings_of  # noqa: E402, F401

from echomimic_core.files.checkpoints import open_one_file  # noqa: E402
from echomimic_core.models.build import build  # noqa: E402
from echomimic_core.sampling.schedule import alphas_cumprod  # noqa: E402
from echomimic_core.training.model.networks import TrainingModel  # noqa: E402
from echomimic_core.training.run import loop  # noqa: E402

OFF, BODY = 0, 3  # Steps of `settings_of` before audio and with all of it
BIAS = "denoising_unet.conv_out.bias"


class Colours(nn.Module):
    """A VAE whose latents are the mean colours of 8 x 8 pixels and their mean."""

    channels = 4

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0), requires_grad=False)
        self.decoded = []

    def encode(self, pictures):
        colours = F.avg_pool2d(pictures, 8) * self.scale
        return torch.cat([colours, colours.mean(1, keepdim=True)], dim=1)

    def decode(self, latents):
        self.decoded.append(latents)
        return F.interpolate(latents[:, :3] / self.scale, scale_factor=8)


class Spy(TrainingModel):
    """Networks that never run: it keeps what it is given and answers by `answer`, plus one trained bias."""

    def __init__(self, networks):
        super().__init__(networks)
        self.given, self.answer = [], lambda noisy, timesteps: torch.zeros_like(noisy)

    def forward(self, noisy, timesteps, conditions):
        self.given.append((noisy, timesteps, conditions))
        return self.answer(noisy, timesteps) + self.denoising_unet.conv_out.bias[:, None, None] + self.touch()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("method")
    clips.two_clips(folder / "clips", frames=12)
    return folder


@pytest.fixture
def spied(files, tmp_path, monkeypatch):
    """A function from settings to a trainer whose model is a spy."""
    build = loop.build_model
    monkeypatch.setattr(loop, "build_model", lambda settings: Spy(dict(build(settings).named_children())))
    monkeypatch.setattr(loop, "load_vae", lambda path: Colours())

    def make(**sections):
        loss = {"pose": 0.0, "lpips": "stand-in", **sections.pop("loss", {})}
        train = {"batch_size": 2, "condition_dropout": 0.5, "gradient_checkpointing": False}
        train |= sections.pop("train", {})
        trainer = loop.Trainer(settings_of(tmp_path, files, vae=None, loss=loss, train=train, **sections))
        with torch.no_grad():
            trainer.plain.denoising_unet.conv_out.bias.zero_()
        return trainer

    return make


def batch_of(trainer, step, **changes):
    """The samples of a step as a batch, some of it changed."""
    samples = [trainer.dataset[(step, index)] for index in range(2)]
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]} | changes


def take_step(trainer, step, **changes):
    """One optimizer step from `step`; its batch, what the model was given and the values for the log."""
    batch = batch_of(trainer, step, **changes)
    trainer.step = step
    trainer.plain.given.clear(), trainer.vae.decoded.clear()
    values = trainer.gather(trainer.train_step(iter([batch])))
    (given,) = trainer.plain.given
    return batch, given, values


def truth(trainer, batch):
    """Clean latents, noise with its offset and the square roots of alpha and 1 - alpha, all (B, F, 4, h, w)."""
    pictures = batch["frames"].float() / 255
    clean = trainer.vae.encode(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
    noise = batch["noise"] + trainer.settings.train.noise_offset * batch["offset"]
    alpha = alphas_cumprod()[batch["timestep"]][:, None, None, None, None]
    return clean, noise, alpha.sqrt(), (1 - alpha).sqrt()


def oracle(trainer, batch, error=0.0):
    clean, noise, signal, rest = truth(trainer, batch)
    trainer.plain.answer = lambda noisy, timesteps: signal * noise - rest * clean + error


def test_while_audio_is_off_there_is_none(spied):
    trainer = spied()
    _, (_, _, off), _ = take_step(trainer, OFF)
    assert off.audio is None and off.audio_mask is None
    batch, (_, _, on), _ = take_step(trainer, BODY)
    assert torch.equal(on.audio, batch["audio"]) and torch.equal(on.audio_mask, batch["audio_mask"])


def test_the_model_gets_pose_reference_and_dropouts_of_the_samples(spied):
    trainer = spied()
    dropped, kept = torch.tensor([True, False]), torch.tensor([False, True])
    changes = {"dropped": dropped, "pose_kept": kept, "picture_kept": dropped, "audio_kept": kept}
    batch, (_, _, conditions), _ = take_step(trainer, BODY, **changes)
    assert torch.equal(conditions.pose_maps, batch["pose_maps"].float() / 255) and conditions.pose_maps.any()
    assert torch.allclose(conditions.reference, trainer.vae.encode(batch["reference"].float() / 255))
    assert torch.equal(conditions.dropped, dropped) and torch.equal(conditions.pose_kept, kept)
    assert torch.equal(conditions.picture_kept, dropped) and torch.equal(conditions.audio_kept, kept)


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_the_model_sees_noisy_latents_of_the_frames_with_offset_noise(spied, offset):
    trainer = spied(train={"noise_offset": offset})
    batch, (noisy, timesteps, _), _ = take_step(trainer, BODY, timestep=torch.tensor([999, 300]))
    clean, noise, signal, rest = truth(trainer, batch)
    assert timesteps.tolist() == [999, 300]
    assert torch.equal(noisy[0], batch["noise"][0] + offset * batch["offset"][0])  # The last step sees noise alone
    assert torch.allclose(noisy, signal * clean + rest * noise, atol=1e-6)


@pytest.mark.parametrize("timestep", [999, 950, 500, 100, 0])
def test_the_true_velocity_costs_nothing_and_decodes_to_the_frames_picked(spied, timestep):
    trainer = spied(loss={"decoded_frames": 2})
    picked = torch.tensor([[1, 2], [0, 2]])
    batch = batch_of(trainer, BODY, timestep=torch.tensor([timestep, timestep]), picked=picked)
    oracle(trainer, batch)
    _, _, values = take_step(trainer, BODY, **batch)
    clean = truth(trainer, batch)[0]
    assert values["loss_latent"] < 1e-9
    assert len(trainer.vae.decoded) == (0 if timestep >= 900 else 2)
    for sample, latents in enumerate(trainer.vae.decoded):
        assert torch.allclose(latents, clean[sample, batch["picked"][sample]], atol=1e-4)


def test_at_the_last_timestep_the_picture_itself_is_asked_for(spied):
    trainer = spied()
    batch = batch_of(trainer, BODY, timestep=torch.tensor([999, 999]))
    clean = truth(trainer, batch)[0]
    trainer.plain.answer = lambda noisy, timesteps: -clean
    assert take_step(trainer, BODY, **batch)[2]["loss_latent"] < 1e-9
    trainer.plain.answer = lambda noisy, timesteps: -clean + 2.0
    assert take_step(trainer, BODY, **batch)[2]["loss_latent"] == pytest.approx(4.0, rel=1e-3)


def test_a_wrong_velocity_decodes_to_what_it_means_in_one_step(spied):
    trainer = spied()
    batch = batch_of(trainer, BODY, timestep=torch.tensor([600, 600]))
    oracle(trainer, batch, error=0.5)
    take_step(trainer, BODY, **batch)
    clean, _, _, rest = truth(trainer, batch)
    for sample, latents in enumerate(trainer.vae.decoded):
        expected = clean[sample, batch["picked"][sample]] - rest[sample] * 0.5
        assert torch.allclose(latents, expected, atol=1e-4)


def test_the_terms_compare_the_pictures_of_the_frames_picked(spied):
    trainer = spied()
    compared = []

    def compare(decoded, frames, squares):
        compared.append(frames)
        return (decoded - frames).square()

    trainer.loss.terms["detail"] = compare
    batch, _, _ = take_step(trainer, BODY, timestep=torch.tensor([600, 600]), picked=torch.tensor([[2], [1]]))
    assert len(compared) == 2
    for sample, frames in enumerate(compared):
        assert torch.equal(frames, batch["frames"][sample, batch["picked"][sample]].float() / 255)


def test_errors_count_by_the_mask_of_the_samples(spied):
    trainer = spied()
    batch = batch_of(trainer, BODY, timestep=torch.tensor([999, 999]))
    left = torch.zeros_like(batch["loss_mask"])
    left[..., : left.shape[-1] // 2] = 1.0
    oracle(trainer, batch, error=1.0 - left)
    assert take_step(trainer, BODY, **batch | {"loss_mask": left})[2]["loss_latent"] < 1e-9
    assert take_step(trainer, BODY, **batch)[2]["loss_latent"] == pytest.approx(0.5, rel=1e-3)


def test_gradients_are_clipped_before_the_optimizer_takes_them(spied):
    trainer = spied(optimizer={"max_grad_norm": 0.7})
    taken = []
    step = trainer.optimizer.optimizer.step
    trainer.optimizer.optimizer.step = lambda *given: (
        taken.append(torch.stack([p.grad.norm() for p in trainer.plain.parameters() if p.grad is not None]).norm()),
        step(*given),
    )
    batch = batch_of(trainer, BODY, timestep=torch.tensor([999, 999]))
    oracle(trainer, batch, error=100.0)
    values = take_step(trainer, BODY, **batch)[2]
    assert values["gradient_norm"] > 10 and taken[0] == pytest.approx(0.7, rel=1e-3)


def test_batches_of_a_step_are_accumulated_as_their_mean(spied):
    trainer = spied(train={"accumulation": 2, "ema_decay": 0.0}, optimizer={"max_grad_norm": 1e9})
    seen = []
    step = trainer.optimizer.optimizer.step
    trainer.optimizer.optimizer.step = lambda *given: (
        seen.append(trainer.plain.denoising_unet.conv_out.bias.grad.clone()),
        step(*given),
    )
    trainer.step = BODY
    batch = batch_of(trainer, BODY, timestep=torch.tensor([999, 999]))
    clean = truth(trainer, batch)[0]
    errors = iter((1.0, 3.0))
    trainer.plain.answer = lambda noisy, timesteps: -clean + next(errors)
    trainer.train_step(iter([batch, batch]))
    assert len(seen) == 1 and torch.allclose(seen[0], torch.full((4,), 2.0 * 2.0 / 4), rtol=1e-2)


def test_averages_are_what_is_exported_measured_and_filmed(spied, monkeypatch):
    trainer = spied(
        train={"steps": 2, "ema_decay": 0.5},
        optimizer={"learning_rate": 0.1, "warmup_steps": 0},
        checkpoint={"every": 1, "dtype": "float32"},
        validation={"every": 1},
        data={"held_out": 1, "frames": 3},
    )
    bias = trainer.plain.denoising_unet.conv_out.bias
    filmed, measured = [], []
    monkeypatch.setattr(loop, "validate", lambda *given: filmed.append(bias.detach().clone()) or [])
    monkeypatch.setattr(trainer, "validation_loss", lambda state: measured.append(bias.detach().clone()) or 1.0)
    trainer.plain.answer = lambda noisy, timesteps: torch.full_like(noisy, 50.0)
    last = trainer.run()
    average, trained = trainer.ema.shadow[BIAS], bias.detach()
    assert (average - trained).abs().min() > 1e-3
    files = open_one_file(last / "echomimicv2.safetensors")
    exported = build(files, "denoising_unet", clips.MICRO, torch.float32)
    assert torch.allclose(exported.conv_out.bias, average)
    assert torch.allclose(load_file(last / "state" / "trained.safetensors")[BIAS], trained)
    assert torch.allclose(filmed[-1], average) and torch.allclose(measured[-1], average)


def test_averages_follow_every_step_faster_at_the_start(spied):
    trainer = spied(train={"ema_decay": 0.9}, optimizer={"learning_rate": 0.1, "warmup_steps": 0})
    trainer.plain.answer = lambda noisy, timesteps: torch.full_like(noisy, 50.0)
    expected = trainer.ema.shadow[BIAS].clone()
    for step in range(3):
        take_step(trainer, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * trainer.plain.denoising_unet.conv_out.bias.detach()
        assert torch.allclose(trainer.ema.shadow[BIAS], expected, atol=1e-6)


def test_held_out_clips_are_measured_with_all_their_conditions_at_fixed_timesteps(spied):
    trainer = spied(
        data={"held_out": 1, "frames": 3},
        train={"condition_dropout": 1.0, "picture_dropout": 1.0, "audio_dropout": 1.0},
    )
    state = dataclasses.replace(trainer.dataset.state(BODY), pose_dropout=1.0)
    trainer.validation_loss(state)
    assert [at.item() for _, at, _ in trainer.plain.given] == list(loop.MEASURED_TIMESTEPS)
    for _, _, conditions in trainer.plain.given:
        assert not conditions.dropped.any() and conditions.pose_kept.all() and conditions.audio is not None
        assert conditions.picture_kept.all() and conditions.audio_kept.all()
    trainer.plain.given.clear()
    trainer.validation_loss(trainer.dataset.state(OFF))
    assert all(conditions.audio is None for _, _, conditions in trainer.plain.given)


def test_motion_modules_run_on_clips_and_not_on_pictures(spied):
    from echomimic_core.training.run.loop import prepare_parameters

    trainer = spied()
    for stage, frames in ((1, 1), (2, 3), (3, 3)):
        train = dataclasses.replace(trainer.settings.train, stage=stage)
        settings = dataclasses.replace(trainer.settings, train=train)
        assert settings.clip_frames == frames
        prepare_parameters(trainer.plain, settings)
        levels = [m.motion_enabled for m in trainer.plain.denoising_unet.modules() if hasattr(m, "motion_enabled")]
        assert levels and set(levels) == {stage > 1}
