"""The original's DDIM as a ComfyUI sampler, and progress that moves with every window."""

import comfy.samplers
import comfy.utils
import latent_preview
import torch

from ..echomimic_core.sampling.schedule import comfy_sigmas, ddim_step


def original_sampler(steps: int) -> comfy.samplers.KSAMPLER:
    """DDIM as the original runs it, for a schedule of so many steps (eta 0, whole numbers of timesteps down)."""
    return comfy.samplers.KSAMPLER(sample_ddim, {"schedule_steps": steps})


@torch.no_grad()
def sample_ddim(model, x, sigmas, extra_args=None, callback=None, disable=None, schedule_steps=None):
    """Sample with core's conventions: x is latents * sqrt(1 + sigma²), `model` returns clean latents.

    The step itself is `schedule.ddim_step`: the velocity is read back from the clean latents, because core's last noise
    level is finite where the original's is not.
    """
    schedule_steps = schedule_steps or len(sigmas) - 1
    table = comfy_sigmas().to(sigmas.device)
    timesteps = (sigmas[:-1, None].log() - table.log()).abs().argmin(dim=1).tolist()
    for index, timestep in enumerate(timesteps):
        sigma = sigmas[index]
        clean = model(x, sigma * x.new_ones(len(x)), **(extra_args or {}))
        if callback is not None:
            callback({"x": x, "i": index, "sigma": sigma, "sigma_hat": sigma, "denoised": clean})
        alpha = 1.0 / (1.0 + sigma**2)
        latents = x * alpha.sqrt()
        velocity = (alpha.sqrt() * latents - clean) / (1.0 - alpha).sqrt()
        latents = ddim_step(latents, velocity, timestep, schedule_steps)
        finished = index == len(timesteps) - 1 and sigmas[-1] <= table[0]
        x = latents if finished else latents * (1.0 + sigmas[index + 1] ** 2).sqrt()
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
