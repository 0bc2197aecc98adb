"""Lip sync by SyncNet: MFCC of the sound, embeddings of lips and sound, and how far apart they are over shifts.

Source: Chung & Zisserman, "Out of time: automated lip sync in the wild" (2016) and its public evaluation code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..clips import Clip
from .metric import Metric, Store, paper

FPS = 25
RATE = 16_000
WINDOW_FRAMES = 5
MAX_SHIFT = 15
EPSILON = 1e-6

# MFCC as SyncNet was trained on: 25 ms windows every 10 ms, 26 mel filters, 13 coefficients.
MFCC_STEPS_PER_FRAME = 4
WINDOW, STEP, FFT = 400, 160, 512
FILTERS, COEFFICIENTS, LIFTER, PREEMPHASIS = 26, 13, 22, 0.97
FULL_SCALE = 32768

# How much is looked at in one go, where all of it would be many times what is kept.
STEPS_AT_ONCE = 1000
WINDOWS_AT_ONCE = 256


def mfcc(waveform: np.ndarray) -> np.ndarray:
    """Mel cepstrum of a 16 kHz sound in the manner of the HTK tools, log energy first.

    Parameters
    ----------
    waveform : (samples,) mono, -1..1.

    Returns
    -------
    (13, steps) at 100 Hz.
    """
    from scipy.fft import dct

    waveform = np.asarray(waveform)
    steps = 1 + max(-(-(len(waveform) - WINDOW) // STEP), 0)
    tiny = np.finfo(float).eps
    parts = []
    # Ten seconds at a time: windows overlap, so all of them at once would be many times the sound.
    for first in range(0, steps, STEPS_AT_ONCE):
        last = min(first + STEPS_AT_ONCE, steps)
        piece = _emphasised(waveform, first * STEP, (last - 1) * STEP + WINDOW)
        windows = np.lib.stride_tricks.sliding_window_view(piece, WINDOW)[::STEP]
        power = np.square(np.abs(np.fft.rfft(windows, FFT))) / FFT
        mel = np.log(np.maximum(power @ _mel_filters().T, tiny))
        cepstrum = dct(mel, type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
        cepstrum *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
        cepstrum[:, 0] = np.log(np.maximum(power.sum(1), tiny))
        parts.append(cepstrum)
    return np.concatenate(parts).T


def _emphasised(waveform: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The samples from start to stop at full scale, each less most of the one before; zeros beyond the end."""
    before = max(start - 1, 0)
    samples = waveform[before:stop].astype(np.float64) * FULL_SCALE
    changed = samples[1:] - PREEMPHASIS * samples[:-1]
    # The very first sample has none before it.
    changed = changed if start else np.append(samples[:1], changed)
    return np.pad(changed, (0, stop - start - len(changed)))


