"""A trained planner: hands and arms from Whisper's states, a sixth of a second at a time.

A causal transformer reads the motion so far and the voice up to a second ahead, since hands lead the voice; a small
diffusion head draws the next four frames. What is drawn are bones, as vectors: decoded, each keeps a length that the
training data knows, so no bone breaks.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..config import AUDIO_DIM, AUDIO_FEATURE_RATE, AUDIO_STATES, FPS
from ..files.checkpoints import write_tensors
from ..files.tensor_file import CheckpointError, TensorFile
from ..pose import HandPose
from ..runtime import Progress
from .chains import BONES, Chains, chains_of, posed
from .files import open_ours
from .library import built_in
from .motion import calmed, softened
from .plan import Plan
from .prosody import Prosody, listen

FORMAT, VERSION = "echomimicv2-gesture-planner", "1"
CHUNK = 4  # Frames drawn at once, at 24 fps.
FEATURES = 2 * 2 * (1 + BONES)  # Of a frame: of both sides the shoulder and each bone, as x and y.
STEPS, TEMPERATURE = 6, 0.7  # Of the diffusion head: evaluations per chunk, and size of the noise it begins with.
DROPOUT = 0.1  # In training.
LIMITS = {"width": 1024, "layers": 24, "heads": 32, "latent": 512, "head": 2048, "reach": 31, "context": 1024}


@dataclass(frozen=True)
class PlannerConfig:
    """Sizes of a planner.

    Attributes
    ----------
    width, layers, heads : of the transformer. latent : numbers per chunk of motion. head : width of the diffusion head.
    reach : chunks of the voice before and after that each of two convolutions mixes. context : chunks remembered.
    """

    width: int = 160
    layers: int = 3
    heads: int = 4
    latent: int = 48
    head: int = 256
    reach: int = 3
    context: int = 60

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or not 1 <= value <= LIMITS[field.name]:
                raise ValueError(f"{field.name} is {value!r}, but must be from 1 to {LIMITS[field.name]}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")


def features_of(chains: Chains) -> np.ndarray:
    """Shoulders and bones (F, FEATURES) of chains, as vectors in heights of the canvas."""
    bones = chains.lengths[..., None] * np.stack([np.cos(chains.angles), np.sin(chains.angles)], axis=-1)
    return np.concatenate([chains.roots[:, :, None], bones], axis=2).reshape(len(chains), FEATURES)


def chains_from(features: np.ndarray, least: np.ndarray, most: np.ndarray) -> Chains:
    """Chains of features (F, FEATURES); each bone's length is kept between `least` and `most` (2, BONES)."""
    values = features.reshape(len(features), 2, 1 + BONES, 2)
    bones = values[:, :, 1:]
    angles = np.unwrap(np.arctan2(bones[..., 1], bones[..., 0]), axis=0)
    return Chains(values[:, :, 0], angles, np.clip(np.linalg.norm(bones, axis=-1), least, most))


def voice_frames(states: torch.Tensor, frames: int) -> torch.Tensor:
    """The two Whisper states (frames, 2, 5, 384) of (T, 5, 384) that each frame at 24 fps begins with."""
    first = (torch.arange(frames) * (AUDIO_FEATURE_RATE / FPS)).long()
    return states[torch.stack([first, first + 1], 1).clamp_max(len(states) - 1)]


class Block(nn.Module):
    """A causal transformer block; nearer chunks weigh more (ALiBi, arXiv 2108.12409)."""

    def __init__(self, config: PlannerConfig):
        super().__init__()
        self.heads, self.context, self.dropout = config.heads, config.context, nn.Dropout(DROPOUT)
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.qkv, self.out = nn.Linear(config.width, 3 * config.width), nn.Linear(config.width, config.width)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.width, 4 * config.width), nn.GELU(), nn.Linear(4 * config.width, config.width)
        )

    def forward(self, x: torch.Tensor, memory: list[torch.Tensor] | None = None) -> torch.Tensor:
        """x (B, n, width); `memory` holds keys and values (B, heads, m, d) of chunks before and grows by these."""
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(self.norm1(x)).chunk(3, -1))
        if memory is not None:
            if memory:
                k, v = torch.cat([memory[0], k], 2), torch.cat([memory[1], v], 2)
            memory[:] = [k[:, :, -self.context + 1 :], v[:, :, -self.context + 1 :]]
        ago = torch.arange(k.shape[2] - q.shape[2], k.shape[2])[:, None] - torch.arange(k.shape[2])[None]
        slopes = 2.0 ** (-8.0 * torch.arange(1, self.heads + 1) / self.heads)
        bias = (-slopes[:, None, None] * ago).masked_fill((ago < 0) | (ago >= self.context), -torch.inf)
        y = F.scaled_dot_product_attention(q, k, v, bias.to(q))
        x = x + self.dropout(self.out(y.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.norm2(x)))


