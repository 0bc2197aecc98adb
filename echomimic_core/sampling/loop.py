"""The sampling loop in plain torch: what the original's pipeline does between encoding and decoding."""

import torch

from ..config import NOISE_CLAMP, SamplingConfig
from ..runtime import Progress
from .clip import ClipConditions
from .denoiser import ClipDenoiser, WindowSettings
from .schedule import ddim_step, trailing_timesteps


def guide(unconditional: torch.Tensor, conditional: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    return unconditional + guidance_scale * (conditional - unconditional)


@torch.no_grad()
def sample(
    denoiser: ClipDenoiser,
    conditions: ClipConditions,
    noise: torch.Tensor,
    config: SamplingConfig,
    windows_per_batch: int = 1,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Turn noise (F, 4, height, width) into latents of the same shape, scaled by 0.18215, float32.

    `progress` is called before every window with (windows done, windows in the whole run); it may raise to cancel.
    """
    windows = WindowSettings(config.context_frames, config.context_overlap, config.context_shift)
    latents = noise.clamp(-NOISE_CLAMP, NOISE_CLAMP).float()
    clip = denoiser.prepare(conditions, latents.device, denoiser.dtype)
    guided = config.guidance_scale > 1.0
    for step, timestep in enumerate(trailing_timesteps(config.steps)):
        cut = windows.at_step(len(latents), step)

        def step_progress(done: int, total: int, step: int = step) -> None:
            if progress is not None:
                progress(step * total + done, config.steps * total)

        plain, velocity = denoiser.predict(
            latents.to(denoiser.dtype), timestep, cut, clip, guided, windows_per_batch, progress=step_progress
        )
        if guided:
            velocity = guide(plain, velocity, config.guidance_scale)
        latents = ddim_step(latents, velocity, timestep, config.steps)
    return latents