def _mel_filters() -> np.ndarray:
    """(26, 257) triangles, equally spaced in mel from 0 to 8 kHz, with corners on whole FFT bins."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, FILTERS + 2) / 2595) - 1)
    corners = np.floor((FFT + 1) * hertz / RATE)
    bins = np.arange(FFT // 2 + 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    inside = (bins >= low) & (bins < high)
    return np.where(bins < middle, rising, falling) * inside


def sound_windows(waveform: np.ndarray, windows: int) -> np.ndarray:
    """MFCC of the 0.2 s of sound from each of the first frames on: (n <= windows, 1, 13, 20) float32."""
    cepstrum = mfcc(waveform).astype(np.float32)
    width = MFCC_STEPS_PER_FRAME * WINDOW_FRAMES
    count = min(windows, (cepstrum.shape[1] - width) // MFCC_STEPS_PER_FRAME + 1)
    if count < 1:
        return np.zeros((0, 1, COEFFICIENTS, width), np.float32)
    starts = range(0, count * MFCC_STEPS_PER_FRAME, MFCC_STEPS_PER_FRAME)
    return np.stack([cepstrum[None, :, start : start + width] for start in starts])


@dataclass(frozen=True)
class SyncScore:
    """Sync of a clip.

    Attributes
    ----------
    distance : Sync-D, the smallest mean distance over shifts; lower is better.
    confidence : Sync-C, median minus smallest mean distance; higher is better.
    offset : frames at 25 fps by which the picture comes late (negative: early) at that smallest distance.
    windows : how many windows of lips were compared.
    """

    distance: float
    confidence: float
    offset: int
    windows: int


def sync_score(lips: np.ndarray, sound: np.ndarray, seen: np.ndarray | None = None) -> SyncScore:
    """L2 distances of lips and sound over shifts of ±15 frames; D is the smallest mean, C the median minus it.

    As in the public evaluation, sound beyond the ends of the clip counts as a zero embedding, and distances add an
    epsilon of 1e-6 to every difference.

    Parameters
    ----------
    lips, sound : (N, dim) embeddings of the windows from frame 0, 1, … on.
    seen : (N,) bool, windows in which the face was found; the others are left out of the means.

    Raises
    ------
    ValueError : no window to compare.
    """
    count = min(len(lips), len(sound))
    seen = np.ones(count, bool) if seen is None else np.asarray(seen[:count], bool)
    if not seen.any():
        raise ValueError("there is no 0.2 s stretch with both a face and sound, so lip sync cannot be measured")
    padded = np.pad(sound[:count], ((MAX_SHIFT, MAX_SHIFT), (0, 0)))
    index = np.flatnonzero(seen)
    sums = np.zeros(2 * MAX_SHIFT + 1)
    for some in np.split(index, range(WINDOWS_AT_ONCE, len(index), WINDOWS_AT_ONCE)):
        mine = lips[some].astype(np.float64) + EPSILON
        sums += [np.linalg.norm(mine - padded[some + shift], axis=1).sum() for shift in range(len(sums))]
    means = sums / len(index)
    best = int(means.argmin())
    smallest = float(means[best])
    return SyncScore(smallest, float(np.median(means)) - smallest, MAX_SHIFT - best, len(index))


@torch.inference_mode()
def embed_lips(network, crops: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Embeddings of face crops (N, 5, 224, 224, 3) uint8 RGB: (N, dim). SyncNet reads BGR in 0..255."""
    x = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1])).to(device)
    return network.forward_lip(x.permute(0, 4, 1, 2, 3).float()).float().cpu().numpy()


@torch.inference_mode()
def embed_sound(network, windows: np.ndarray, device: str = "cpu", batch: int = 64) -> np.ndarray:
    """Embeddings of sound windows (N, 1, 13, 20): (N, dim)."""
    parts = [
        network.forward_aud(torch.from_numpy(windows[i : i + batch]).to(device)).float().cpu().numpy()
        for i in range(0, len(windows), batch)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _sync(attribute: str) -> Callable[[Store, Clip], float]:
    def score(store: Store, clip: Clip) -> float:
        found = store.arrays("generated", clip, "syncnet")
        offset = int(found["offset"])
        # At the very end of the range it is no shift that was found, but that none fits.
        if 0 < abs(offset) < MAX_SHIFT:
            late, frames = "late" if offset > 0 else "early", abs(offset)
            store.remark(clip, f"the lips are {frames / FPS:.2f} s too {late} ({frames} frames at {FPS} fps)")
        return float(found[attribute])

    return score


_SYNC = (
    "SyncNet embeddings of 5-frame face crops at 25 fps and of MFCC at 16 kHz, L2 distance averaged over the clip "
    "for shifts of ±15 frames; {}. Averaged over clips."
)
_OTHER_CROPS = "another face detector cuts other crops; --edges public removes what else differs from the public code"
_SYNCNET = "Chung & Zisserman 2016, Out of time: automated lip sync in the wild; their public evaluation"

METRICS = (
    Metric(
        "sync-c",
        "Sync-C",
        "syncnet",
        "clip",
        "higher",
        _SYNC.format("C is the median over shifts minus the smallest"),
        _SYNCNET,
        "above 6; real speech gives 7 to 9",
        paper=paper(0.987, 1.495, 7.219),
        unlike_paper=_OTHER_CROPS,
        other_names=("LSE-C",),
        score=_sync("confidence"),
    ),
    Metric(
        "sync-d",
        "Sync-D",
        "syncnet",
        "clip",
        "lower",
        _SYNC.format("D is the smallest"),
        _SYNCNET,
        "under 8; real speech gives 6 to 7",
        paper=paper(None, None, 7.021),
        unlike_paper=_OTHER_CROPS,
        other_names=("LSE-D",),
        score=_sync("distance"),
    ),
)
