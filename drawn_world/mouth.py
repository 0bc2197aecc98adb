"""From phonemes to mouth shapes: how far the mouth is open and how wide, a frame at a time."""

import numpy as np

from .speech import Phoneme

# (opening, width) of the mouth in 0..1 and about 0.6..1.15 for what a phoneme's IPA begins with; 1 wide is at rest.
_SHAPES = {
    (1.0, 1.0): "aɑæɐ",
    (0.8, 0.95): "ʌɔɒ",
    (0.65, 1.08): "ɛeɜəɚɤ",
    (0.6, 0.75): "oœøɵ",
    (0.4, 1.15): "iɪyɨ",
    (0.35, 0.62): "uʊwʉ",
    (0.22, 0.9): "rɹɾʁχxhlgkŋɡɫ",
    (0.18, 1.05): "tdnszθðjcʃʒɕʂʑç",
    (0.06, 0.95): "fv",
    (0.0, 1.0): "mpb",
}
SHAPES = {letter: shape for shape, letters in _SHAPES.items() for letter in letters}
CLOSED = (0.0, 1.0)
# A mouth moves for about this long towards and away from a sound, in seconds (standard deviation of the smoothing).
COARTICULATION = 0.035
STEPS_PER_SECOND = 240


def shape_of(phoneme: str) -> tuple[float, float]:
    """Opening and width of a phoneme; silence and what is unknown leave the mouth closed."""
    letters = [letter for letter in phoneme if letter in SHAPES]
    return SHAPES[letters[0]] if letters else CLOSED


def mouth_track(phonemes: tuple[Phoneme, ...], frames: int, fps: float, begin: float = 0.0) -> np.ndarray:
    """(frames, 2): opening and width at each frame, the first of which is at `begin` seconds of the speech."""
    edge = 4 * COARTICULATION
    times = begin - edge + np.arange(int((frames / fps + 2 * edge) * STEPS_PER_SECOND) + 1) / STEPS_PER_SECOND
    fine = np.tile(np.array(CLOSED), (len(times), 1))
    for phoneme in phonemes:
        first, last = np.searchsorted(times, (phoneme.begin, phoneme.end))
        letters = [letter for letter in phoneme.name if letter in SHAPES and SHAPES[letter][0] > 0.3]
        # A diphthong goes from its first vowel to its last
        shapes = [SHAPES[letters[0]], SHAPES[letters[-1]]] if len(letters) > 1 else [shape_of(phoneme.name)] * 2
        share = np.linspace(0, 1, last - first)[:, None]
        fine[first:last] = (1 - share) * shapes[0] + share * shapes[1]
    reach = int(edge * STEPS_PER_SECOND)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (COARTICULATION * STEPS_PER_SECOND)) ** 2)
    smooth = np.stack([np.convolve(column, kernel / kernel.sum(), "same") for column in fine.T], axis=1)
    where = ((np.arange(frames) / fps + edge) * STEPS_PER_SECOND).round().astype(int)
    return smooth[where]


def loudness_track(sound: np.ndarray, rate: int, frames: int, fps: float) -> np.ndarray:
    """(frames,): loudness of the voice in 0..1 around each frame, smoothed over a fifth of a second."""
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    middle = (np.arange(frames) + 0.5) / fps * rate
    low = np.clip(middle - 0.1 * rate, 0, len(sound)).astype(int)
    high = np.clip(middle + 0.1 * rate, 0, len(sound)).astype(int)
    level = np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1))
    return np.clip(level / 0.15, 0, 1)
