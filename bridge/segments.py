"""One segment of a long clip through core's samplers, its held frames by core's own mask for keeping latents."""

from dataclasses import replace

import torch

from ..echomimic_core.runtime import Progress
from ..echomimic_core.sampling.loop import HeldFrames
from ..echomimic_core.sampling.segments import SampleSegment, Segment, fingerprint, segment_noise
from ..echomimic_core.scene.pin import Pin
from .payload import ClipPayload
from .sampling import SamplerSettings, sample_clip

SAMPLED_VALUES = 64


def segment_sampler(
    model, payload: ClipPayload, settings: SamplerSettings, wrap: bool, pin: Pin | None = None
) -> SampleSegment:
    """`sample_segment` for `run_segments`: unscaled latents of a segment's frames, as ComfyUI's VAE expects them."""

    def sample_segment(segment: Segment, held: HeldFrames | None, progress: Progress | None) -> torch.Tensor:
        part = replace(
            payload,
            conditions=payload.conditions.part(segment.start, segment.frames, payload.frames),
            frames=segment.frames,
            windows=replace(payload.windows, wrap=wrap),
        )
        shape = (segment.frames, payload.channels, payload.height, payload.width)
        latents, mask = torch.zeros(shape), None
        if pin is not None:
            latents, mask = pin.part([(segment.start + frame) % payload.frames for frame in range(segment.frames)])
        if held is not None:
            latents[held.frames] = held.latents
            mask = torch.ones(shape)[:, :1] if mask is None else mask
            mask[held.frames] = 0.0

        def update(done: int, total: int, preview) -> None:
            if progress is not None:
                progress(done, total)

        noise = segment_noise(settings.seed, segment, payload.frames, payload.conditions.reference)
        return sample_clip(model, part, settings, noise, latents, mask, update)

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
