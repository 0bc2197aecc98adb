"""Sound as samples: any rate, channels and number format to mono 16 kHz, trimming, and loudness."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import torch

from ..config import AUDIO_SAMPLE_RATE

# Speech is brought to the level of broadcasts (EBU R 128); gains that would clip are held back.
TARGET_LUFS = -23.0
LOUDNESS_BLOCK_SECONDS = 0.4
LOUDNESS_HOP_SECONDS = 0.1
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
LUFS_OFFSET = -0.691

# Weights of the channels of 5.1 and 7.1 sound (ITU-R BS.775) in the left and in the right half of a stereo mix;
# the order is front left, front right, centre, bass, then the surrounds, left before right.
HALF_POWER = math.sqrt(0.5)
SURROUND_LEFT = {
    6: (1.0, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0),
    8: (1.0, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0),
}
SURROUND_RIGHT = {
    6: (0.0, 1.0, HALF_POWER, 0.0, 0.0, HALF_POWER),
    8: (0.0, 1.0, HALF_POWER, 0.0, 0.0, HALF_POWER, 0.0, HALF_POWER),
}
SHORTEST_SOUND = 64
# What a file of sound may say of itself.
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768_000
RESAMPLER_BLOCK = 1 << 16


def to_float(waveform: np.ndarray | torch.Tensor) -> np.ndarray:
    """The sound as (channels, samples) float32, full scale -1..1, whatever it came as.

    Parameters
    ----------
    waveform : (samples,), (channels, samples) or (1, channels, samples); floats, or integers of any size
        (unsigned ones are centred on half their range).

    Raises
    ------
    ValueError : no samples, a batch of several sounds, values that are not numbers.
    """
    if isinstance(waveform, torch.Tensor):
        waveform = waveform.detach().cpu()
        waveform = (waveform.float() if waveform.is_floating_point() else waveform).numpy()
    waveform = np.asarray(waveform)
    if waveform.ndim == 3 and len(waveform) > 1:
        raise ValueError(
            f"the audio is a batch of {len(waveform)} sounds, but one video has one voice: pass one of them"
        )
    if waveform.ndim not in (1, 2, 3):
        raise ValueError(f"the audio has shape {waveform.shape} instead of (1, channels, samples)")
    waveform = waveform.reshape((-1, waveform.shape[-1])) if waveform.size else waveform
    if waveform.size == 0:
        raise ValueError("the audio has no samples: load audio that is not empty, or check where it was trimmed")
    if np.issubdtype(waveform.dtype, np.integer):
        half = 2.0 ** (8 * waveform.dtype.itemsize - 1)
        centre = half if np.issubdtype(waveform.dtype, np.unsignedinteger) else 0.0
        return (waveform.astype(np.float32) - np.float32(centre)) / np.float32(half)
    waveform = waveform.astype(np.float32, copy=False)
    if not np.isfinite(waveform).all():
        raise ValueError(
            "the audio contains values that are not numbers (NaN or infinite): the node that produced it failed"
        )
    return waveform


def check_sound(channels, rate, what: str) -> None:
    """ValueError with a sentence for channels or a rate (samples per second) that no sound has."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"{what} has {channels} channels of sound, but 1 to {MAX_CHANNELS} can be used")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"{what} has {rate} samples per second, but {MIN_RATE:,} to {MAX_RATE:,} can be used")


