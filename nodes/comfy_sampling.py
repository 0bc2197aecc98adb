"""The original's DDIM as a ComfyUI sampler, and progress that moves with every window."""

import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.k_diffusion import sampling as k_diffusion_sampling

from ..echomimic_core.sampling.schedule import schedule_of, sigma_ddim_step


def original_sampler(steps: int) -> comfy.samplers.KSAMPLER:
    """DDIM as the original runs it, for a schedule of so many steps (eta 0, whole numbers of timesteps down)."""
    return comfy.samplers.KSAMPLER(sample_ddim, {"schedule_steps": steps})


@torch.no_grad()
def sample_ddim(model, x, sigmas, extra_args=None, callback=None, disable=None, schedule_steps=None):
    """Sample by the original's DDIM steps; on noise levels of another schedule by plain steps between them (euler)."""
    steps = schedule_steps or len(sigmas) - 1
    timesteps = schedule_of(sigmas, steps)
    if timesteps is None:
        return k_diffusion_sampling.sample_euler(model, x, sigmas, extra_args, callback, disable)
    for index, timestep in enumerate(timesteps):
        sigma = sigmas[index]
        clean = model(x, sigma * x.new_ones(len(x)), **(extra_args or {}))
        if callback is not None:
            callback({"x": x, "i": index, "sigma": sigma, "sigma_hat": sigma, "denoised": clean})
        x = sigma_ddim_step(x, clean, sigma, sigmas[index + 1], timestep, steps)
    return x


def window_progress(model, steps: int):
    """(progress of windows within a step, callback of core's samplers): one bar that moves with every window."""
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    bar = comfy.utils.ProgressBar(steps)
    state = {"step": 0, "windows": 1}

    def report(done: int, total: int) -> None:
        state["windows"] = total
        bar.update_absolute(min(state["step"], steps - 1) * total + done, steps * total)

    def callback(step: int, clean, x, total_steps: int) -> None:
        state["step"] = step + 1
        middle = clean[len(clean) // 2 :][:1]
        preview = previewer.decode_latent_to_preview_image("JPEG", middle) if previewer else None
        windows = state["windows"]
        bar.update_absolute((step + 1) * windows, total_steps * windows, preview)

    return report, callback
