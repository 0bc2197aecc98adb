"""The noise schedule: betas, timesteps, DDIM, and the words of velocities, clean latents and noise for one another."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echomimic_core.config import TINY, SamplingConfig
from echomimic_core.sampling.denoiser import Halves, guide
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.schedule import (
    alphas_cumprod,
    comfy_sigmas,
    ddim_step,
    noise_to,
    predict_clean,
    sigma_ddim_step,
    trailing_sigmas,
    trailing_timesteps,
    velocity_of,
)


def test_alphas_are_those_of_linear_betas_rescaled_to_end_at_zero():
    root = np.sqrt(np.cumprod(1 - np.linspace(0.00085, 0.012, 1000)))
    expected = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    alphas = alphas_cumprod().numpy()
    assert alphas[-1] == 0.0 and alphas[0] == pytest.approx(0.99915)
    assert np.allclose(alphas, expected, atol=1e-5)


@pytest.mark.parametrize(
    "steps, timesteps", [(1, [999]), (4, [999, 749, 499, 249]), (6, [999, 832, 666, 499, 332, 166])]
)
def test_timesteps_are_spaced_from_the_last_one_down(steps, timesteps):
    assert trailing_timesteps(steps) == timesteps
    assert trailing_timesteps(30)[:3] == [999, 966, 932]


def noisy_at(timestep):
    generator = torch.Generator().manual_seed(timestep)
    clean, noise = torch.randn(2, 3, 4, 5, 5, generator=generator)
    alpha = alphas_cumprod()[timestep]
    return clean, noise, noise_to(clean, noise, timestep), alpha.sqrt() * noise - (1 - alpha).sqrt() * clean


@pytest.mark.parametrize("timestep", [999, 700, 250, 0])
def test_a_velocity_means_the_clean_latents_and_they_mean_the_velocity(timestep):
    clean, _, noisy, velocity = noisy_at(timestep)
    at = torch.tensor([timestep])
    assert torch.allclose(predict_clean(noisy, velocity, alphas_cumprod()[timestep]), clean, atol=1e-4)
    assert torch.allclose(velocity_of(clean, noisy, at), velocity, atol=1e-3 if timestep else 0.05)


@pytest.mark.parametrize("timestep, landing", [(999, 749), (749, 499), (499, 249), (249, None)])
def test_a_step_with_the_true_velocity_lands_on_the_same_noise_at_the_next_timestep(timestep, landing):
    clean, noise, noisy, velocity = noisy_at(timestep)
    expected = clean if landing is None else noise_to(clean, noise, landing)
    assert torch.allclose(ddim_step(noisy, velocity, timestep, 4), expected, atol=1e-4)


@pytest.mark.parametrize("number", range(4))
def test_a_step_in_comfyuis_noise_levels_is_the_same_step(number):
    sigmas, timestep = trailing_sigmas(4), trailing_timesteps(4)[number]
    clean, _, noisy, velocity = noisy_at(timestep)
    sigma, following = sigmas[number], sigmas[number + 1]
    assert sigma == comfy_sigmas()[timestep]
    # ComfyUI's last noise level is finite, so its latents at timestep 999 hold a trace of the picture
    stepped = sigma_ddim_step(noisy * (1 + sigma**2).sqrt(), clean, sigma, following, timestep, 4)
    expected = ddim_step(noisy, velocity, timestep, 4)
    expected = expected if following == 0 else expected * (1 + following**2).sqrt()
    assert torch.allclose(stepped, expected, atol=2e-3)


def test_guidance_goes_from_the_unconditional_past_the_conditional():
    uncond, cond = torch.full((1, 2, 4, 3, 3), 1.0), torch.full((1, 2, 4, 3, 3), 3.0)
    assert (guide(uncond, cond, 2.5) == 6.0).all() and (guide(uncond, cond, 1.0) == cond).all()
    clip = object()
    assert (Halves(clip, True, 2.5).guided(torch.cat([uncond, cond])) == 6.0).all()
    assert Halves(clip, False).guided(cond) is cond


class Recorder:
    """A denoiser that keeps what it is asked and answers with one velocity."""

    dtype = torch.float32
    denoising_unet = SimpleNamespace(config=TINY)

    def __init__(self):
        self.asked = []

    def prepare(self, *_):
        return SimpleNamespace(set_speed=lambda *given: None)

    def predict(self, latents, timestep, windows, halves, progress, team):
        self.asked.append((latents.clone(), timestep, windows, halves))
        return (torch.zeros_like(latents),)


def test_a_run_starts_from_clamped_noise_and_goes_through_the_timesteps_and_windows():
    denoiser, noise = Recorder(), 3 * torch.randn(20, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    sample(denoiser, None, noise, SamplingConfig(steps=4, guidance_scale=2.5))
    latents, timesteps, windows, halves = zip(*denoiser.asked, strict=True)
    assert torch.equal(latents[0], noise.clamp(-1.5, 1.5))
    assert list(timesteps) == trailing_timesteps(4)
    assert [found[0][0] for found in windows] == [0, 3, 6, 9]
    assert all(each.unconditional and each.scale == 2.5 for each in halves)


def test_without_guidance_the_unconditional_half_is_not_computed():
    denoiser = Recorder()
    sample(denoiser, None, torch.randn(3, 4, 2, 2), SamplingConfig(steps=2, guidance_scale=1.0))
    assert [(halves.unconditional, halves.scale) for *_, halves in denoiser.asked] == [(False, None)] * 2
