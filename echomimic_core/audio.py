"""From a waveform to what the denoiser receives: 50 tokens of 384 for every video frame.

waveform -> `resample` (mono, 16 kHz) -> `log_mel` -> `encode` (Whisper states at 50 Hz) -> `AudioTokens`
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .config import (
    AUDIO_DIM,
    AUDIO_FEATURE_RATE,
    AUDIO_FFT,
    AUDIO_HOP,
    AUDIO_MELS,
    AUDIO_POSITIONS,
    AUDIO_POSITIONS_BEFORE,
    AUDIO_SAMPLE_RATE,
    AUDIO_SEGMENT_FRAMES,
    AUDIO_STATES,
    FPS,
)
from .media.waveform import resample as resample
from .runtime import Progress

# One position of the features: two mel frames, 20 ms. The encoder has nothing to say about less.
SAMPLES_PER_POSITION = 2 * AUDIO_HOP
LOG_MEL_FLOOR = 1e-10
LOG_MEL_RANGE = 8.0
# The spectrum is computed for so many frames at a time (five minutes), to keep memory flat for long clips.
MEL_BLOCK = 30_000


@dataclass(frozen=True)
class AudioTokens:
    """The audio of every frame of a clip, kept compact: windows of tokens are gathered when they are needed.

    Attributes
    ----------
    features : (T, 5, 384) float32 on the CPU, Whisper's states at 50 Hz.
    fps : video frames per second.
    frames : length of the clip; left at 0, as many as the original makes chunks for.
    strength : factor on the tokens; 1 is the original, 0 is what the unconditional half receives.
    first_frame : frame of the sound at which this clip begins, for clips cut out of a longer one.
    """

    features: torch.Tensor
    fps: float = FPS
    frames: int = 0
    strength: float = 1.0
    first_frame: int = 0

    def __post_init__(self):
        if not self.fps > 0:
            raise ValueError(f"fps is {self.fps}, but a video needs more than 0 frames per second")
        if self.frames < 1:
            object.__setattr__(self, "frames", count_chunks(len(self.features), self.fps) - self.first_frame)

    def __len__(self) -> int:
        return self.frames

    def window(self, frames: Sequence[int] | np.ndarray | torch.Tensor) -> torch.Tensor:
        """Tokens (n, 50, 384) of the given frames (n integers; beyond the sound its ends are repeated)."""
        tokens = gather_tokens(self.features, np.asarray(frames, np.int64) + self.first_frame, self.fps)
        return tokens if self.strength == 1.0 else tokens * self.strength

    def positions(self, frames: Sequence[int] | np.ndarray) -> torch.Tensor:
        """Rows of `features`, int64 (n, 10), that the given frames (n integers) hear."""
        return token_positions(len(self.features), np.asarray(frames, np.int64) + self.first_frame, self.fps)

    def all(self) -> torch.Tensor:
        """Tokens (F, 50, 384) of the whole clip: 77 kB per frame, so prefer `window` for long clips."""
        return self.window(np.arange(self.frames))

    def slice(self, start: int, stop: int) -> "AudioTokens":
        """The clip of frames `start` to `stop` (exclusive), sharing the features."""
        if not 0 <= start < stop <= self.frames:
            raise ValueError(f"frames {start} to {stop} are outside the {self.frames} frames of the audio")
        return replace(self, frames=stop - start, first_frame=self.first_frame + start)


def clip_frames(samples: int, sample_rate: int, fps: float = FPS) -> int:
    """Video frames that a sound of so many samples asks for: whole frames only, but at least one."""
    seconds = Fraction(samples, sample_rate)
    return max(1, int(seconds * Fraction(fps).limit_denominator(100_000)))


def encode(encoder: nn.Module, waveform: np.ndarray | torch.Tensor, progress: Progress | None = None) -> torch.Tensor:
    """Whisper states (T, 5, 384) of a whole clip at 50 Hz, float32 on the CPU.

    Parameters
    ----------
    encoder : `models.audio_encoder.AudioEncoder`, on any device, in any dtype.
    waveform : (samples,) mono at 16 kHz, -1..1.
    progress : called with (segments done, segments) before each 30 s segment; may raise to cancel.
    """
    mel = log_mel(waveform)
    total = -(-mel.shape[1] // AUDIO_SEGMENT_FRAMES)
    features = None
    end = 0
    for index in range(total):
        if progress:
            progress(index, total)
        segment = mel[:, index * AUDIO_SEGMENT_FRAMES : (index + 1) * AUDIO_SEGMENT_FRAMES]
        start, end = end, end + segment.shape[1] // 2
        # The original pads the spectrogram with zeros, not the sound with silence.
        segment = F.pad(segment, (0, AUDIO_SEGMENT_FRAMES - segment.shape[1]))
        with torch.no_grad():
            states = encoder(segment[None])
        if features is None:
            features = torch.empty(mel.shape[1] // 2, *states.shape[1:])
        features[start:end] = states[: end - start]
    return features


def log_mel(waveform: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Whisper's log-mel spectrogram (80, samples // 160) float32 of a clip (samples,), mono at 16 kHz, -1..1.

    The range is cut to 80 dB below the loudest moment of the whole clip. Clips under 20 ms are padded with silence.
    """
    waveform = torch.as_tensor(waveform, dtype=torch.float32)
    if waveform.ndim != 1 or len(waveform) == 0:
        raise ValueError(f"the spectrogram needs a mono waveform (samples,) that is not empty, not {waveform.shape}")
    waveform = F.pad(waveform, (0, max(0, SAMPLES_PER_POSITION - len(waveform))))
    frames = len(waveform) // AUDIO_HOP
    half = AUDIO_FFT // 2
    waveform = F.pad(waveform[None], (half, half), mode="reflect")[0]

    window = torch.hann_window(AUDIO_FFT)
    mel = torch.empty(AUDIO_MELS, frames)
    for start in range(0, frames, MEL_BLOCK):
        stop = min(start + MEL_BLOCK, frames)
        block = waveform[start * AUDIO_HOP : (stop - 1) * AUDIO_HOP + AUDIO_FFT]
        spectrum = torch.stft(block, AUDIO_FFT, AUDIO_HOP, window=window, center=False, return_complex=True)
        mel[:, start:stop] = mel_filters() @ spectrum.abs().square()
    mel = mel.clamp_(min=LOG_MEL_FLOOR).log10_()
    return (mel.clamp_(min=mel.max() - LOG_MEL_RANGE) + 4.0) / 4.0


