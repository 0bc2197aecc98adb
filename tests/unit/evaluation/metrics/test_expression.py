"""The mouth in pauses, and flicker of what stands still."""

import numpy as np
import pytest

from echomimic_core.evaluation.metrics import steadiness
from echomimic_core.evaluation.metrics.expression import closed_in_silence

FPS = 25.0


def speech(pause: int = 20) -> np.ndarray:
    """Loudness of half a second of speech, a pause of so many frames, and speech again."""
    return np.concatenate([np.full(12, -20.0), np.full(pause, -60.0), np.full(12, -22.0)])


def test_a_mouth_that_closes_in_the_pause_is_closed_and_one_that_does_not_is_open():
    loudness = speech()
    mouth = np.where(loudness < -50, 0.01, 0.12)
    assert closed_in_silence(mouth, loudness, FPS) == 1
    assert closed_in_silence(np.full_like(mouth, 0.12), loudness, FPS) == 0
    # The edges do not count: a mouth closes late and opens early. Of the 16 frames between, 4 are open here.
    mouth[[12, 13, 30, 31]] = 0.12
    assert closed_in_silence(mouth, loudness, FPS) == 1
    mouth[14:18] = 0.12
    assert closed_in_silence(mouth, loudness, FPS) == pytest.approx(12 / 16)
    mouth[14:18] = np.nan
    assert closed_in_silence(mouth, loudness, FPS) == 1


@pytest.mark.parametrize("loudness", [speech(5), np.full(40, -20.0)])
def test_speech_without_a_pause_is_a_sentence(loudness):
    with pytest.raises(ValueError, match="there is no pause of 0.3 s"):
        closed_in_silence(np.zeros(len(loudness)), loudness, FPS)


def changes(pictures: np.ndarray) -> np.ndarray:
    small = [steadiness.small_grey(picture) for picture in pictures]
    return np.stack([steadiness.change_by_block(a, b) for a, b in zip(small, small[1:], strict=False)])


def test_flicker_is_that_of_what_stands_still_not_of_what_moves():
    still = np.full((12, 256, 256, 3), 100, np.uint8)
    moving = still.copy()
    moving[:, :100] = np.random.default_rng(0).integers(0, 255, (12, 100, 256, 3))
    assert steadiness.flicker(changes(moving))[0] == 0
    flickering = moving.copy()
    flickering[1::2, 100:] += 6
    value, curve = steadiness.flicker(changes(flickering))
    assert value == pytest.approx(6, abs=0.01)
    assert len(curve) == 12 and np.isnan(curve[0]) and np.allclose(curve[1:], 6, atol=0.01)


def test_flicker_does_not_depend_on_the_size_of_the_picture():
    pictures = np.full((3, 64, 96, 3), 90, np.uint8)
    pictures[1] += 4
    for scale in (1, 4, 8):
        large = pictures.repeat(scale, 1).repeat(scale, 2)
        assert steadiness.flicker(changes(large))[0] == pytest.approx(4, abs=0.01)
