"""The three networks as training runs them: one forward pass from noisy clips to velocities."""

from dataclasses import dataclass, fields, replace

import torch
from torch import nn

from ...apdh.steering import attention_sizes, level_gains
from ...config import CLEAN, ModelConfig
from ...models.context import WindowContext
from ...sampling.schedule import velocity_of

SPATIAL, MOTION, AUDIO = "denoising_unet", "motion_modules", "audio_attention"
PARTS = ("reference_unet", SPATIAL, "pose_encoder", MOTION, AUDIO)


@dataclass
class Conditions:
    """What B clips of F frames are conditioned on.

    Attributes
    ----------
    reference : clean scaled latents (B, 4, h, w) of the reference pictures, or None for no reference in any clip.
    dropped : (B,) bool, clips that see nothing at all, exactly as the unconditional half of guidance.
    pose_maps : (B, F, 3, H, W) in 0..1, or None for no pose in any clip.
    picture_kept, pose_kept, audio_kept : (B,) bool, clips whose reference, pose or audio is not dropped; None is all.
    audio : tokens (B, F, 50, 384), or None while audio attention is off.
    audio_mask : (B, h', w') in 0..1, how far audio reaches in each clip; None is everywhere.
    """

    reference: torch.Tensor | None
    dropped: torch.Tensor
    pose_maps: torch.Tensor | None = None
    pose_kept: torch.Tensor | None = None
    audio: torch.Tensor | None = None
    audio_mask: torch.Tensor | None = None
    picture_kept: torch.Tensor | None = None
    audio_kept: torch.Tensor | None = None

    def lacking_picture(self) -> torch.Tensor:
        """Clips (B,) bool that lack their reference, but not all conditions."""
        kept = torch.ones_like(self.dropped) if self.picture_kept is None else self.picture_kept
        return ~kept & ~self.dropped

    def take(self, rows: torch.Tensor) -> "Conditions":
        """Those of some clips, (B,) bool."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return Conditions(**{name: None if value is None else value[rows] for name, value in values})


class TrainingModel(nn.Module):
    """Reference U-Net, denoising U-Net and pose encoder under one roof, so that they are wrapped as one module."""

    def __init__(self, networks: dict[str, nn.Module]):
        super().__init__()
        self.reference_unet = networks["reference_unet"]
        self.denoising_unet = networks["denoising_unet"]
        self.pose_encoder = networks["pose_encoder"]

    @property
    def config(self) -> ModelConfig:
        return self.denoising_unet.config

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """Velocities for noisy clips, both (B, F, 4, h, w); timesteps (B,)."""
        # A clip that lacks only its reference runs apart: in one pass all conditional clips have one, or none has
        lacking = conditions.lacking_picture()
        if not lacking.any():
            return self.predict(noisy, timesteps, conditions) + self.touch()
        velocity = torch.zeros_like(noisy)
        for rows, given in ((lacking, replace(conditions, reference=None)), (~lacking, conditions)):
            if rows.any():
                velocity[rows] = self.predict(noisy[rows], timesteps[rows], given.take(rows)).to(velocity)
        return velocity + self.touch()

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The velocities of clips in one pass, of which all have a reference or none has, but for those dropped."""
        # The networks want the unconditional clips first
        order = torch.argsort((~conditions.dropped).to(torch.uint8), stable=True)
        kept = order[int(conditions.dropped.sum()) :]
        frames = noisy.shape[1]
        context = self.context(conditions, kept, frames, noisy.shape[-2:])
        context.unconditional = (len(noisy) - len(kept)) * frames
        predicted = self.denoising_unet(
            noisy[order].flatten(0, 1),
            timesteps[order].repeat_interleave(frames),
            context,
            self.pose_features(conditions, kept),
        ).unflatten(0, (-1, frames))[torch.argsort(order)]
        return velocity_of(predicted, noisy, timesteps) if self.config.output == CLEAN else predicted

    def context(self, conditions: Conditions, kept: torch.Tensor, frames: int, size) -> WindowContext:
        context = WindowContext(frames=frames)
        # The ceiling of sampling would only cost time here: what a layer made is kept for the backward pass anyway
        context.chunk_elements = None
        if len(kept) == 0:
            return context
        if conditions.reference is not None:
            context.reference = self.denoising_unet.project_reference(self.reference_unet(conditions.reference[kept]))
        if conditions.audio is not None:
            context.audio = self.denoising_unet.project_audio(conditions.audio[kept].flatten(0, 1))
            mask = conditions.audio_mask
            if conditions.audio_kept is not None:
                # Audio that is dropped reaches nothing, which is silence
                heard = conditions.audio_kept[:, None, None].float()
                mask = heard.expand(-1, *size) if mask is None else mask * heard
            if mask is not None:
                sizes = attention_sizes(*self.config.cells(*size), len(self.config.block_out_channels))
                gains = level_gains(mask[kept], sizes)
                context.audio_gain = {key: gain.repeat_interleave(frames, dim=0) for key, gain in gains.items()}
        return context

    def pose_features(self, conditions: Conditions, kept: torch.Tensor) -> torch.Tensor | None:
        """Encoded pose of the kept clips; zero, as without a pose, where APDH drops it."""
        if conditions.pose_maps is None or len(kept) == 0:
            return None
        features = self.pose_encoder(conditions.pose_maps[kept].flatten(0, 1))
        if conditions.pose_kept is None:
            return features
        shown = conditions.pose_kept[kept].repeat_interleave(conditions.pose_maps.shape[1])
        return features * shown[:, None, None, None].to(features)

    def touch(self) -> torch.Tensor | float:
        """Zero, but with a gradient (of zero) for every trained parameter.

        What a step does not use, such as the reference U-Net when all clips of a process are dropped, differs between
        processes; with this the processes still exchange the same gradients.
        """
        if not torch.is_grad_enabled():
            return 0.0
        touched = [parameter.sum() for parameter in self.parameters() if parameter.requires_grad]
        return 0.0 * torch.stack(touched).sum() if touched else 0.0

    def set_gradient_checkpointing(self, enabled: bool = True) -> None:
        self.reference_unet.set_gradient_checkpointing(enabled)
        self.denoising_unet.set_gradient_checkpointing(enabled)

    def set_motion(self, enabled: bool) -> None:
        """Stage 1 trains on single pictures, through which motion modules are not run."""
        self.denoising_unet.set_motion(enabled)

    def train_parts(self, parts: list[str]) -> list[str]:
        """Freeze everything but these of `PARTS`; names of the parameters that are trained."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(part_of(name) in parts)
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]


def part_of(name: str) -> str:
    """Which of `PARTS` a parameter of `TrainingModel` belongs to."""
    network = name.partition(".")[0]
    if network != SPATIAL:
        return network
    if ".motion_modules." in name:
        return MOTION
    inside_block = ".transformer_blocks." in name
    return AUDIO if inside_block and (".attn2." in name or ".norm2." in name) else SPATIAL
