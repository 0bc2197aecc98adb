"""Beats: strokes on accents score, the same motion shifted does not; stillness, leads and pauses are what they are."""

from dataclasses import replace

import numpy as np
import pytest

from echomimic_core.measures import beats
from echomimic_core.pose import HandPose

FPS, FRAMES = 24.0, 480
ACCENTS = np.cumsum(np.tile([17, 26, 21, 33], 5))[:18]


def hands(offset: float = 0.0, tremble: float = 0.0) -> HandPose:
    """Both hands step by a tenth of the height at each accent, `offset` frames later."""
    t = np.arange(FRAMES)[:, None]
    steps = 1 / (1 + np.exp(-(t - ACCENTS[None] - offset) * 1.6))
    height = 0.1 * (steps * np.where(np.arange(len(ACCENTS)) % 2, 1, -1)).sum(1)
    points = np.full((FRAMES, 2, 21, 2), 0.5)
    points[..., 1] += height[:, None, None]
    points += tremble * np.random.default_rng(0).standard_normal(points.shape)
    return HandPose(points, np.ones((FRAMES, 2, 21)), fps=FPS)


def loudness(lead: int = 0) -> np.ndarray:
    t = np.arange(FRAMES)[:, None]
    return 0.05 + 0.9 * np.exp(-(((t - ACCENTS[None] - lead) / 4.0) ** 2)).max(1)


def measured(pose: HandPose, speech=None, **of_voice) -> beats.Beats:
    speech = np.ones(FRAMES, bool) if speech is None else speech
    return beats.measure(pose, ACCENTS.astype(float), loudness(**of_voice), speech)


def test_strokes_on_accents_score_far_above_the_same_motion_shifted():
    found = measured(hands())
    assert found.f > 0.95 and found.above_chance > 3


def test_strokes_beside_accents_score_as_chance_does():
    assert measured(hands(offset=8)).f < 0.2


def test_the_lead_of_the_hands_is_found():
    found = measured(hands(), lead=5)
    assert found.lead == pytest.approx(5, abs=1) and found.correlation > 0.7


def test_hands_between_strokes_are_still():
    assert measured(hands()).still > 0.5


def test_trembling_is_jitter():
    assert measured(hands(tremble=0.01)).jitter > 3 * measured(hands()).jitter


def test_a_hand_in_one_frame_alone_has_no_jitter():
    pose = hands()
    shown = np.zeros_like(pose.hand_scores)
    shown[5] = 1.0
    assert np.isnan(beats.jitter(replace(pose, hand_scores=shown)))


def test_moving_in_a_long_pause_is_seen():
    speech = np.ones(FRAMES, bool)
    speech[200:300] = False
    pose = hands()
    assert measured(pose, speech).pause > 0.5
    quiet = pose.hands.copy()
    quiet[195:305] = quiet[195]
    assert measured(HandPose(quiet, pose.hand_scores, fps=FPS), speech).pause < 0.3


def test_hands_that_never_move_are_a_sentence():
    pose = HandPose(np.full((FRAMES, 2, 21, 2), 0.5), np.ones((FRAMES, 2, 21)), fps=FPS)
    with pytest.raises(ValueError, match="never change"):
        measured(pose)


def test_a_short_clip_is_a_sentence():
    with pytest.raises(ValueError, match="too few"):
        beats.measure(hands().take(np.arange(20)), ACCENTS, loudness(), np.ones(FRAMES, bool))


def test_a_loop_is_less_diverse_than_a_walk():
    pose = hands()
    loop = pose.take(np.arange(FRAMES) % 24)
    assert beats.diversity(loop) < 1e-9 < beats.diversity(pose)


def test_beat_alignment_is_one_on_accents_and_less_beside_them():
    pace = np.ones(100)
    pace[[20, 60]] = 0.1
    assert beats.beat_alignment(pace, np.array([20.0, 60.0]), FPS) == pytest.approx(1)
    assert beats.beat_alignment(pace, np.array([32.0, 72.0]), FPS) == pytest.approx(np.exp(-(0.5**2) / 0.18))
    assert beats.beat_alignment(np.ones(100), np.array([3.0]), FPS) == 0


def test_loudness_is_the_root_mean_square_of_each_frame():
    waveform = np.concatenate([np.zeros(8000), 0.5 * np.ones(8000)])
    loudness = beats.loudness_of(waveform, 30, FPS)
    assert (loudness[:11] == 0).all() and loudness[13:24] == pytest.approx(1) and (loudness[25:] == 0).all()


def test_librosa_hears_clicks_where_they_are():
    pytest.importorskip("librosa")
    waveform = np.zeros(16_000 * 4, np.float32)
    for at in (0.5, 1.25, 2.0, 3.1):
        waveform[round(at * 16_000) : round(at * 16_000) + 400] = np.hanning(400) * np.sin(np.arange(400))
    found = beats.accents_of(waveform, FPS)
    assert len(found) and all(min(abs(at * FPS - f) for f in found) < 2 for at in (1.25, 2.0))
