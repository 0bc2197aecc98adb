"""Do hands belong to a voice? Strokes against accents, speed against loudness, stillness, rest in pauses, jitter.

Real speakers are the measure, not a metronome: on three talks the F-measure of strokes and accents lies only 0.3 to 1.7
standard deviations above the same motion shifted in time, hands lead loudness by 3 to 9 frames, and are still for 19
to 65 % of the time. Frames are at 24 fps; sizes are in heights of the picture.
"""

from dataclasses import dataclass

import numpy as np

from ..pose import HandPose
from ..pose.motion import speed, strokes

TOLERANCE = 3  # Frames between a stroke and its accent.
SHIFTS, SHORTEST_SHIFT = 200, 12
MOST_LEAD = 12  # Frames by which hands may lead the loudness.
BEAT_SIGMA = 0.3  # Seconds.
STILL = 0.2  # Of the 90th percentile of speed.
LONG_PAUSE = 1.0  # Seconds.


@dataclass(frozen=True)
class Beats:
    """What hands and a voice have to do with each other.

    Attributes
    ----------
    f : F-measure of strokes and accents within TOLERANCE frames. chance, spread : its mean and standard deviation over
        the same motion shifted in time.
    correlation, lead : Pearson correlation of hand speed with log loudness at the best lead, and that lead in frames.
    still : share of frames in which the hands are still. pause : speed in long pauses over that in speech, or NaN.
    jitter : 99th percentile of the second difference of the points. beat : BEAT's own number, see `beat_alignment`.
    """

    f: float
    chance: float
    spread: float
    correlation: float
    lead: int
    still: float
    pause: float
    jitter: float
    beat: float

    @property
    def above_chance(self) -> float:
        """How many standard deviations F lies above the shifted motion."""
        return (self.f - self.chance) / max(self.spread, 1e-6)


def measure(pose: HandPose, accents: np.ndarray, loudness: np.ndarray, speech: np.ndarray) -> Beats:
    """Measure hands against a voice.

    Parameters
    ----------
    accents : (n,) frames of accents, best by a detector that no planner of the hands used.
    loudness : (F,) of each frame, 0..1, see `loudness_of`. speech : (F,) bool.

    Raises
    ------
    ValueError : fewer than two seconds, or hands or voice that never change.
    """
    frames = min(len(pose), len(loudness))
    if frames < 2 * pose.fps:
        raise ValueError(f"{frames} frames are too few to compare hands with a voice: 2 s are needed")
    pace, loud = speed(pose)[:frames], np.log(np.maximum(loudness[:frames], 1e-3))
    if pace.std() < 1e-9 or loud.std() < 1e-9:
        raise ValueError("the hands or the loudness never change, so they cannot be compared")
    own, by_chance = hits(pace, accents)
    by_chance = f_of(by_chance)
    leads = correlations(pace, loud)
    return Beats(
        float(f_of(own)),
        float(by_chance.mean()),
        float(by_chance.std()),
        float(np.max(leads)),
        int(np.argmax(leads)),
        float((pace < STILL * np.quantile(pace, 0.9)).mean()),
        float(np.divide(*pause_and_speech(pace, speech[:frames], pose.fps))),
        jitter(pose),
        beat_alignment(pace, accents, pose.fps),
    )


