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
STILL = 0.2  # Of the 90th percentile of speed.
LONG_PAUSE = 1.0  # Seconds.


@dataclass(frozen=True)
class Beats:
    """What hands and a voice have to do with each other.

    Attributes
    ----------
    f : F-measure of strokes and accents within TOLERANCE frames. chance, spread : its mean and standard deviation over
        the same motion shifted in time.
    correlation, lead : Pearson correlation of hand speed with loudness at the best lead, and that lead in frames.
    still : share of frames in which the hands are still. pause : speed in long pauses over that in speech, or NaN.
    jitter : 99th percentile of the second difference of the points.
    """

    f: float
    chance: float
    spread: float
    correlation: float
    lead: int
    still: float
    pause: float
    jitter: float

    @property
    def above_chance(self) -> float:
        """How many standard deviations F lies above the shifted motion."""
        return (self.f - self.chance) / max(self.spread, 1e-6)


def measure(pose: HandPose, accents: np.ndarray, loudness: np.ndarray, speech: np.ndarray) -> Beats:
    """Measure hands against a voice.

    Parameters
    ----------
    accents : (n,) frames of accents, best by a detector that no planner of the hands used.
    loudness : (F,) of each frame, 0..1. speech : (F,) bool.

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
    found = strokes(pace)
    shifts = np.linspace(SHORTEST_SHIFT, frames - SHORTEST_SHIFT, SHIFTS).astype(int)
    by_chance = [f_measure((found + shift) % frames, accents) for shift in shifts]
    leads = [np.corrcoef(pace[: frames - lead], loud[lead:])[0, 1] for lead in range(MOST_LEAD + 1)]
    return Beats(
        f_measure(found, accents),
        float(np.mean(by_chance)),
        float(np.std(by_chance)),
        float(np.max(leads)),
        int(np.argmax(leads)),
        float((pace < STILL * np.quantile(pace, 0.9)).mean()),
        _pause(pace, speech[:frames], pose.fps),
        jitter(pose),
    )


def f_measure(strokes: np.ndarray, accents: np.ndarray) -> float:
    """F-measure of strokes and accents (frames) that lie within TOLERANCE frames of each other."""
    if not len(strokes) or not len(accents):
        return 0.0
    apart = np.abs(np.asarray(strokes)[:, None] - np.asarray(accents)[None])
    precision, recall = (apart.min(1) <= TOLERANCE).mean(), (apart.min(0) <= TOLERANCE).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def jitter(pose: HandPose) -> float:
    """99th percentile of the second difference of the hands' points, in heights per frame²; without absent points."""
    whole = pose.whole_canvas()
    size = np.array([whole.width / whole.height, 1.0])
    points = np.where((whole.hand_scores > 0)[..., None], whole.hands * size, np.nan)
    second = np.abs(np.diff(points, 2, axis=0))
    second = second[np.isfinite(second)]
    return float(np.quantile(second, 0.99)) if second.size else 0.0


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


def _pause(pace: np.ndarray, speech: np.ndarray, fps: float) -> float:
    edges = np.flatnonzero(np.diff(np.concatenate([[1], speech.astype(int), [1]])))
    long = np.zeros(len(pace), dtype=bool)
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first > LONG_PAUSE * fps:
            long[first:end] = True
    if not long.any() or not speech.any():
        return float("nan")
    return float(pace[long].mean() / max(pace[speech].mean(), 1e-9))
