"""The denoiser of a clip: windows in, velocities averaged over the windows of each frame out."""

import logging
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from ..config import CLEAN, CONTEXT_FRAMES, CONTEXT_OVERLAP, CONTEXT_SHIFT
from ..models.context import WindowContext
from ..models.cpu_convolution import lay_out_weights
from ..models.cpu_linear import fast_linear
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_encoder import PoseEncoder
from ..models.trial import are_channels_last
from ..runtime import Progress
from .clip import ClipConditions, PreparedClip, upload
from .memory import ON_CPU, Batching, WindowRunner
from .schedule import velocity_of
from .speed import EXACT, SpeedOptions
from .team import Team
from .windows import windows_at_step


@torch.compiler.disable
def guide(unconditional: torch.Tensor, conditional: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    return unconditional + guidance_scale * (conditional - unconditional)


@dataclass(frozen=True)
class WindowSettings:
    """How a clip is cut: frames per window, frames shared by neighbours, shift per step, windows wrapping or not."""

    context_frames: int = CONTEXT_FRAMES
    overlap: int = CONTEXT_OVERLAP
    shift: int = CONTEXT_SHIFT
    wrap: bool = True

    def at_step(self, num_frames: int, step: int, speed: SpeedOptions = EXACT) -> list[list[int]]:
        shift = self.shift * speed.window_step(step)
        return windows_at_step(num_frames, self.context_frames, speed.overlap(self.overlap), shift, self.wrap)

    def reused_frames(self, num_frames: int, speed: SpeedOptions) -> int:
        """Frames of all windows whose deep features are kept from step to step."""
        return sum(map(len, self.at_step(num_frames, 0, speed))) if speed.reuse_steps > 1 else 0


@dataclass(frozen=True)
class Moment:
    """Where in denoising a prediction is made.

    Attributes
    ----------
    timestep : in [0, 1000).
    timesteps : the same as (1,) float32 on the device: reading it back would wait for the device.
    transformer_options : of ComfyUI, handed on to the attention backend.
    """

    timestep: float
    timesteps: torch.Tensor
    transformer_options: dict = field(default_factory=dict)

    @classmethod
    @torch.compiler.disable
    def at(cls, timestep: float, device: torch.device, transformer_options: dict | None = None) -> "Moment":
        timesteps = upload(torch.tensor([timestep], dtype=torch.float32), device)
        return cls(timestep, timesteps, transformer_options or {})


@dataclass(frozen=True)
class WindowBatch:
    """Some windows that are evaluated together.

    Attributes
    ----------
    windows : their frame indices, all of the same length.
    index : where the latents of these frames lie, (windows, frames) int64 on the device.
    batching : how much goes together.
    """

    windows: list[list[int]]
    index: torch.Tensor
    batching: Batching

    @property
    def window_frames(self) -> int:
        return len(self.windows[0])

    def frames(self) -> list[int]:
        """Frame indices of all windows, one after another."""
        return [frame for window in self.windows for frame in window]


@dataclass(frozen=True)
class Halves:
    """The halves of guidance that are wanted.

    Attributes
    ----------
    clip : conditions of the conditional half, or None to skip it.
    unconditional : whether the unconditional half is wanted.
    scale : combines both halves to one velocity; None keeps them apart.
    """

    clip: PreparedClip | None
    unconditional: bool = False
    scale: float | None = None

    @property
    def count(self) -> int:
        return int(self.unconditional) + int(self.clip is not None)

    @property
    def results(self) -> int:
        return self.count if self.scale is None else 1

    @torch.compiler.disable
    def guided(self, velocity: torch.Tensor) -> torch.Tensor:
        """The wanted results (results, ...) of the halves' velocities (halves, ...)."""
        if self.scale is None or self.count == 1:
            return velocity
        return guide(velocity[:1], velocity[1:], self.scale)


class WindowAverage:
    """The mean, for every frame of a clip, of what the windows that hold it say."""

    @torch.compiler.disable
    def __init__(self, results: int, like: torch.Tensor):
        """Of so many results at once, each shaped as `like` (F, ...), summed in float32 where that lies."""
        self.sums = torch.zeros(results, *like.shape, dtype=torch.float32, device=like.device)

    @torch.compiler.disable
    def add(self, index: torch.Tensor, values: torch.Tensor) -> None:
        """Add values (results, windows * frames, ...) from any device, of windows (windows, frames) of frame indices.

        Window by window: added together, frames in several windows would be summed in any order.
        """
        index, values = index.to(self.sums.device), values.to(self.sums.device)
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
    CPU channels come last, elsewhere where `trial` found that faster. `compute_dtype` is that of the unconditional half
    where it goes alone; None is the weights' own.
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
        if device.type == "cpu" and self.channels_last is not False:
            lay_out_weights(self.denoising_unet)
        clip = PreparedClip(conditions, self.denoising_unet, self.pose_encoder, device, dtype)

        def on_shortage(smaller: Batching) -> None:
            logging.warning("EchoMimicV2: out of memory; continuing with %s", smaller)
            clip.drop_caches()

        clip.runner = WindowRunner(batching, on_shortage)
        return clip

    @torch.compiler.disable(recursive=False)
    def predict(
        self,
        latents: torch.Tensor,
        timestep: float,
        windows: list[list[int]],
        halves: Halves,
        runner: WindowRunner | None = None,
        transformer_options: dict | None = None,
        progress: Progress | None = None,
        team: Team | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Velocities (F, 4, height, width) float32: of the unconditional half, then of the conditional half, if wanted.

        With a guidance scale both halves are combined to one velocity.

        Parameters
        ----------
        latents : (F, 4, height, width), scaled by 0.18215; of long clips in main memory, from where each window goes to
            the clip's device.
        timestep : in [0, 1000).
        windows : frame indices of equally long windows that together cover every frame.
        runner : batches the windows and copes with too little memory; by default the clip's.
        progress : called before every batch with (windows done, windows); may raise to cancel.
        team : processes that compute the same clip, each a share of the windows.
        """
        if runner is None:
            runner = WindowRunner() if halves.clip is None else halves.clip.runner
        average = WindowAverage(halves.results, latents)
        device = latents.device if halves.clip is None else halves.clip.device
        moment = Moment.at(timestep, device, transformer_options)
        rows = upload(torch.tensor(windows), latents.device)  # Once per step: the loop never waits for the device.

        @torch.compiler.disable(recursive=False)
        def compute(first: int, batch: list[list[int]], batching: Batching) -> torch.Tensor:
            part = WindowBatch(batch, rows[first : first + len(batch)], batching)
            return halves.guided(self.run_windows(latents, moment, part, halves).float())

        @torch.compiler.disable
        def take(first: int, batch: list[list[int]], velocity: torch.Tensor) -> None:
            average.add(rows[first : first + len(batch)], velocity)

        @torch.compiler.disable(recursive=False)
        def evaluate(first: int, batch: list[list[int]], batching: Batching) -> None:
            take(first, batch, compute(first, batch, batching))

        guided = halves.count > 1
        if team is None:
            runner.run(windows, evaluate, guided, progress)
        else:
            one_window = torch.zeros(halves.results, len(windows[0]), *latents.shape[1:])
            team.run(windows, runner, compute, take, one_window, guided, progress)
        return average.mean(windows)

    @torch.compiler.disable(recursive=False)
    def run_windows(self, latents: torch.Tensor, moment: Moment, batch: WindowBatch, halves: Halves) -> torch.Tensor:
        """Velocities (halves, frames of all windows, 4, height, width) of a batch of windows."""
        with fast_linear(moment.timesteps.device):
            return self._run_windows(latents, moment, batch, halves)

    @torch.compiler.disable(recursive=False)
    def _run_windows(self, latents: torch.Tensor, moment: Moment, batch: WindowBatch, halves: Halves) -> torch.Tensor:
        clip, frames, window_frames = halves.clip, batch.frames(), batch.window_frames
        noisy = self.noisy_windows(latents, batch, clip)
        options = {"transformer_options": moment.transformer_options, "chunk_elements": batch.batching.chunk_elements}
        uncond = WindowContext(frames=window_frames, **options)
        if clip is None:
            return self.as_velocity(self.denoising_unet(noisy, moment.timesteps, uncond), noisy, moment)[None]
        cond = replace(clip.context(frames, window_frames, moment.timestep), **options)
        pose = clip.pose_features(frames, moment.timestep)

        @torch.compiler.disable(recursive=False)
        def run(half: str, noisy: torch.Tensor, context: WindowContext, pose: torch.Tensor | None) -> torch.Tensor:
            predicted = self.with_reuse(clip, (half, frames), noisy, moment.timesteps, context, pose)
            return self.as_velocity(predicted, noisy, moment)

        if not halves.unconditional:
            return run("conditional", noisy, cond, pose)[None]
        if batch.batching.halves_together:
            cond.unconditional = len(frames)
            return run("both", torch.cat([noisy, noisy]), cond, pose).unflatten(0, (2, -1))
        return torch.stack([run("unconditional", noisy, uncond, None), run("conditional", noisy, cond, pose)])

    def as_velocity(self, predicted: torch.Tensor, noisy: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The velocity of what the U-Net predicts for noisy latents, both (n, c, height, width)."""
        if self.denoising_unet.config.output != CLEAN:
            return predicted
        return velocity_of(predicted, noisy, moment.timesteps)

    @torch.compiler.disable
    def noisy_windows(self, latents: torch.Tensor, batch: WindowBatch, clip: PreparedClip | None) -> torch.Tensor:
        """The latents of the windows (frames of all windows, 4, height, width) in the network's dtype and layout."""
        dtype = (self.compute_dtype or self.dtype) if clip is None else clip.dtype
        device = latents.device if clip is None else clip.device
        noisy = upload(latents[batch.index.flatten()].to(dtype), device)
        if are_channels_last(device) if self.channels_last is None else self.channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        return noisy

    @torch.compiler.disable(recursive=False)
    def with_reuse(
        self, clip: PreparedClip, part: tuple[str, list[int]], noisy, timesteps, context, pose
    ) -> torch.Tensor:
        """Run the network, or only its outermost layers on the deep features that this part had the step before.

        `part` is the half of guidance and its frames; see `speed`.
        """
        if clip.deep_features is None:
            return self.denoising_unet(noisy, timesteps, context, pose)
        deep = clip.deep_features.get(*part, noisy)
        predicted, deep = self.denoising_unet.with_deep_features(noisy, timesteps, context, pose, deep)
        clip.deep_features.put(*part, deep)
        return predicted
