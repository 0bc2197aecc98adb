"""Shaded characters: a seed draws the same one again, every style differs, and their hands are found."""

from pathlib import Path

import numpy as np
import pytest
import torch

if not (Path(__file__).resolve().parents[3] / "drawn_world").is_dir():
    pytest.skip("the drawn world is left out of this copy", allow_module_level=True)
pytest.importorskip("cv2")

from drawn_world.shaded import LOOKS, make_clip
from drawn_world.speech import Phoneme, Speech
from echomimic_core.config import AUDIO_SAMPLE_RATE
from echomimic_core.landmarks import find_hands

SIZE = 256


def drawn(seed: int, look: str = "shaded"):
    sound = np.zeros(AUDIO_SAMPLE_RATE, np.float32)
    speech = Speech(sound, (Phoneme("a", 0.0, 0.5), Phoneme("m", 0.5, 1.0)))
    clip = make_clip(seed, speech, 2, gesture="open_hands", look=look)
    return clip, next(clip.frames(SIZE))


def test_a_seed_draws_the_same_person_again():
    assert np.array_equal(drawn(1)[1], drawn(1)[1])
    assert not np.array_equal(drawn(1)[1], drawn(2)[1])


def test_every_style_is_another_picture():
    pictures = [drawn(1, look)[1].astype(int) for look in LOOKS]
    assert all(np.abs(a - b).mean() > 1 for i, a in enumerate(pictures) for b in pictures[:i])


def test_hands_are_found_where_they_were_drawn():
    """On most of eight people, within a quarter of their size."""
    found = 0
    for seed in range(8):
        clip, picture = drawn(seed)
        (hands,) = find_hands(torch.from_numpy(picture.copy())[None], limit=2)
        for true in clip.pose.hands[0] * SIZE:
            size = np.linalg.norm(np.ptp(true, axis=0))
            found += any(np.linalg.norm(hand.points - true, axis=1).mean() < size / 4 for hand in hands)
    assert found >= 12
