"""A small model learns on two drawn clips: it overfits, its mouth follows the voice, its hand follows the pose."""

import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")

import training_clips as clips  # noqa: E402
from accelerate.state import AcceleratorState  # noqa: E402

from echomimic_core.apdh.schedule import APDHPhase  # noqa: E402
from echomimic_core.pose.draw import draw_maps  # noqa: E402
from echomimic_core.training.loss.diffusion import add_noise, one_step_clean, velocity_target  # noqa: E402
from echomimic_core.training.run.loop import Trainer  # noqa: E402
from echomimic_core.training.settings import Settings, parse  # noqa: E402

STEPS = 150
# The pose, whose encoder begins with zeros, is learned at once and late: rounding decides when, from step 160 on.
UNTIL_THE_HAND_FOLLOWS = 440
LOOKS = range(200, UNTIL_THE_HAND_FOLLOWS, 40)
FRAMES = 4
EVALUATED_AT = (999, 800, 600)
GROUPS = ("hands", "body", "face")
ONE_CELL = 0.07  # Of the latents, 0.0625 of the width, and a little


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained in the lips phase of APDH, the loss of every step, and the samples that come next."""
    folder = tmp_path_factory.mktemp("learning")
    lips = APDHPhase("spatial: lips", UNTIL_THE_HAND_FOLLOWS, GROUPS, audio="lips")
    settings = parse(
        Settings,
        {
            "output": str(folder / "run"),
            "model": dataclasses.asdict(clips.MICRO),
            "vae": str(clips.write_vae(folder / "vae.safetensors")),
            "data": {"folders": [str(clips.two_clips(folder / "clips"))], "size": clips.SIZE, "frames": FRAMES},
            "train": {
                "stage": 2,
                "parts": ["reference_unet", "denoising_unet", "pose_encoder", "motion_modules", "audio_attention"],
                "steps": UNTIL_THE_HAND_FOLLOWS,
                "batch_size": 2,
                "gradient_checkpointing": False,
                "ema_decay": 0.0,
                "noise_offset": 0.0,
                "condition_dropout": 0.05,
            },
            "optimizer": {"learning_rate": 2e-3, "warmup_steps": 10},
            "loss": {"pose": 0, "detail": 0, "low": 0},
        },
    )
    settings = dataclasses.replace(settings, apdh=dataclasses.replace(settings.apdh, phases=(lips,)))
    AcceleratorState._reset_state(reset_partial_state=True)  # It keeps the precision of the process's first run
    trainer = Trainer(settings)
    samples = iter(torch.utils.data.DataLoader(trainer.dataset, batch_size=2, sampler=trainer.loader().sampler))
    losses = [train_step(trainer, samples, step) for step in range(STEPS)]
    trainer.model.eval()
    return trainer, losses, samples


@pytest.fixture(scope="module")
def following(trained):
    """The same model, trained on until its hand follows the pose, or for `UNTIL_THE_HAND_FOLLOWS` steps."""
    trainer, losses, samples = trained
    trainer.model.train()
    for step in range(len(losses), UNTIL_THE_HAND_FOLLOWS):
        if step in LOOKS and misplaced_hands(trainer) < ONE_CELL:
            break
        losses.append(train_step(trainer, samples, step))
    trainer.model.eval()
    return trainer, losses


def train_step(trainer, samples, step: int) -> float:
    trainer.step = step
    return trainer.gather(trainer.train_step(samples))["loss"]


@pytest.mark.release
def test_it_overfits_two_clips(trained):
    _, losses, _ = trained
    assert np.mean(losses[STEPS - 30 : STEPS]) < 0.6 * np.mean(losses[:3])


@torch.no_grad()
def predict(trainer, audio=None, pose_maps=None):
    """Clean latents (n, F, 4, h, w) that the model predicts from noisy ones, and the true ones and lips' cells."""
    sample = trainer.dataset[(10_000, 0)]
    batch = {name: value[None] for name, value in sample.items()}
    batch["dropped"] = torch.tensor([False])
    if audio is not None:
        batch["audio"] = audio[None]
    if pose_maps is not None:
        batch["pose_maps"] = pose_maps[None]
    clean, conditions = trainer.encode(batch, audio=True)
    made = []
    for timestep in EVALUATED_AT:
        at = torch.tensor([timestep])
        noisy = add_noise(clean, batch["noise"], at)
        made.append(one_step_clean(noisy, trainer.model(noisy, at, conditions), at))
    return torch.cat(made), clean, batch["audio_mask"][0] > 0


def misplaced_hands(trainer) -> float:
    """How far from where the pose wants it the hand's row is brightest, 0..1 across the picture: the worst of four
    places and all timesteps."""
    trainer.model.eval()
    errors = []
    for x in (0.25, 0.4, 0.6, 0.75):
        maps = draw_maps(clips.make_pose(np.full(FRAMES, x)), None, clips.SIZE, clips.SIZE, GROUPS)
        made, _, _ = predict(trainer, pose_maps=torch.from_numpy(maps).permute(0, 3, 1, 2))
        row = made[:, :, :3, round(0.8 * made.shape[-2])].mean((1, 2))
        errors.append(np.abs((row.argmax(-1).numpy() + 0.5) / row.shape[-1] - x).max())
    trainer.model.train()
    return max(errors)


def tokens(loudness):
    states = torch.from_numpy((2 * loudness - 1) * clips.VOICE)
    return states.repeat(FRAMES, 10, 1)


def spread_of_the_voice(trainer):
    """How much more another voice changes the lips than the rest; predictions of a silent and a loud voice; lips."""
    silent, _, lips = predict(trainer, tokens(0.0))
    loud, _, _ = predict(trainer, tokens(1.0))
    change = (loud - silent).abs().mean((0, 1, 2))
    return (change[lips].mean() / change[~lips].mean()).item(), silent, loud, lips


@pytest.mark.release
def test_another_voice_changes_the_lips_and_only_them(trained, monkeypatch):
    trainer, _, _ = trained
    ratio, silent, loud, lips = spread_of_the_voice(trainer)
    assert ratio > 12
    # And it is the masks that do it: the same model without them moves the whole picture
    encode = trainer.encode

    def encode_unmasked(batch, audio):
        clean, conditions = encode(batch, audio)
        return clean, dataclasses.replace(conditions, audio_mask=None)

    monkeypatch.setattr(trainer, "encode", encode_unmasked)
    assert spread_of_the_voice(trainer)[0] < 3
    # An open mouth is darker than skin
    mouth = torch.zeros_like(lips)
    left, top, right, bottom = (round(v * len(lips)) for v in clips.LIPS)
    mouth[top:bottom, left:right] = True
    assert loud[:, :, :3, mouth].mean() < silent[:, :, :3, mouth].mean() - 0.3


@pytest.mark.release
def test_the_hand_goes_where_the_pose_is(following):
    trainer, losses = following
    assert misplaced_hands(trainer) < ONE_CELL
    assert np.mean(losses[-30:]) < 0.2 * np.mean(losses[:3])


def test_the_target_of_an_oracle_has_no_loss():
    clean, noise, at = torch.randn(2, 3), torch.randn(2, 3), torch.tensor([999, 10])
    noisy = add_noise(clean, noise, at)
    assert torch.allclose(one_step_clean(noisy, velocity_target(clean, noise, at), at), clean, atol=1e-5)