@lru_cache(maxsize=1)
def mel_filters() -> torch.Tensor:
    """Slaney's mel filters (80, 201) for 16 kHz, those that Whisper was trained with."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(
        num_frequency_bins=1 + AUDIO_FFT // 2,
        num_mel_filters=AUDIO_MELS,
        min_frequency=0.0,
        max_frequency=AUDIO_SAMPLE_RATE / 2,
        sampling_rate=AUDIO_SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters.T).float().contiguous()


def count_chunks(positions: int, fps: float) -> int:
    """Frames for which the original makes chunks from so many positions: up to the first one beyond the sound."""
    rate = AUDIO_FEATURE_RATE / fps
    first_beyond = max(0, int((positions + 1) / rate) - 1)
    return 1 + next(frame for frame in count(first_beyond) if int(frame * rate) > positions)


def frame_tokens(features: torch.Tensor, fps: float = FPS) -> torch.Tensor:
    """Tokens (F, 50, 384) of every frame for which the original makes a chunk, from features (T, 5, 384)."""
    return gather_tokens(features, np.arange(count_chunks(len(features), fps)), fps)


def gather_tokens(features: torch.Tensor, frames: np.ndarray, fps: float = FPS) -> torch.Tensor:
    """Tokens (n, 50, 384) of the frames (n,) from features (T, 5, 384): positions -4..5 around each, at the same time.

    Positions beyond either end of the sound repeat its first or last one (EchoMimicV2, `Audio2Feature`).
    """
    if features.ndim != 3 or features.shape[1:] != (AUDIO_STATES, AUDIO_DIM) or len(features) == 0:
        raise ValueError(
            f"audio features have shape {tuple(features.shape)} instead of (T, {AUDIO_STATES}, {AUDIO_DIM})"
        )
    return features[token_positions(len(features), frames, fps).to(features.device)].flatten(1, 2)


def token_positions(length: int, frames: np.ndarray, fps: float) -> torch.Tensor:
    """Of `length` positions at 50 Hz the ten, int64 (n, 10), around each of the frames (n,); see `gather_tokens`."""
    centres = np.floor(np.asarray(frames) * AUDIO_FEATURE_RATE / fps).astype(np.int64)
    positions = centres[:, None] - AUDIO_POSITIONS_BEFORE + np.arange(AUDIO_POSITIONS)
    return torch.from_numpy(positions.clip(0, length - 1))