def mix(waveform: np.ndarray, channels: int) -> np.ndarray:
    """Mix (any channels, samples) down to one or two channels; fewer channels than asked for are left as they are.

    Stereo to mono is the mean; 5.1 and 7.1 keep the centre, where the voice is; other counts are averaged.
    """
    count = len(waveform)
    if count <= channels:
        return waveform
    if count in SURROUND_LEFT:
        weights = np.array([SURROUND_LEFT[count], SURROUND_RIGHT[count]], np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        weights = weights if channels == 2 else weights.mean(axis=0, keepdims=True)
        return weights @ waveform
    return waveform.mean(axis=0, keepdims=True)


def resample(waveform: np.ndarray | torch.Tensor, rate: int, target_rate: int = AUDIO_SAMPLE_RATE) -> np.ndarray:
    """The sound as mono float32 (samples,), -1..1, at 16 kHz, by ffmpeg's resampler, as in the original.

    Parameters
    ----------
    waveform : as `to_float` takes it; rate, target_rate : samples a second.

    Raises
    ------
    ValueError : as `to_float`, or the rate is not positive.
    """
    return resample_channels(mix(to_float(waveform), 1), rate, target_rate)[0]


def resample_channels(waveform: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """One or two channels (channels, samples) float32 from one rate to another; the sound does not move in time."""
    if rate != int(rate) or rate <= 0:
        raise ValueError(f"the sample rate of the audio is {rate}, but it must be a whole number above 0")
    rate = int(rate)
    if rate == target_rate:
        return waveform
    # The resampler gives nothing for sounds shorter than its filter
    wanted = -(-waveform.shape[1] * target_rate // rate)
    shortest = SHORTEST_SOUND * max(1, -(-rate // target_rate))
    if waveform.shape[1] < shortest:
        waveform = np.pad(waveform, ((0, 0), (0, shortest - waveform.shape[1])))
        return resample_channels(waveform, rate, target_rate)[:, : max(wanted, 1)]
    starts = range(0, waveform.shape[1], RESAMPLER_BLOCK)
    blocks = (waveform[:, start : start + RESAMPLER_BLOCK] for start in starts)
    return np.concatenate(list(resample_blocks(blocks, rate, target_rate)), axis=1)


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, target_rate: int) -> Iterator[np.ndarray]:
    """Blocks (channels, samples) of one sound, one after the other, at another rate, so that it is never held whole.

    Every call of the resampler costs, so blocks should be of about `RESAMPLER_BLOCK` samples; sounds shorter than its
    filter come out empty (`resample_channels` takes care of them).
    """
    import av

    resampler, position = None, 0
    for block in blocks:
        layout = "mono" if len(block) == 1 else "stereo"
        resampler = resampler or av.AudioResampler("fltp", layout, target_rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        position += block.shape[1]
        yield from (piece.to_ndarray() for piece in resampler.resample(frame))
    if resampler is not None:
        yield from (piece.to_ndarray() for piece in resampler.resample(None))


def trim(waveform: np.ndarray | torch.Tensor, rate: int, start: float = 0.0, duration: float = 0.0):
    """Cut (..., samples) to `duration` seconds from `start` on; a duration of 0, or beyond the end, is to the end.

    Raises
    ------
    ValueError : nothing is left, or a negative time.
    """
    samples = waveform.shape[-1]
    if start < 0 or duration < 0:
        raise ValueError(f"start is {start} s and duration {duration} s, but neither can be negative")
    if samples == 0:
        raise ValueError("the audio has no samples: load audio that is not empty, or check where it was trimmed")
    first = round(start * rate)
    if first >= samples:
        raise ValueError(
            f"start is {start:g} s, but the audio is only {samples / rate:.2f} s long: choose an earlier start"
        )
    if duration == 0:
        return waveform[..., first:]
    length = round(duration * rate)
    if length < 1:
        raise ValueError(f"duration is {duration} s, which is less than one sample at {rate} Hz: choose a longer one")
    return waveform[..., first : first + length]


def normalize_loudness(waveform: np.ndarray, rate: int = AUDIO_SAMPLE_RATE, target: float = TARGET_LUFS) -> np.ndarray:
    """Bring a mono waveform (samples,) to `target` LUFS by one gain, less where its peaks would clip.

    Silence stays silence.
    """
    level = loudness(waveform, rate)
    if level == -math.inf:
        return waveform
    gain = min(10 ** ((target - level) / 20), 1.0 / np.abs(waveform).max())
    return waveform * np.float32(gain)


def loudness(waveform: np.ndarray, rate: int = AUDIO_SAMPLE_RATE) -> float:
    """Integrated loudness in LUFS of a mono waveform (samples,), -inf for silence (ITU-R BS.1770-4)."""
    from scipy.signal import lfilter

    for numerator, denominator in _k_weighting(rate):
        waveform = lfilter(numerator, denominator, waveform)
    block = min(round(LOUDNESS_BLOCK_SECONDS * rate), len(waveform))
    hop = round(LOUDNESS_HOP_SECONDS * rate)
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform))])
    starts = np.arange(0, len(waveform) - block + 1, hop)
    power = (energy[starts + block] - energy[starts]) / block
    power = power[power > 10 ** ((ABSOLUTE_GATE_LUFS - LUFS_OFFSET) / 10)]
    if len(power) == 0:
        return -math.inf
    power = power[power > power.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return LUFS_OFFSET + 10 * math.log10(power.mean())


def _k_weighting(rate: int):
    """The two filters of BS.1770, a shelf for the head and a high-pass, as (numerator, denominator) at any rate."""
    frequency, gain, quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k, high = math.tan(math.pi * frequency / rate), 10 ** (gain / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    yield (
        np.array([high + band * k / quality + k * k, 2 * (k * k - high), high - band * k / quality + k * k]) / a0,
        np.array([a0, 2 * (k * k - 1), 1 - k / quality + k * k]) / a0,
    )
    frequency, quality = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * frequency / rate)
    a0 = 1 + k / quality + k * k
    yield np.array([1.0, -2.0, 1.0]), np.array([a0, 2 * (k * k - 1), 1 - k / quality + k * k]) / a0
