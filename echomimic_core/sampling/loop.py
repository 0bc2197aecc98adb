"""The sampling loop in plain torch: what the original's pipeline does between encoding and decoding."""

from dataclasses import dataclass

import torch

from ..config import NOISE_CLAMP, SamplingConfig
from ..runtime import Progress
from .clip import ClipConditions
from .denoiser import ClipDenoiser, Halves, WindowSettings
from .memory import Batching
from .schedule import ddim_step, noise_to, trailing_timesteps
from .speed import EXACT, SpeedOptions

# Frames whose latents are stepped together, so that no more copies of a long clip are made than need be.
STEP_FRAMES = 64


@dataclass(frozen=True)
class HeldFrames:
    """Frames that are known already and only guide their neighbours: the seam between segments of a long clip.

    Attributes
    ----------
    frames : their indices. latents : (len(frames), 4, height, width), clean.
    """

    frames: list[int]
    latents: torch.Tensor


@torch.no_grad()
def sample(
    denoiser: ClipDenoiser,
    conditions: ClipConditions,
    noise: torch.Tensor,
    config: SamplingConfig,
    batching: Batching | None = None,
    wrap: bool = True,
    held: HeldFrames | None = None,
    speed: SpeedOptions = EXACT,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Turn noise (F, 4, height, width) into latents of the same shape, scaled by 0.18215, float32.

    Parameters
    ----------
    batching : how many windows go together; one by default.
    wrap : whether the end of the clip is the neighbour of its beginning, as in the original.
    held : frames that are given: before each step they get the noise it expects, at the end they are as given.
    speed : shortcuts that change the numbers; none by default.
    progress : called before every batch with (windows done, windows in the whole run); may raise to cancel.
    """
    windows = WindowSettings(config.context_frames, config.context_overlap, config.context_shift, wrap)
    noise = noise.clamp(-NOISE_CLAMP, NOISE_CLAMP)
    latents = noise.float()
    held_noise = None if held is None else latents[held.frames].clone()
    clip = denoiser.prepare(conditions, latents.device, denoiser.dtype, batching)
    guided = config.guidance_scale > 1.0
    for step, timestep in enumerate(trailing_timesteps(config.steps)):
        cut = windows.at_step(len(latents), speed.window_step(step))
        clip.set_speed(speed, step)

        def step_progress(done: int, total: int, step: int = step) -> None:
            if progress is not None:
                progress(step * total + done, config.steps * total)

        if held is not None:
            latents[held.frames] = noise_to(held.latents.to(latents), held_noise, timestep)
        guided_now = guided and speed.guided_at(timestep)
        halves = Halves(clip, guided_now, config.guidance_scale if guided_now else None)
        (velocity,) = denoiser.predict(latents, timestep, cut, halves, progress=step_progress)
        for start in range(0, len(latents), STEP_FRAMES):
            part = slice(start, start + STEP_FRAMES)
            latents[part] = ddim_step(latents[part], velocity[part], timestep, config.steps)
        del velocity
    if held is not None:
        latents[held.frames] = held.latents.to(latents)
    return latents
