"""A clip's conditions, drawn upon window by window: nothing the size of the clip in pixels is ever held.

What does not change over denoising steps is computed once and kept: keys and values of the reference, and, as far as
a small budget goes, keys and values of the audio and the encoded pose. Beyond the budget they are made again for each
window, which gives the same numbers and memory that does not grow with the clip.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from ..apdh.steering import ORIGINAL, APDHOptions, attention_sizes, level_gains
from ..config import AUDIO_POSITIONS, AUDIO_STATES
from ..models.context import KeysValues, WindowContext
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_encoder import PoseEncoder
from ..models.reference_unet import ReferenceFeatures
from .map_cache import MapCache
from .memory import WindowRunner
from .speed import EXACT, DeepFeatures, SpeedOptions, merge_tokens

CACHE_BYTES = 16 * 2**20
"""Budget of each cache. Encoding a window's pose again costs half a percent of its time at 768x768, its audio less."""
CLIP_CACHES = 2 * CACHE_BYTES  # Audio and pose, each up to its budget


class AudioSource(Protocol):
    """Audio of a clip: features (positions, 5, 384) times a strength, of which each frame uses ten positions."""

    features: torch.Tensor
    strength: float

    def positions(self, frames: list[int]) -> torch.Tensor:
        """Rows of `features` that the frames (n) hear, as int64 (n, 10)."""


@dataclass(frozen=True)
class PackedAudio:
    """Audio given frame by frame, as in a parity case: tokens (F, 50, 384)."""

    tokens: torch.Tensor
    strength: float = 1.0

    @property
    def features(self) -> torch.Tensor:
        return self.tokens.unflatten(1, (AUDIO_POSITIONS, AUDIO_STATES)).flatten(0, 1)

    def positions(self, frames: list[int]) -> torch.Tensor:
        return torch.tensor(frames)[:, None] * AUDIO_POSITIONS + torch.arange(AUDIO_POSITIONS)


@dataclass
class ClipConditions:
    """Everything that conditions a clip.

    Attributes
    ----------
    reference : the photo's token maps.
    audio : the voice, or None for silence.
    pose_maps : frame indices -> keypoint maps (n, 3, height, width) in 0..1 (float or uint8 in 0..255), or None.
    apdh : strengths and reach.
    audio_mask : (1 or F, height, width) in 0..1, what audio may move; None is everything.
    """

    reference: ReferenceFeatures
    audio: AudioSource | None = None
    pose_maps: Callable[[list[int]], torch.Tensor] | None = None
    apdh: APDHOptions = ORIGINAL
    audio_mask: torch.Tensor | None = None

    def part(self, first: int, frames: int, total: int) -> "ClipConditions":
        """Conditions of `frames` frames from frame `first` of a clip of `total`, after whose end it starts again."""

        def in_clip(wanted: list[int]) -> list[int]:
            return [(first + frame) % total for frame in wanted]

        pose_maps, mask = self.pose_maps, self.audio_mask
        if mask is not None and len(mask) > 1:
            mask = mask[in_clip(list(range(frames)))]
        return replace(
            self,
            audio=None if self.audio is None else AudioPart(self.audio, in_clip),
            pose_maps=None if pose_maps is None else lambda wanted: pose_maps(in_clip(wanted)),
            audio_mask=mask,
        )


@dataclass(frozen=True)
class AudioPart:
    """The sound of a part of a clip, whose frames hear what they hear in the whole clip."""

    source: AudioSource
    in_clip: Callable[[list[int]], list[int]]

    @property
    def features(self) -> torch.Tensor:
        return self.source.features

    @property
    def strength(self) -> float:
        return self.source.strength

    def positions(self, frames: list[int]) -> torch.Tensor:
        return self.source.positions(self.in_clip(frames))


