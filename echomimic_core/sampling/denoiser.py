"""The denoiser of a clip: windows in, velocities averaged over the windows of each frame out."""

import logging
from dataclasses import dataclass, replace

import torch
from torch import nn

from ..config import CONTEXT_FRAMES, CONTEXT_OVERLAP, CONTEXT_SHIFT
from ..models.attention import WindowContext
from ..models.cpu_linear import fast_linear
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_encoder import PoseEncoder
from ..runtime import Progress
from .clip import ClipConditions, PreparedClip, upload
from .memory import ON_CPU, Batching, WindowRunner
from .windows import windows_at_step


@torch.compiler.disable
def guide(unconditional: torch.Tensor, conditional: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    return unconditional + guidance_scale * (conditional - unconditional)


@dataclass(frozen=True)
class WindowSettings:
    """How a clip is cut: frames a window, frames shared by neighbours, shift a step, windows wrapping or not."""

    context_frames: int = CONTEXT_FRAMES
    overlap: int = CONTEXT_OVERLAP
    shift: int = CONTEXT_SHIFT
    wrap: bool = True

    def at_step(self, num_frames: int, step: int) -> list[list[int]]:
        return windows_at_step(num_frames, self.context_frames, self.overlap, self.shift * step, self.wrap)


class WindowAverage:
    """The mean, for every frame of a clip, of what the windows that hold it say."""

    @torch.compiler.disable
    def __init__(self, results: int, like: torch.Tensor):
        """Of so many results at once, each shaped as `like` (F, ...), summed in float32 on its device."""
        self.sums = torch.zeros(results, *like.shape, dtype=torch.float32, device=like.device)

    @torch.compiler.disable
    def add(self, index: torch.Tensor, values: torch.Tensor) -> None:
        """Add values (results, windows * frames, ...) of the windows (windows, frames) of frame indices.

        Window by window: added together, frames in several windows would be summed in any order.
        """
        for row, part in zip(index, values.unflatten(1, (len(index), -1)).unbind(1), strict=True):
            self.sums[:, row] += part

    @torch.compiler.disable
    def mean(self, windows: list[list[int]]) -> tuple[torch.Tensor, ...]:
        """Each result (F, ...), once all these windows are added."""
        seen = torch.bincount(torch.tensor(windows).flatten(), minlength=self.sums.shape[1])
        seen = seen.float().reshape(-1, *[1] * (self.sums.ndim - 2))
        self.sums /= upload(seen, self.sums.device)
        return self.sums.unbind(0)


class ClipDenoiser(nn.Module):
    """Denoising U-Net and pose encoder, run over the windows of a clip of any length.

    `channels_last` is the memory layout of pictures inside the network; None is the one measured to be faster: on the
    CPU channels come last, elsewhere first. `compute_dtype` is that of the unconditional half where it goes alone; None
    is the weights' own.
    """

    compute_dtype: torch.dtype | None = None

    def __init__(self, denoising_unet: DenoisingUNet, pose_encoder: PoseEncoder, channels_last: bool | None = None):
        super().__init__()
        self.channels_last = channels_last
        self.denoising_unet = denoising_unet
        self.pose_encoder = pose_encoder

    @property
    def dtype(self) -> torch.dtype:
        return self.denoising_unet.dtype

    def prepare(
        self, conditions: ClipConditions, device: torch.device, dtype: torch.dtype, batching: Batching | None = None
    ) -> PreparedClip:
        """Conditions ready for one run, whose windows are batched so (by default one at a time)."""
        if batching is None:
            batching = ON_CPU if device.type == "cpu" else Batching()
        clip = PreparedClip(conditions, self.denoising_unet, self.pose_encoder, device, dtype)

        def on_shortage(smaller: Batching) -> None:
            logging.warning("EchoMimicV2: out of memory; going on with %s", smaller)
            clip.drop_caches()

        clip.runner = WindowRunner(batching, on_shortage)
        return clip

    @torch.compiler.disable(recursive=False)
    def predict(
        self,
        latents: torch.Tensor,
        timestep: float,
        windows: list[list[int]],
        clip: PreparedClip | None,
        unconditional: bool = False,
        guidance_scale: float | None = None,
        runner: WindowRunner | None = None,
        transformer_options: dict | None = None,
        progress: Progress | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Velocities (F, 4, height, width) float32: of the unconditional half, then of the conditional half, if wanted.

        With a guidance scale both halves are combined to one velocity.

        Parameters
        ----------
        latents : (F, 4, height, width), scaled by 0.18215.
        timestep : in [0, 1000).
        windows : frame indices of equally long windows that together cover every frame.
        clip : conditions of the conditional half, or None to skip it.
        unconditional : whether the unconditional half is wanted.
        runner : batches the windows and copes with too little memory; by default the clip's.
        progress : called before every batch with (windows done, windows); may raise to cancel.
        """
        halves = int(unconditional) + int(clip is not None)
        results = 1 if guidance_scale is not None else halves
        if runner is None:
            runner = clip.runner if clip is not None else WindowRunner()
        average = WindowAverage(results, latents)
        timesteps = upload(torch.tensor([timestep], dtype=torch.float32), latents.device)
        rows = upload(torch.tensor(windows), latents.device)  # once a step: the loop never waits for the device

        @torch.compiler.disable(recursive=False)
        def evaluate(first: int, batch: list[list[int]], batching: Batching) -> None:
            index = rows[first : first + len(batch)]
            velocity = self.run_windows(
                latents, timesteps, timestep, batch, index, clip, unconditional, batching, transformer_options
            ).float()
            if guidance_scale is not None and halves > 1:
                velocity = guide(velocity[:1], velocity[1:], guidance_scale)
            average.add(index, velocity)

        runner.run(windows, evaluate, guided=halves > 1, progress=progress)
        return average.mean(windows)

    @torch.compiler.disable(recursive=False)
    def run_windows(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        timestep: float,
        windows: list[list[int]],
        index: torch.Tensor,
        clip: PreparedClip | None,
        unconditional: bool,
        batching: Batching,
        transformer_options: dict | None,
    ) -> torch.Tensor:
        """Velocities (halves, frames of all windows, 4, height, width) of a batch of windows, `index` on the device."""
        with fast_linear(latents.device):
            return self._run_windows(
                latents, timesteps, timestep, windows, index, clip, unconditional, batching, transformer_options
            )

    @torch.compiler.disable(recursive=False)
    def _run_windows(
        self, latents, timesteps, timestep, windows, index, clip, unconditional, batching, transformer_options
    ) -> torch.Tensor:
        frames = [frame for window in windows for frame in window]
        dtype = (self.compute_dtype or self.dtype) if clip is None else clip.dtype
        noisy = latents[index.flatten()].to(dtype)
        if self.channels_last or (self.channels_last is None and latents.device.type == "cpu"):
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        options = {"transformer_options": transformer_options or {}, "chunk_elements": batching.chunk_elements}
        plain = WindowContext(frames=len(windows[0]), **options)
        if clip is None:
            return self.denoising_unet(noisy, timesteps, plain)[None]
        context = replace(clip.context(frames, len(windows[0]), timestep), **options)
        pose = clip.pose_features(frames, timestep)
        if not unconditional:
            return self.with_reuse(clip, "conditional", frames, noisy, timesteps, context, pose)[None]
        if batching.halves_together:
            context.unconditional = len(frames)
            both = torch.cat([noisy, noisy])
            return self.with_reuse(clip, "both", frames, both, timesteps, context, pose).unflatten(0, (2, -1))
        silent = self.with_reuse(clip, "unconditional", frames, noisy, timesteps, plain, None)
        return torch.stack([silent, self.with_reuse(clip, "conditional", frames, noisy, timesteps, context, pose)])

    @torch.compiler.disable(recursive=False)
    def with_reuse(
        self, clip: PreparedClip, half: str, frames: list[int], noisy, timesteps, context, pose
    ) -> torch.Tensor:
        """Run the network, or only its outermost layers on the deep features of the step before, see `speed`."""
        if clip.deep_features is None:
            return self.denoising_unet(noisy, timesteps, context, pose)
        deep = clip.deep_features.get(half, frames, noisy)
        velocity, deep = self.denoising_unet.with_deep_features(noisy, timesteps, context, pose, deep)
        clip.deep_features.put(half, frames, deep)
        return velocity
