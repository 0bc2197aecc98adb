"""What travels with ComfyUI's conditioning to our denoiser: a clip's audio, pose and reference, and how to run it."""

from dataclasses import dataclass, field, replace

import comfy.conds
import torch

from ..echomimic_core.apdh.steering import ORIGINAL
from ..echomimic_core.config import LATENT_CHANNELS, SamplingConfig
from ..echomimic_core.pose import gestures
from ..echomimic_core.sampling.assemble import assemble
from ..echomimic_core.sampling.clip import ClipConditions, PreparedClip
from ..echomimic_core.sampling.denoiser import ClipDenoiser, WindowSettings
from ..echomimic_core.sampling.memory import CORE_LATENT_COPIES, WindowRunner

# Key under which a CONDITIONING carries a `ClipPayload`.
PAYLOAD = "echomimic"

# Transformer options with which `WindowHandler` hands single windows to the model.
WINDOWS = "echomimic_windows"
BATCHING = "echomimic_batching"
MOMENT = "echomimic_moment"

# Transformer option with a guidance scale: `WindowHandler` then combines both halves itself.
GUIDANCE = "echomimic_guidance"

# Transformer option with the `SpeedOptions` of EchoMimicV2 Speed Options.
SPEED = "echomimic_speed"

# What `extra_conds_shapes` tells `memory_required` of a run: `ClipPayload.run_shape`.
RUN_SHAPE = "echomimic_run"

# The library gesture of a clip without a pose.
IDLE = "idle"


@dataclass(frozen=True)
class ClipPayload:
    """What APDH Conditioning hangs on a CONDITIONING.

    Attributes
    ----------
    conditions : those of the clip, or None for the unconditional half of guidance.
    frames, height, width : of the latents they were made for.
    windows : how the clip is cut.
    latent_copies : how often the sampler holds the clip's latents on the device; 0 where they stay in main memory.
    guided : whether the unconditional half is sampled too; where that is not known it is.
    reused_frames : frames of all windows whose deep features are kept from step to step.
    """

    conditions: ClipConditions | None
    frames: int
    height: int
    width: int
    windows: WindowSettings
    latent_copies: int = CORE_LATENT_COPIES
    channels: int = LATENT_CHANNELS
    guided: bool = True
    reused_frames: int = 0

    @property
    def latent_bytes(self) -> int:
        """Of one copy of the clip's latents."""
        return self.frames * self.channels * self.height * self.width * 4

    @property
    def run_shape(self) -> list[int]:
        """What decides the memory of a run besides the size of its latents."""
        return [self.frames, self.windows.context_frames, self.latent_copies, int(self.guided), self.reused_frames]

    def unconditional(self) -> "ClipPayload":
        """The same for the other half of guidance."""
        return replace(self, conditions=None)


class ClipCond(comfy.conds.CONDConstant):
    """A clip's conditions on their way through core's samplers, which may run both halves of guidance in one batch.

    Nothing is moved to the GPU here: the denoiser draws what a window needs when its turn comes.
    """

    def can_concat(self, other) -> bool:
        return isinstance(other, ClipCond)

    def concat(self, others) -> list:
        return [self.cond, *(other.cond for other in others)]

    def size(self) -> list[int]:
        """What `memory_required` is told of windows that are about to run: elements of a layer, most frames at once."""
        half = self.cond
        if half.clip is None:
            return [0, 0]
        batching = half.runner.batching
        return [batching.chunk_elements, batching.windows * half.windows.context_frames]


@dataclass
class PreparedHalf:
    """One half of guidance in one sampling run of so many frames; `clip` is None for the unconditional half.

    `computes_in` is its dtype: by another name, since core takes what has a `dtype` for a tensor.
    """

    frames: int
    clip: PreparedClip | None
    windows: WindowSettings
    runner: WindowRunner
    computes_in: torch.dtype | None = None
    _copies: dict[int, "PreparedHalf"] = field(default_factory=dict)

    def on(self, denoiser: ClipDenoiser, device: torch.device) -> "PreparedHalf":
        """The same for a copy of the networks on another device, which ComfyUI makes to compute halves side by side."""
        if self.clip is None or self.clip.unet is denoiser.denoising_unet:
            return self
        if id(denoiser) not in self._copies:
            given = self.clip
            clip = denoiser.prepare(given.conditions, device, given.dtype, given.runner.batching)
            self._copies[id(denoiser)] = replace(self, clip=clip, runner=clip.runner)
        return self._copies[id(denoiser)]


@torch.compiler.disable
def sampling_step(transformer_options: dict) -> int:
    """Index of the denoising step core's sampler is at: how many of its sigmas are above the current one."""
    sigmas, current = transformer_options.get("sample_sigmas"), transformer_options.get("sigmas")
    if sigmas is None or current is None:
        return 0
    return int((sigmas > current.flatten()[0].to(sigmas) * (1.0 + 1e-5)).sum())


def check_latents(noise: torch.Tensor, payload: ClipPayload, channels: int = LATENT_CHANNELS) -> None:
    """Compare the latents being sampled with those the conditioning was made for; ValueError where they differ.

    channels : of the model's latents.
    """
    if payload.channels != channels:
        raise ValueError(
            f"The reference was encoded with {payload.channels} latent channels, but this model has {channels}: take "
            "reference_net and vae from the same Load EchoMimicV2 as model."
        )
    if noise.ndim != 4:
        raise ValueError(
            f"EchoMimicV2 samples latents of (frames, {channels}, height, width), but these have {noise.ndim} "
            "dimensions: use the LATENT of 'APDH Conditioning'."
        )
    frames, _, height, width = noise.shape
    if (height, width) != (payload.height, payload.width):
        raise ValueError(
            f"The latents are {width * 8}x{height * 8} pixels, but the reference was encoded at "
            f"{payload.width * 8}x{payload.height * 8}: use the LATENT of 'APDH Conditioning'."
        )
    if frames > payload.frames:
        raise ValueError(
            f"The latents have {frames} frames, but voice and pose were prepared for {payload.frames}: increase "
            "'frames' of APDH Conditioning or use its LATENT."
        )


def make_payload(reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop=True):
    """The payload of a clip, of the conditional half of guidance; ValueError for bad settings."""
    SamplingConfig(context_frames=context_frames, context_overlap=context_overlap)
    frames = frames or len(audio_embeds)
    if pose is None:
        pose = gestures.clip(IDLE, frames, fps=audio_embeds.fps)
    conditions = assemble(reference, audio_embeds, pose, frames, pose_fit, apdh or ORIGINAL, audio_embeds.fps)
    windows = WindowSettings(context_frames, context_overlap, wrap=loop)
    return ClipPayload(conditions, frames, reference.height, reference.width, windows, channels=reference.channels)


def as_conditioning(payload) -> list:
    """A CONDITIONING that carries a payload; its text part is empty, the model does not read it."""
    return [[torch.zeros(1, 1, 1), {PAYLOAD: payload}]]
