"""`sample_clip`, the one run of a clip through ComfyUI: the original's DDIM as a sampler, guidance window by window."""

from dataclasses import dataclass, replace

import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import comfy.utils
import torch
from comfy.k_diffusion import sampling as k_diffusion_sampling

from ..echomimic_core.choices import ORIGINAL_SAMPLER as ORIGINAL
from ..echomimic_core.config import TRAIN_TIMESTEPS
from ..echomimic_core.sampling.loop import STEP_FRAMES
from ..echomimic_core.sampling.memory import CORE_LATENT_COPIES, LATENT_COPIES, streams
from ..echomimic_core.sampling.schedule import schedule_of, sigma_ddim_step, trailing_sigmas
from ..echomimic_core.sampling.speed import EXACT
from .payload import GUIDANCE, SPEED, ClipPayload, as_conditioning
from .progress import PROGRESS, SamplingProgress
from .windows import WindowHandler

# What other nodes put on a MODEL to change how both halves of guidance are combined.
OTHER_GUIDANCE = (
    "sampler_calc_cond_batch_function",
    "sampler_pre_cfg_function",
    "sampler_cfg_function",
    "sampler_post_cfg_function",
    "disable_cfg1_optimization",
)


class ClipGuider(comfy.samplers.CFGGuider):
    """Core's guidance for a clip, without holding the clip once for every term of the formula.

    Both halves are combined for a few windows at a time. Where another node has its own idea of guidance, both halves
    of the whole clip are handed to core as ever.

    Attributes
    ----------
    in_main_memory : latents of the clip never lie on the device whole, only those of the windows that run.
    """

    in_main_memory = False

    def sample(self, noise, latent_image, sampler, sigmas, denoise_mask=None, **more):
        if not self.in_main_memory:
            return super().sample(noise, latent_image, sampler, sigmas, denoise_mask, **more)
        if denoise_mask is not None:
            denoise_mask = comfy.sampler_helpers.prepare_mask(denoise_mask, noise.shape, "cpu").float()
        self._latents = (noise.float(), latent_image.float().cpu(), denoise_mask)
        # ComfyUI moves what it is given to the device: this takes no memory there
        stand_in = torch.zeros((), device=self.model_patcher.load_device).expand(noise.shape)
        try:
            return super().sample(stand_in, stand_in, sampler, sigmas, None, **more)
        finally:
            del self._latents

    def inner_sample(self, noise, latent_image, device, sampler, sigmas, denoise_mask, *rest, **more):
        if self.in_main_memory:
            noise, latent_image, denoise_mask = self._latents
            sigmas = sigmas.cpu()
        return super().inner_sample(noise, latent_image, device, sampler, sigmas, denoise_mask, *rest, **more)

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        options = model_options or {}
        if not guides_windows(options):
            return super().predict_noise(x, timestep, options, seed)
        conds = [self.conds["positive"]]
        if self.cfg != 1.0:
            conds.append(self.conds["negative"])
            transformer_options = {**options.get("transformer_options", {}), GUIDANCE: self.cfg}
            options = {**options, "transformer_options": transformer_options}
        return comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, options)[0]


@dataclass(frozen=True)
class SamplerSettings:
    """How a clip is sampled: seed of the noise, denoising steps, guidance scale, the sampler's name, and `denoise`.

    With `denoise` below 1 the steps are the last ones of a schedule that is longer in proportion, as in ComfyUI.
    """

    seed: int
    steps: int
    cfg: float
    sampler_name: str = ORIGINAL
    denoise: float = 1.0

    @property
    def schedule_steps(self) -> int:
        return min(int(self.steps / self.denoise), TRAIN_TIMESTEPS)

    def sigmas(self) -> torch.Tensor:
        return trailing_sigmas(self.schedule_steps)[-self.steps - 1 :]

    def sampler(self) -> comfy.samplers.KSAMPLER:
        own = self.sampler_name == ORIGINAL
        return original_sampler(self.schedule_steps) if own else comfy.samplers.sampler_object(self.sampler_name)


def sample_clip(
    model, payload: ClipPayload, settings: SamplerSettings, noise=None, latents=None, mask=None, update=None
):
    """Sample a clip through ComfyUI's own sampler: unscaled latents (F, c, height, width), as ComfyUI's VAE wants them.

    Parameters
    ----------
    model : MODEL of Load EchoMimicV2, with whatever patches it has.
    payload : the conditional half of guidance.
    noise : as `latents`; by default ComfyUI's own of the seed.
    latents : (F, c, height, width), what is kept where `mask` (F, 1, height, width) is 0, and what a clip of
        `denoise` below 1 starts from.
    update : see `SamplingProgress`.
    """
    copies = latent_copies(model, settings.sampler_name == ORIGINAL and mask is None)
    in_main_memory = streams(copies * payload.latent_bytes) and model.load_device.type != "cpu"
    speed = model.model_options["transformer_options"].get(SPEED, EXACT)
    payload = replace(
        payload,
        latent_copies=0 if in_main_memory else copies,
        guided=settings.cfg != 1.0,
        reused_frames=payload.windows.reused_frames(payload.frames, speed),
    )
    if latents is None:
        latents = empty_clip(payload, "cpu" if in_main_memory else model.load_device)
    model = model.clone()
    progress = SamplingProgress(model, settings.steps, update)
    model.model_options["transformer_options"][PROGRESS] = progress.on_windows
    guider = ClipGuider(model)
    guider.in_main_memory = in_main_memory
    guider.set_conds(as_conditioning(payload), as_conditioning(payload.unconditional()))
    guider.set_cfg(settings.cfg)
    samples = guider.sample(
        comfy.sample.prepare_noise(latents, settings.seed) if noise is None else noise,
        latents,
        settings.sampler(),
        settings.sigmas(),
        denoise_mask=mask,
        callback=progress.on_step,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=settings.seed,
    )
    # The schedule may end a hair above the clean picture: what is held is held to the last bit.
    return samples if mask is None else torch.where(mask.to(samples) == 0, latents.to(samples), samples)


def guides_windows(model_options: dict) -> bool:
    """Whether both halves of guidance are combined for a few windows at a time, no other node having its own idea."""
    ours = isinstance(model_options.get("context_handler"), WindowHandler)
    return ours and not any(model_options.get(key) for key in OTHER_GUIDANCE)


def latent_copies(model, original: bool) -> int:
    """How often sampling holds latents of the whole clip, `original` being our own sampler without a mask."""
    return LATENT_COPIES if original and guides_windows(model.model_options) else CORE_LATENT_COPIES


def empty_clip(payload: ClipPayload, device: torch.device | str) -> torch.Tensor:
    """Latents of zeros (frames, c, height, width) that take no memory; only to be read."""
    return torch.zeros((), device=device).expand(payload.frames, payload.channels, payload.height, payload.width)


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
        # Into the old latents and part by part: every term of the formula would be as long as the clip
        for start in range(0, len(x), STEP_FRAMES):
            part = slice(start, start + STEP_FRAMES)
            x[part] = sigma_ddim_step(x[part], clean[part], sigma, sigmas[index + 1], timestep, steps)
        del clean
    return x