def hits(pace: np.ndarray, accents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many strokes in a speed (F,) have an accent within TOLERANCE frames, of how many; the same of accents.

    Returns
    -------
    (4,) of the motion itself and (SHIFTS, 4) of the same motion shifted in time; counts of several clips add up.
    """
    frames, found = len(pace), strokes(pace)
    shifts = np.linspace(SHORTEST_SHIFT, frames - SHORTEST_SHIFT, SHIFTS).astype(int)
    return _hits(found, accents), np.stack([_hits((found + shift) % frames, accents) for shift in shifts])


def _hits(found: np.ndarray, accents: np.ndarray) -> np.ndarray:
    if not len(found) or not len(accents):
        return np.array([0, len(found), 0, len(accents)])
    near = np.abs(found[:, None] - np.asarray(accents)[None]) <= TOLERANCE
    return np.array([near.any(1).sum(), len(found), near.any(0).sum(), len(accents)])


def f_of(counts: np.ndarray) -> np.ndarray:
    """F-measure (...) of counts (..., 4) as `hits` gives them."""
    precision, recall = counts[..., 0] / np.maximum(counts[..., 1], 1), counts[..., 2] / np.maximum(counts[..., 3], 1)
    return 2 * precision * recall / np.maximum(precision + recall, 1e-9)


def beat_alignment(pace: np.ndarray, accents: np.ndarray, fps: float) -> float:
    """BEAT's own number, 0..1: how near the pauses of a speed (F,) lie to accents (frames), within about 0.3 s.

    Any lively motion scores high, a loop too (BEAT, arXiv 2203.05297, with its code's sigma).
    """
    slowest = np.flatnonzero((pace[1:-1] < pace[:-2]) & (pace[1:-1] <= pace[2:])) + 1
    if not len(slowest) or not len(accents):
        return 0.0
    apart = np.abs(slowest[:, None] - np.asarray(accents)[None]).min(1) / fps
    return float(np.exp(-(apart**2) / (2 * BEAT_SIGMA**2)).mean())


def correlations(pace: np.ndarray, loud: np.ndarray) -> list[float]:
    """Pearson correlation of speed (F,) with loudness (F,), the hands leading by 0, 1, ... MOST_LEAD frames."""
    frames = len(pace)
    return [float(np.corrcoef(pace[: frames - lead], loud[lead:])[0, 1]) for lead in range(MOST_LEAD + 1)]


def loudness_of(waveform: np.ndarray, frames: int, fps: float, rate: int = 16_000) -> np.ndarray:
    """Loudness (frames,) of a mono waveform: root mean square of each frame, of the loudest twentieth, 0..1."""
    ends = np.minimum((np.arange(frames + 1) / fps * rate).round().astype(int), len(waveform))
    power = np.concatenate([[0.0], np.cumsum(np.asarray(waveform, np.float64) ** 2)])
    level = np.sqrt((power[ends[1:]] - power[ends[:-1]]) / np.maximum(np.diff(ends), 1))
    return np.minimum(level / max(float(np.quantile(level, 0.95)), 1e-9), 1.0)


def jitter(pose: HandPose) -> float:
    """99th percentile of the second difference of the hands' points, in heights per frame²; without absent points.

    nan where no point is there in three frames in a row.
    """
    whole = pose.whole_canvas()
    size = np.array([whole.width / whole.height, 1.0])
    points = np.where((whole.hand_scores > 0)[..., None], whole.hands * size, np.nan)
    second = np.abs(np.diff(points, 2, axis=0))
    second = second[np.isfinite(second)]
    return float(np.quantile(second, 0.99)) if second.size else float("nan")


def diversity(pose: HandPose, frames: int = 24) -> float:
    """Mean distance, in heights, between the hands of stretches of so many frames: 0 for a pose that repeats itself."""
    size = np.array([pose.width / pose.height, 1.0])
    count = len(pose) // frames
    if count < 2:
        return 0.0
    parts = (pose.whole_canvas().hands * size)[: count * frames].reshape(count, frames, -1)
    apart = np.abs(parts[:, None] - parts[None]).mean((2, 3))
    return float(apart.sum() / (count * (count - 1)))


def accents_of(waveform: np.ndarray, fps: float, rate: int = 16_000) -> np.ndarray:
    """Frames (n,) of strong onsets of a mono waveform, by librosa; ImportError where it is not installed."""
    import librosa

    hop = rate // 100
    strength = librosa.onset.onset_strength(y=np.asarray(waveform, np.float32), sr=rate, hop_length=hop)
    onsets = librosa.onset.onset_detect(onset_envelope=strength, sr=rate, hop_length=hop)
    strong = onsets[strength[onsets] > np.median(strength[onsets])] if len(onsets) else onsets
    return strong / 100 * fps


def pause_and_speech(pace: np.ndarray, speech: np.ndarray, fps: float) -> tuple[float, float]:
    """Mean speed in pauses longer than LONG_PAUSE, NaN if there are none, and in speech."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], speech.astype(int), [1]])))
    long = np.zeros(len(pace), dtype=bool)
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first > LONG_PAUSE * fps:
            long[first:end] = True
    if not long.any() or not speech.any():
        return float("nan"), 1.0
    return float(pace[long].mean()), max(float(pace[speech].mean()), 1e-9)
