"""The noise schedule: DDIM on betas with zero terminal SNR, v-prediction, trailing timesteps, eta 0."""

from functools import lru_cache

import numpy as np
import torch

from ..config import BETA_END, BETA_START, TRAIN_TIMESTEPS


@lru_cache(maxsize=1)
def alphas_cumprod() -> torch.Tensor:
    """The products of alphas (1000,) float32, the last exactly 0 (Lin et al., arXiv 2305.08891, algorithm 1)."""
    betas = torch.linspace(BETA_START, BETA_END, TRAIN_TIMESTEPS, dtype=torch.float32)
    root = (1.0 - betas).cumprod(0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    root = (root - last) * (first / (first - last))
    alphas = root.square()
    # The rescaled betas are what the original stores, and their products differ in the last digits
    alphas = torch.cat([alphas[:1], alphas[1:] / alphas[:-1]])
    return (1.0 - (1.0 - alphas)).cumprod(0)


def trailing_timesteps(steps: int) -> list[int]:
    """Timesteps from 999 down, evenly spaced from the end of the schedule."""
    if not 1 <= steps <= TRAIN_TIMESTEPS:
        raise ValueError(f"steps is {steps}, but it must be between 1 and {TRAIN_TIMESTEPS}")
    spaced = np.arange(TRAIN_TIMESTEPS, 0, -TRAIN_TIMESTEPS / steps)
    # Some float spacings yield one value too many, near 0
    return (np.round(spaced[:steps]).astype(int) - 1).tolist()


def previous_timestep(timestep: int, steps: int) -> int:
    """The timestep a DDIM step lands on: a whole number of timesteps lower, negative for the clean picture."""
    return timestep - TRAIN_TIMESTEPS // steps


def predict_clean(latents: torch.Tensor, velocity: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """The clean latents that a velocity implies: sqrt(alpha) x - sqrt(1 - alpha) v."""
    return alpha.sqrt() * latents - (1.0 - alpha).sqrt() * velocity


def velocity_of(clean: torch.Tensor, latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """The velocity that predicted clean latents mean: (sqrt(alpha) x - x0) / sqrt(1 - alpha).

    Parameters
    ----------
    clean, latents : predicted, and noisy ones x, (n, ...).
    timesteps : (1,) or (n,) in [0, 1000), whole numbers.
    """
    alpha = _table_on(latents.device)[timesteps.long()].reshape(-1, *[1] * (latents.ndim - 1))
    return ((alpha.sqrt() * latents.float() - clean.float()) / (1.0 - alpha).sqrt()).to(clean.dtype)


@lru_cache(maxsize=4)
def _table_on(device: torch.device) -> torch.Tensor:
    """The table on a device, once: moving it at every step would wait for the device."""
    return alphas_cumprod().to(device)


def ddim_step(latents: torch.Tensor, velocity: torch.Tensor, timestep: int, steps: int) -> torch.Tensor:
    """One deterministic DDIM step from `timestep`; tensors of any shape, same shape out."""
    table = alphas_cumprod()  # Its numbers stay on the CPU: moving them would wait for the device
    alpha = table[timestep]
    previous = previous_timestep(timestep, steps)
    alpha_previous = table[previous] if previous >= 0 else torch.ones_like(alpha)
    clean = predict_clean(latents, velocity, alpha)
    noise = alpha.sqrt() * velocity + (1.0 - alpha).sqrt() * latents
    return alpha_previous.sqrt() * clean + (1.0 - alpha_previous).sqrt() * noise


def noise_to(clean: torch.Tensor, noise: torch.Tensor, timestep: int) -> torch.Tensor:
    """Clean latents with as much noise as a timestep has: sqrt(alpha) x + sqrt(1 - alpha) noise."""
    alpha = alphas_cumprod()[timestep]
    return alpha.sqrt() * clean + (1.0 - alpha).sqrt() * noise


COMFY_LAST_ALPHA = 4.8973451890853435e-08
"""ComfyUI ends a zero-SNR table here instead of at 0, to keep the noise levels finite."""


def comfy_sigmas() -> torch.Tensor:
    """Noise levels sqrt((1 - alpha) / alpha) of the 1000 timesteps as ComfyUI keeps them, ascending, float32."""
    alphas = alphas_cumprod().double().clone()
    alphas[-1] = COMFY_LAST_ALPHA
    return ((1.0 - alphas) / alphas).sqrt().float()


def schedule_of(sigmas: torch.Tensor, steps: int) -> list[int] | None:
    """Timesteps of noise levels that are the trailing schedule of so many steps, or a stretch of it; else None."""
    table = comfy_sigmas().to(sigmas.device)
    timesteps = (sigmas[:-1, None].log() - table.log()).abs().argmin(dim=1).tolist()
    trailing = trailing_timesteps(steps)
    first = trailing.index(timesteps[0]) if timesteps and timesteps[0] in trailing else None
    matches = first is not None and trailing[first : first + len(timesteps)] == timesteps
    return timesteps if matches else None


def sigma_ddim_step(
    x: torch.Tensor, clean: torch.Tensor, sigma: torch.Tensor, sigma_next: torch.Tensor, timestep: int, steps: int
) -> torch.Tensor:
    """`ddim_step` for samplers that keep x = latents * sqrt(1 + sigma²) and see clean latents instead of velocities.

    The velocity is read back from the clean latents, because ComfyUI's last noise level is finite where the
    original's is not. At the end of the schedule the latents come back as the original leaves them.
    """
    alpha = 1.0 / (1.0 + sigma**2)
    latents = x * alpha.sqrt()
    velocity = (alpha.sqrt() * latents - clean) / (1.0 - alpha).sqrt()
    latents = ddim_step(latents, velocity, timestep, steps)
    # Asked of the device only in the last step: an answer waits for all it was given to do
    finished = previous_timestep(timestep, steps) <= 0 and sigma_next <= comfy_sigmas()[0]
    return latents if finished else latents * (1.0 + sigma_next**2).sqrt()


def trailing_sigmas(steps: int, end_at_zero: bool = True) -> torch.Tensor:
    """Noise levels (steps + 1,) of the trailing timesteps, descending, for ComfyUI's samplers.

    A DDIM step goes a whole number of timesteps down; where the steps do not divide 1000, the last one lands on
    timestep 0 rather than on the clean picture, and that is where the list ends unless `end_at_zero`.
    """
    table = comfy_sigmas()
    timesteps = trailing_timesteps(steps)
    landing = previous_timestep(timesteps[-1], steps)
    last = table[landing] if landing >= 0 and not end_at_zero else torch.zeros(())
    return torch.cat([table[timesteps], last[None]])
