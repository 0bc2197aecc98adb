"""One segment of a long clip through core's samplers, its held frames by core's own mask for keeping latents."""

from dataclasses import replace

import comfy.samplers
import comfy.utils
import torch

from ..echomimic_core.config import LATENT_CHANNELS
from ..echomimic_core.sampling.loop import HeldFrames
from ..echomimic_core.sampling.schedule import trailing_sigmas
from ..echomimic_core.sampling.segments import Segment, fingerprint, segment_noise
from .payload import PROGRESS, ClipPayload, as_conditioning
from .sampling import ORIGINAL, ClipGuider, original_sampler

SAMPLED_VALUES = 64


def graph_sampler(model, payload: ClipPayload, seed: int, steps: int, cfg: float, sampler_name: str, wrap: bool):
    """`sample_segment` for `run_segments`: unscaled latents of a segment's frames, as core's VAE expects them."""

    def sample_segment(segment: Segment, held: HeldFrames | None, progress) -> torch.Tensor:
        windows = replace(payload.windows, wrap=wrap)
        conditions = payload.conditions.part(segment.start, segment.frames, payload.frames)
        size = (segment.frames, payload.height, payload.width)
        positive, negative = ClipPayload(conditions, *size, windows), ClipPayload(None, *size, windows)

        step_model = model.clone()
        step = 0

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(min(step, steps - 1) * total + done, steps * total)

        def callback(index: int, clean, x, total_steps: int) -> None:
            nonlocal step
            step = index + 1

        step_model.model_options["transformer_options"][PROGRESS] = report
        guider = ClipGuider(step_model)
        guider.set_conds(as_conditioning(positive), as_conditioning(negative))
        guider.set_cfg(cfg)
        latents = torch.zeros(segment.frames, LATENT_CHANNELS, payload.height, payload.width)
        mask = None
        if held is not None:
            latents[held.frames] = held.latents
            mask = torch.ones(segment.frames, 1, payload.height, payload.width)
            mask[held.frames] = 0.0
        sampler = original_sampler(steps) if sampler_name == ORIGINAL else comfy.samplers.sampler_object(sampler_name)
        return guider.sample(
            segment_noise(seed, segment, payload.frames, payload.height, payload.width),
            latents,
            sampler,
            trailing_sigmas(steps),
            denoise_mask=mask,
            callback=callback,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )

    return sample_segment


def model_fingerprint(model) -> str:
    """A name for a MODEL's weights and patches: a few values of each weight, and the patches with their strengths."""
    parts = []
    for name, weight in model.model.state_dict().items():
        # core patches weights where they are once the model is loaded, and keeps what they were
        kept = model.backup.get(name)
        weight = weight if kept is None else getattr(kept, "weight", kept)
        values = weight.flatten()[:: max(weight.numel() // SAMPLED_VALUES, 1)]
        parts.append((name, str(weight.dtype), values.float()))
    for name, patches in sorted(model.patches.items()):
        for strength, patch, strength_model, *_ in patches:
            parts.append((name, float(strength), float(strength_model), *patch_values(patch)))
    return fingerprint(*parts)


def patch_values(patch) -> list:
    """Every tensor and number inside a patch, whatever its form."""
    if isinstance(patch, torch.Tensor):
        return [patch.flatten()[:: max(patch.numel() // SAMPLED_VALUES, 1)].float()]
    if isinstance(patch, (str, int, float, bool)) or patch is None:
        return [patch]
    inner = patch if isinstance(patch, (list, tuple)) else getattr(patch, "weights", ())
    return [value for item in inner for value in patch_values(item)]