@torch.compiler.disable
def upload(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Move to a device without waiting for it, where it can take things in while it computes."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


@dataclass
class PreparedClip:
    """A clip's conditions together with the networks' projections of them, for one sampling run.

    Make a new one for every run: patches such as LoRA change the projections. `runner` remembers from step to step how
    many windows the device took together.
    """

    conditions: ClipConditions
    unet: DenoisingUNet
    pose_encoder: PoseEncoder
    device: torch.device
    dtype: torch.dtype
    cache_bytes: int = CACHE_BYTES
    runner: WindowRunner = field(default_factory=WindowRunner)
    deep_features: DeepFeatures | None = None
    _speed: SpeedOptions = EXACT
    _reference: list[KeysValues] | None = None
    _audio: list[KeysValues] | None = None
    _pose: dict[int, torch.Tensor] = field(default_factory=dict)
    _gains: dict | None = None
    _maps: MapCache | None = None

    def __post_init__(self):
        if self.conditions.pose_maps is not None:
            self._maps = MapCache(self.conditions.pose_maps)

    def set_speed(self, speed: SpeedOptions, step: int) -> None:
        """Take shortcuts from here on; `step` is the index of the denoising step, which decides what is reused."""
        if speed != self._speed:
            self._speed, self._reference = speed, None
            budget = self.runner.batching.reuse_bytes
            self.deep_features = DeepFeatures(budget) if speed.reuse_steps > 1 else None
        if self.deep_features is not None:
            self.deep_features.start_step(fresh=step % speed.reuse_steps == 0)

    def drop_caches(self) -> None:
        """Free what can be computed again, and keep nothing of it from now on: memory is short."""
        self.cache_bytes = 0
        self._audio = None
        self._pose.clear()
        if self.deep_features is not None:
            self.deep_features.leave_device()

    # Not to be compiled: shapes here follow the length of the clip, and nothing here is slow.
    @torch.compiler.disable
    def context(self, frames: list[int], window_frames: int, timestep: float) -> WindowContext:
        """What the conditional samples for `frames` (whole windows one after another) see at a timestep."""
        strength = self.conditions.apdh.audio_strength_at(timestep)
        heard = self.conditions.audio is not None and strength != 0.0
        return WindowContext(
            frames=window_frames,
            reference=self.reference(),
            merged_reference=self._speed.merge_reference,
            audio=self.audio(frames) if heard else None,
            audio_gain=self.audio_gain(frames, strength) if heard else None,
        )

    def reference(self) -> list[KeysValues]:
        if self._reference is None:
            tokens = [x.to(self.device, self.dtype) for x in self.conditions.reference.tokens]
            projected = self.unet.project_reference(tokens)
            self._reference = merge_tokens(projected, *self._cells(), self._speed.merge_reference)
        return self._reference

    def _cells(self) -> tuple[int, int]:
        return self.unet.config.cells(self.conditions.reference.height, self.conditions.reference.width)

    def audio(self, frames: list[int]) -> list[KeysValues]:
        """Keys and values (n, 50, channels) of the tokens that the frames see, in each block."""
        source = self.conditions.audio
        positions = source.positions(frames)
        if self._audio is None and self._audio_bytes() <= self.cache_bytes:
            self._audio = self._project_audio(source.features)
        if self._audio is not None:
            projected = self._audio
        else:
            heard, positions = positions.unique(return_inverse=True)
            projected = self._project_audio(source.features[heard])
        positions = upload(positions, self.device)
        return [(k[positions].flatten(1, 2), v[positions].flatten(1, 2)) for k, v in projected]

    def _project_audio(self, features: torch.Tensor) -> list[KeysValues]:
        return self.unet.project_audio((features * self.conditions.audio.strength).to(self.device, self.dtype))

    def _audio_bytes(self) -> int:
        channels = sum(block.attn2.to_k.out_features for block in self.unet.transformer_blocks())
        positions, states, _ = self.conditions.audio.features.shape
        return 2 * positions * states * channels * self.dtype.itemsize

    @torch.compiler.disable
    def pose_features(self, frames: list[int], timestep: float) -> torch.Tensor | None:
        """Encoded keypoint maps (n, channels, h, w) times their strength; None for no pose."""
        strength = self.conditions.apdh.pose_strength_at(timestep)
        if self.conditions.pose_maps is None or strength == 0.0:
            return None
        missing = [frame for frame in dict.fromkeys(frames) if frame not in self._pose]
        encoded = dict(zip(missing, self._encode_pose(missing), strict=True)) if missing else {}
        features = torch.stack([self._pose[f] if f in self._pose else encoded[f] for f in frames])
        for frame, value in encoded.items():
            if (len(self._pose) + 1) * value.nbytes > self.cache_bytes:
                break
            self._pose[frame] = value.clone()
        return features if strength == 1.0 else features * strength

    def _encode_pose(self, frames: list[int]) -> torch.Tensor:
        maps = upload(self._maps(frames), self.device)
        maps = maps.to(self.dtype) / 255 if maps.dtype == torch.uint8 else maps.to(self.dtype)
        return self.pose_encoder(maps)

    def audio_gain(self, frames: list[int], strength: float) -> dict[tuple[int, int], torch.Tensor] | None:
        """Factors on what audio adds, by attention size; masks of every frame stay in main memory, as long as the clip.

        None is 1 everywhere.
        """
        mask = self.conditions.audio_mask
        if mask is None and strength == 1.0:
            return None
        if self._gains is None:
            levels = len(self.unet.config.block_out_channels)
            mask = torch.ones(1, 1, 1) if mask is None else mask.float()
            gains = level_gains(mask, attention_sizes(*self._cells(), levels))
            self._gains = {size: gain.to(self.device) if len(gain) == 1 else gain for size, gain in gains.items()}
        index = torch.tensor(frames)
        rows = {
            size: gain if len(gain) == 1 else upload(gain[index], self.device) for size, gain in self._gains.items()
        }
        return {size: (gain * strength).to(self.dtype) for size, gain in rows.items()}
