"""The sampling loop in plain torch: what the original's pipeline does between encoding and decoding."""

from dataclasses import dataclass, replace

import torch

from ..config import LATENT_SCALE, NOISE_CLAMP, TRAIN_TIMESTEPS, SamplingConfig
from ..models.trial import ways_in_use
from ..runtime import Progress, free_memory
from ..scene.pin import Pin
from .clip import CLIP_CACHES, ClipConditions
from .denoiser import ClipDenoiser, Halves, WindowSettings
from .memory import LATENT_COPIES, ON_CPU, Batching, RunSize, plan_batching, streams
from .schedule import alphas_cumprod, ddim_step, noise_to, predict_clean, trailing_timesteps
from .speed import EXACT, SpeedOptions
from .team import Team

# Frames whose latents are stepped together, so that no more copies of a long clip are made than need be.
STEP_FRAMES = 64
# Copies of the latents that a pin holds: its own, their noise and the mask.
PIN_COPIES = 3


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
    pin: Pin | None = None,
    denoise: float = 1.0,
    device: torch.device | None = None,
    team: Team | None = None,
) -> torch.Tensor:
    """Turn noise (F, 4, height, width) into latents of the same shape, scaled by 0.18215, float32.

    Parameters
    ----------
    batching : how many windows go together; by default what the device's free memory allows (`memory`).
    wrap : whether the end of the clip is the neighbour of its beginning, as in the original.
    held : frames that are given: before each step they get the noise it expects, at the end they are as given.
    speed : shortcuts that change the numbers; none by default.
    progress : called before every batch with (windows done, windows in the whole run); may raise to cancel.
    pin : what of the latents is kept, as held frames are, where its mask is not 1.
    denoise : below 1 the clip starts from the pin's latents, and the steps are the last ones of a schedule that is
        longer in proportion, as in ComfyUI.
    device : of the networks; by default that of the noise. The latents of long clips stay in main memory, and are
        returned there.
    team : processes that each call this with the same clip, compute a share of its windows, and all get the result.

    Raises
    ------
    ValueError : denoise below 1 without a pin; the clip does not fit into the device's free memory.
    """
    windows = WindowSettings(config.context_frames, config.context_overlap, config.context_shift, wrap)
    device = device or noise.device
    copies = LATENT_COPIES + (0 if pin is None else PIN_COPIES)
    guided = config.guidance_scale > 1.0
    if batching is None:
        size = run_size(denoiser, noise, config, windows, speed)
        size = replace(size, latent_copies=copies).streamed()
        batching = plan_batching(size, free_memory(device), ON_CPU if device.type == "cpu" else None)
    latents = noise.float().to("cpu" if streams(copies * 4 * noise.numel()) else device)
    latents = latents.clamp(-NOISE_CLAMP, NOISE_CLAMP)
    held_noise = None if held is None else latents[held.frames].clone()
    clip = denoiser.prepare(conditions, device, denoiser.dtype, batching)
    kept = None if pin is None else _Kept(pin, latents)
    steps = min(int(config.steps / denoise), TRAIN_TIMESTEPS)
    timesteps = trailing_timesteps(steps)[-config.steps :]
    if denoise < 1.0:
        if kept is None:
            raise ValueError("denoise is below 1, but there are no latents to start from")
        latents = noise_to(kept.latents, kept.noise, timesteps[0])
    for step, timestep in enumerate(timesteps):
        cut = windows.at_step(len(latents), step, speed)
        clip.set_speed(speed, step)

        def step_progress(done: int, total: int, step: int = step) -> None:
            if progress is not None:
                progress(step * total + done, config.steps * total)

        if held is not None:
            latents[held.frames] = noise_to(held.latents.to(latents), held_noise, timestep)
        guided_now = guided and speed.guided_at(timestep)
        halves = Halves(clip, guided_now, config.guidance_scale if guided_now else None)
        seen = latents if kept is None else kept.seen(latents, timestep)
        with ways_in_use(speed.ways_on(device, denoiser.dtype)):
            (velocity,) = denoiser.predict(seen, timestep, cut, halves, progress=step_progress, team=team)
        if kept is not None:
            velocity = kept.velocity(latents, seen, velocity, timestep)
        for start in range(0, len(latents), STEP_FRAMES):
            part = slice(start, start + STEP_FRAMES)
            latents[part] = ddim_step(latents[part], velocity[part], timestep, steps)
        del velocity
    if kept is not None and kept.mask is not None:
        latents = torch.where(kept.mask == 0, kept.latents, latents)
    if held is not None:
        latents[held.frames] = held.latents.to(latents)
    return latents


def run_size(
    denoiser: ClipDenoiser, noise: torch.Tensor, config: SamplingConfig, windows: WindowSettings, speed: SpeedOptions
) -> RunSize:
    """What decides the memory of a clip like `noise` (F, 4, height, width), apart from weights."""
    frames, _, height, width = noise.shape
    return RunSize(
        *(denoiser.denoising_unet.config, height, width, frames, config.context_frames, config.guidance_scale > 1.0),
        itemsize=denoiser.dtype.itemsize,
        cache_bytes=CLIP_CACHES,
        reused_frames=windows.reused_frames(frames, speed),
    )


class _Kept:
    """The latents of a pin, scaled, with the noise that they get: (F, 4, h, w) on the clip's device."""

    def __init__(self, pin: Pin, noise: torch.Tensor):
        latents, mask = pin.part(list(range(len(noise))))
        self.noise = noise.clone()
        self.latents = latents.to(noise) * LATENT_SCALE
        self.mask = None if mask is None else mask.to(noise)

    def seen(self, latents: torch.Tensor, timestep: int) -> torch.Tensor:
        """What the network sees: the pin's latents with as much noise as the clip's, where those are not free."""
        if self.mask is None:
            return latents
        return torch.lerp(noise_to(self.latents, self.noise, timestep), latents, self.mask)

    def velocity(
        self, latents: torch.Tensor, seen: torch.Tensor, velocity: torch.Tensor, timestep: int
    ) -> torch.Tensor:
        """The velocity of `latents` towards what the network expects, or the pin's latents where they are not free."""
        if self.mask is None:
            return velocity
        alpha = alphas_cumprod()[timestep]
        clean = torch.lerp(self.latents, predict_clean(seen, velocity, alpha), self.mask)
        return (alpha.sqrt() * latents - clean) / (1.0 - alpha).sqrt()
