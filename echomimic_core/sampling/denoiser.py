"""The denoiser of a clip: windows in, velocities averaged over the windows of each frame out."""

from dataclasses import dataclass

import torch
from torch import nn

from ..config import CONTEXT_FRAMES, CONTEXT_OVERLAP, CONTEXT_SHIFT
from ..models.attention import WindowContext
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_encoder import PoseEncoder
from ..runtime import Progress
from .clip import ClipConditions, PreparedClip
from .windows import windows_at_step


@dataclass(frozen=True)
class WindowSettings:
    """How a clip is cut: frames a window, frames shared by neighbours, shift a step, windows wrapping or not."""

    context_frames: int = CONTEXT_FRAMES
    overlap: int = CONTEXT_OVERLAP
    shift: int = CONTEXT_SHIFT
    wrap: bool = True
    windows_per_batch: int = 1

    def at_step(self, num_frames: int, step: int) -> list[list[int]]:
        return windows_at_step(num_frames, self.context_frames, self.overlap, self.shift * step, self.wrap)


class ClipDenoiser(nn.Module):
    """Denoising U-Net and pose encoder, run over the windows of a clip of any length."""

    def __init__(self, denoising_unet: DenoisingUNet, pose_encoder: PoseEncoder):
        super().__init__()
        self.denoising_unet = denoising_unet
        self.pose_encoder = pose_encoder

    @property
    def dtype(self) -> torch.dtype:
        return self.denoising_unet.dtype

    def prepare(self, conditions: ClipConditions, device: torch.device, dtype: torch.dtype) -> PreparedClip:
        return PreparedClip(conditions, self.denoising_unet, self.pose_encoder, device, dtype)

    @torch.compiler.disable(recursive=False)
    def predict(
        self,
        latents: torch.Tensor,
        timestep: float,
        windows: list[list[int]],
        clip: PreparedClip | None,
        unconditional: bool = False,
        windows_per_batch: int = 1,
        transformer_options: dict | None = None,
        progress: Progress | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Velocities of the unconditional and of the conditional half, each (F, 4, height, width) float32 or None.

        Parameters
        ----------
        latents : (F, 4, height, width), scaled by 0.18215, in the networks' dtype.
        timestep : in [0, 1000).
        windows : frame indices of equally long windows that together cover every frame.
        clip : conditions of the conditional half, or None to skip it.
        unconditional : whether the unconditional half is wanted.
        windows_per_batch : windows that go through the network together.
        progress : called before every batch with (windows done, windows); may raise to cancel.
        """
        halves = int(unconditional) + int(clip is not None)
        sums = torch.zeros(halves, *latents.shape, dtype=torch.float32, device=latents.device)
        counts = torch.zeros(len(latents), 1, 1, 1, device=latents.device)
        timesteps = torch.tensor([timestep], dtype=torch.float32, device=latents.device)
        for first in range(0, len(windows), windows_per_batch):
            if progress is not None:
                progress(first, len(windows))
            batch = windows[first : first + windows_per_batch]
            velocity = self.run_windows(latents, timesteps, timestep, batch, clip, unconditional, transformer_options)
            for window, values in zip(batch, velocity.unflatten(1, (len(batch), -1)).unbind(1), strict=True):
                index = torch.tensor(window, device=latents.device)
                sums[:, index] += values
                counts[index] += 1
        means = list(sums / counts)
        return means.pop(0) if unconditional else None, means.pop() if clip is not None else None

    def run_windows(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        timestep: float,
        windows: list[list[int]],
        clip: PreparedClip | None,
        unconditional: bool,
        transformer_options: dict | None,
    ) -> torch.Tensor:
        """Velocities (halves, frames of all windows, 4, height, width) of one batch of windows."""
        frames = [frame for window in windows for frame in window]
        noisy = latents[torch.tensor(frames, device=latents.device)]
        pose = None
        if clip is None:
            context = WindowContext(frames=len(windows[0]))
        else:
            context = clip.context(frames, len(windows[0]), timestep)
            pose = clip.pose_features(frames, timestep)
            if unconditional:
                context.unconditional = len(frames)
                noisy = torch.cat([noisy, noisy])
        context.transformer_options = transformer_options or {}
        return self.denoising_unet(noisy, timesteps, context, pose).unflatten(0, (-1, len(frames)))