class Head(nn.Module):
    """Predicts v of noisy chunks (n, latent), given what the transformer says of them (n, width)."""

    def __init__(self, config: PlannerConfig, depth: int = 3):
        super().__init__()
        self.enter, self.leave = nn.Linear(config.latent, config.head), nn.Linear(config.head, config.latent)
        self.given, self.time = nn.Linear(config.width, config.head), nn.Linear(64, config.head)
        self.bend = nn.ModuleList(nn.Linear(config.head, 2 * config.head) for _ in range(depth))
        self.work = nn.ModuleList(
            nn.Sequential(nn.Linear(config.head, config.head), nn.SiLU(), nn.Linear(config.head, config.head))
            for _ in range(depth)
        )

    def forward(self, noisy: torch.Tensor, time: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """time : (n,) 0 (clean) to 1 (noise)."""
        waves = time[:, None] * 2.0 ** torch.linspace(0, 8, 32)
        told = F.silu(self.given(given) + self.time(torch.cat([waves.sin(), waves.cos()], 1)))
        x = self.enter(noisy)
        for bend, work in zip(self.bend, self.work, strict=True):
            scale, shift = bend(told).chunk(2, -1)
            x = x + work(F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift)
        return self.leave(F.layer_norm(x, x.shape[-1:]))


class GesturePlanner(nn.Module):
    """The whole model; its buffers say how motion and voice are normalised (`fit` sets them)."""

    def __init__(self, config: PlannerConfig = PlannerConfig()):  # noqa: B008 (frozen)
        super().__init__()
        self.config = config
        width, kernel = config.width, 2 * config.reach + 1
        self.register_buffer("voice_mean", torch.zeros(AUDIO_STATES, AUDIO_DIM))
        self.register_buffer("voice_scale", torch.ones(AUDIO_STATES, AUDIO_DIM))
        self.register_buffer("mean", torch.zeros(CHUNK * FEATURES))
        self.register_buffer("basis", torch.zeros(config.latent, CHUNK * FEATURES))
        self.register_buffer("scale", torch.ones(config.latent))
        self.register_buffer("least", torch.zeros(2, BONES))
        self.register_buffer("most", torch.ones(2, BONES))
        self.states = nn.Parameter(torch.zeros(AUDIO_STATES))
        self.voice = nn.Linear(CHUNK * AUDIO_DIM, width)
        self.mix = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=config.reach) for _ in range(2))
        self.before = nn.Linear(config.latent + 1, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.head = Head(config)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Latents (..., n, latent) of features (..., n * CHUNK, FEATURES)."""
        chunks = features.unflatten(-2, (-1, CHUNK)).flatten(-2) - self.mean
        return chunks @ self.basis.T / self.scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Features (n * CHUNK, FEATURES) of latents (n, latent)."""
        return ((latents * self.scale) @ self.basis + self.mean).unflatten(-1, (CHUNK, FEATURES)).flatten(0, 1)

    def hear(self, frames: torch.Tensor) -> torch.Tensor:
        """What each chunk hears (B, n, width) of the states of its frames (B, n * CHUNK, 2, 5, 384)."""
        states = (frames.mean(2) - self.voice_mean) / self.voice_scale
        mixed = torch.einsum("bfsc,s->bfc", states, self.states.softmax(0))
        x = self.voice(mixed.unflatten(1, (-1, CHUNK)).flatten(2))
        for mix in self.mix:
            x = x + F.gelu(mix(x.transpose(1, 2))).transpose(1, 2)
        return x

    def plan(self, heard: torch.Tensor, before: torch.Tensor, known: torch.Tensor, memory=None) -> torch.Tensor:
        """What the head is given (B, n, width) for chunks that hear `heard` and follow `before` (B, n, latent).

        known : (B, n, 1) 1 where the chunk before is known, 0 where it is not.
        """
        x = heard + self.before(torch.cat([before * known, known], -1))
        for index, block in enumerate(self.blocks):
            x = block(x, None if memory is None else memory[index])
        return self.norm(x)

    def sample(self, given: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Chunks (n, latent) drawn by the head, by DDIM from noise."""
        x = TEMPERATURE * torch.randn(len(given), self.config.latent, generator=generator)
        times = torch.linspace(1, 0, STEPS + 1)
        for now, then in zip(times, times[1:], strict=False):
            v = self.head(x, now.expand(len(x)), given)
            clean, noise = signal(now) * x - sigma(now) * v, sigma(now) * x + signal(now) * v
            x = signal(then) * clean + sigma(then) * noise
        return x

    @torch.no_grad()
    def move(self, states: torch.Tensor, frames: int, seed: int = 0, progress: Progress | None = None) -> Chains:
        """Chains of `frames` at 24 fps for a voice's Whisper states (T, 5, 384).

        progress : called with (chunks done, chunks); may raise to cancel.
        """
        count = -(-frames // CHUNK)
        generator = torch.Generator().manual_seed(seed)
        heard = self.hear_all(states, count)
        before, known = torch.zeros(1, 1, self.config.latent), torch.zeros(1, 1, 1)
        memory: list[list[torch.Tensor]] = [[] for _ in self.blocks]
        latents = torch.empty(count, self.config.latent)
        for index in range(count):
            if progress is not None and index % 32 == 0:
                progress(index, count)
            given = self.plan(heard[:, index : index + 1], before, known, memory)
            latents[index] = self.sample(given[0], generator)[0]
            before, known = latents[None, index : index + 1], torch.ones(1, 1, 1)
        features = self.decode(latents)[:frames].double().numpy()
        return chains_from(features, self.least.double().numpy(), self.most.double().numpy())

    def hear_all(self, states: torch.Tensor, count: int, block: int = 500) -> torch.Tensor:
        """`hear` of all chunks (1, count, width), piece by piece, so that memory stays flat."""
        reach, parts = 2 * self.config.reach, []
        for first in range(0, count, block):
            low, high = max(first - reach, 0), min(first + block + reach, count)
            frames = voice_frames(states, high * CHUNK)[low * CHUNK :]
            parts.append(self.hear(frames[None])[:, first - low : min(first + block, count) - low])
        return torch.cat(parts, 1)


def signal(time: torch.Tensor) -> torch.Tensor:
    """Share of the clean chunk in a noisy one at a time of 0..1."""
    return torch.cos(time * math.pi / 2)


def sigma(time: torch.Tensor) -> torch.Tensor:
    """Share of the noise."""
    return torch.sin(time * math.pi / 2)


def pose_from(planner: GesturePlanner, states: torch.Tensor, frames: int, seed: int = 0, progress=None) -> HandPose:
    """The pose of a voice's Whisper states, calmed as the planner of strokes calms its own."""
    library = built_in(FPS)
    chains = calmed(softened(planner.move(states, frames, seed, progress)), library.haste, progress)
    return posed(chains, library.base.take(np.zeros(frames, dtype=int)))


def hands_of_voice(
    planner: GesturePlanner,
    states: torch.Tensor,
    waveform: torch.Tensor,
    frames: int = 0,
    fps: float = FPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[HandPose, Plan, Prosody]:
    """What `motion.gestures_for` gives, by a trained planner; its plan names no strokes.

    Parameters
    ----------
    states : Whisper's of the voice (T, 5, 384). waveform : the voice (samples,) mono at 16 kHz.
    """
    heard = listen(waveform, frames, fps, progress)
    pose = pose_from(planner, states, max(round(len(heard) / fps * FPS), 1), seed, progress)
    if len(pose) != len(heard):
        # A pose of one frame more or less than its rate would give follows from rounding.
        at = np.arange(len(heard)) * ((len(pose) - 1) / max(len(heard) - 1, 1))
        chains = chains_of(pose).at(at)
        library = built_in(fps)
        pose = posed(chains, library.base.take(np.zeros(len(heard), dtype=int)))
    return pose, Plan([], [], len(heard), heard.loudness.double().numpy()), heard


def save_planner(planner: GesturePlanner, path: str | Path) -> Path:
    """Write a planner, whole or not at all; its path."""
    metadata = {"format": FORMAT, "version": VERSION, "config": json.dumps(asdict(planner.config))}
    return write_tensors(path, {name: value.float() for name, value in planner.state_dict().items()}, metadata)


def is_planner(path: str | Path) -> bool:
    """Whether a file says that it is a planner."""
    try:
        return TensorFile(path).metadata.get("format") == FORMAT
    except ValueError:
        return False


def load_planner(path: str | Path) -> GesturePlanner:
    """Read a planner of `save_planner`.

    Raises
    ------
    ValueError : no such file, another kind of file, or one that is damaged, in a sentence with its name.
    """
    try:
        file = open_ours(path, FORMAT, VERSION, "it is not a gesture planner of this version: train one with this pack")
        planner = GesturePlanner(PlannerConfig(**json.loads(file.metadata["config"])))
        state = file.state_dict()
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise ValueError("it contains values that are not numbers")
        planner.load_state_dict(state)
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise ValueError(f"the gesture planner {path} cannot be used: {str(error) or type(error).__name__}") from error
    return planner.requires_grad_(False).eval()
