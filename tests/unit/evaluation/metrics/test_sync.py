"""Lip sync: the sound as SyncNet hears it, and known shifts found exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from echomimic_core.evaluation import faces
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.extractors.lips import Sync
from echomimic_core.evaluation.faces import Face, sync_crop
from echomimic_core.evaluation.metrics.registry import choose
from echomimic_core.evaluation.metrics.sync import embed_lips, embed_sound, mfcc, sound_windows, sync_score
from echomimic_core.evaluation.settings import Settings
from tests.unit.evaluation_clips import Listener, noisy, small_networks, spoken, write

# Of python_speech_features 0.6 on a chirp, at the first, a middle and the last step.
CHIRP_MFCC = {
    0: [20.3825, 25.4775, 6.6152, -12.8006, -27.1581, -31.5244, -24.8478, -13.9312, -3.9265, 0.5137, 0.4194]
    + [-2.6475, -4.9342],
    11: [23.5963, -3.9458, -38.732, 20.8671, 26.3914, -30.6263, -12.8834, 32.1991, 0.2864, -25.6518, 8.4891]
    + [15.4125, -10.6832],
    23: [24.4696, -23.6724, -1.1545, 20.7355, -36.5076, 32.0911, -13.5078, -11.5117, 26.6934, -30.1787, 14.8964]
    + [1.2107, -17.2648],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folders=(small_networks(tmp_path / "networks"),), mediapipe=(), sync_crop="whole")


def embeddings(pictures: np.ndarray, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    network = Listener()
    crops = np.lib.stride_tricks.sliding_window_view(pictures, 5, 0).transpose(0, 4, 1, 2, 3)
    return embed_lips(network, crops), embed_sound(network, sound_windows(sound, len(crops)))


def test_mfcc_is_that_of_the_public_package():
    time = np.arange(4000) / 16000
    chirp = np.round(0.5 * np.sin(2 * np.pi * (200 * time + 8000 * time**2)) * 32768) / 32768
    found = mfcc(chirp)
    assert found.shape == (13, 24)
    for step, expected in CHIRP_MFCC.items():
        np.testing.assert_allclose(found[:, step], expected, atol=1e-3)


def test_long_sounds_are_heard_as_short_ones():
    sound = np.random.default_rng(0).normal(0, 0.1, 16000 * 65).astype(np.float32)
    found = mfcc(sound)
    # Around the seam of the pieces in which a long sound is taken.
    start = 5990
    np.testing.assert_allclose(found[:, start + 1 : start + 20], mfcc(sound[start * 160 :])[:, 1:20], atol=1e-9)


@pytest.mark.parametrize("samples", [0, 100, 400, 401])
def test_the_shortest_sounds_have_a_step(samples):
    assert mfcc(np.zeros(samples) + 0.1).shape[1] == (2 if samples > 400 else 1)


@pytest.mark.parametrize("shift", [-12, -3, 0, 1, 7, 14])
def test_a_known_shift_is_found_exactly(shift):
    score = sync_score(*embeddings(*spoken(100, shift)))
    assert score.offset == -shift
    assert score.confidence > 0.3


def test_perfect_sync_has_no_distance_and_full_confidence():
    embedded = np.random.default_rng(0).normal(size=(60, 16))
    score = sync_score(embedded, embedded)
    assert score.distance == pytest.approx(1e-6 * 4, rel=1e-3)  # The epsilon of the public evaluation
    assert score.offset == 0 and score.confidence > 4


def test_distance_is_the_mean_of_l2_and_confidence_median_minus_minimum():
    lips, sound = np.random.default_rng(1).normal(size=(2, 30, 4))
    padded = np.concatenate([np.zeros((15, 4)), sound, np.zeros((15, 4))])
    means = [
        torch.nn.functional.pairwise_distance(torch.tensor(lips), torch.tensor(padded[s : s + 30])).mean().item()
        for s in range(31)
    ]
    score = sync_score(lips, sound)
    assert score.distance == pytest.approx(min(means))
    assert score.confidence == pytest.approx(np.median(means) - min(means))
    assert score.offset == 15 - int(np.argmin(means))


def test_windows_without_a_face_are_left_out():
    lips, sound = embeddings(*spoken(100, 4))
    seen = np.ones(len(lips), bool)
    seen[20:40] = False
    spoiled = lips.copy()
    spoiled[20:40] = 99
    score = sync_score(spoiled, sound, seen)
    assert score.offset == -4 and score.windows == seen[: len(sound)].sum()


def test_more_noise_scores_worse():
    pictures, sound = spoken(100)
    scores = [sync_score(*embeddings(pictures, sound + noise)) for noise in loudening_noise(len(sound))]
    distances = [score.distance for score in scores]
    confidences = [score.confidence for score in scores]
    assert distances == sorted(distances) and confidences == sorted(confidences, reverse=True)


def loudening_noise(samples: int):
    noise = np.random.default_rng(2).normal(size=samples).astype(np.float32)
    return [strength * noise for strength in (0, 0.03, 0.1, 1.0)]


@pytest.mark.parametrize("shift", [-5, 0, 6])
def test_a_known_shift_is_found_in_a_video_file(tmp_path, settings, shift):
    pictures, sound = spoken(90, shift)
    path = write(tmp_path / "talk.mp4", pictures, sound, fps=25)
    found = evaluate([Clip("talk", "video", path)], metrics=choose(["sync"]), settings=settings)
    assert found.value("sync-c") > 0.2
    remarks = " ".join(found.clips[0].remarks)
    if shift:
        assert f"({abs(shift)} frames at 25 fps)" in remarks and ("late" if shift < 0 else "early") in remarks
    else:
        assert "frames at 25 fps" not in remarks


@pytest.mark.parametrize("fps", [24, 30, 50])
def test_other_frame_rates_are_brought_to_25(tmp_path, settings, fps):
    pictures, sound = spoken(100)
    # What a camera sees in the middle of each frame's time.
    index = ((np.arange(4 * fps) + 0.5) / fps * 25).astype(int)
    path = write(tmp_path / "talk.mp4", pictures[index], sound, fps=fps)
    found = evaluate([Clip("talk", "video", path)], metrics=choose(["sync"]), settings=settings)
    assert found.value("sync-c") > 0.15 and not found.clips[0].remarks


def test_a_late_start_of_the_picture_is_no_shift(settings):
    pictures, sound = spoken(100)
    clip = Clip("talk", "video", pictures=pictures, rate=25.0, sound=(sound, 16000))
    with Sync(clip, 25.0, settings) as extractor:
        for index in range(20, 100):
            extractor.frame(index / 25, pictures[index], None)
        found = extractor.finish()
    assert found["offset"] == 0


def face_at(x: float, y: float, size: float) -> Face:
    corners = np.array([[x - size / 2, y - size / 2], [x + size / 2, y + size / 2]])
    return Face(np.concatenate([corners, np.full((466, 2), (x, y))]))


def test_the_crop_follows_the_face_and_a_lost_face_keeps_its_place(settings):
    face_settings = Settings(folders=settings.folders, mediapipe=())
    pictures, sound = spoken(100, 3, size=96)
    clip = Clip("talk", "video", pictures=pictures, rate=25.0, sound=(sound, 16000))
    with Sync(clip, 25.0, face_settings) as extractor:
        for index, picture in enumerate(pictures):
            face = None if 30 <= index < 45 else face_at(48 + index % 3, 40, 24)
            extractor.frame(index / 25, picture, face)
        found = extractor.finish()
    assert found["seen"].all()
    assert found["offset"] == -3


def test_a_face_lost_for_long_is_not_guessed(settings):
    face_settings = Settings(folders=settings.folders, mediapipe=())
    pictures, sound = spoken(100, size=96)
    clip = Clip("talk", "video", pictures=pictures, rate=25.0, sound=(sound, 16000))
    with Sync(clip, 25.0, face_settings) as extractor:
        for index, picture in enumerate(pictures):
            extractor.frame(index / 25, picture, None if index >= 40 else face_at(48, 40, 24))
        found = extractor.finish()
    # Held for 25 frames, and a window has five.
    assert np.flatnonzero(~found["seen"])[0] == 40 + 25 - 4


def test_public_edges_are_the_median_filter_of_the_public_pipeline_and_one_window_fewer(settings, monkeypatch):
    signal = pytest.importorskip("scipy.signal")
    pictures, sound = spoken(40, size=96)
    clip = Clip("talk", "video", pictures=pictures, rate=25.0, sound=(np.pad(sound, (0, 8000)), 16000))
    boxes = np.random.default_rng(0).normal((48, 40, 24), 3, (40, 3))
    cut, windows, seen = {}, {}, []
    monkeypatch.setattr(faces, "sync_crop", lambda picture, *box: seen.append(box) or sync_crop(picture, *box))
    for edges in ("even", "public"):
        seen = cut[edges] = []
        with Sync(clip, 25.0, Settings(folders=settings.folders, mediapipe=(), edges=edges)) as extractor:
            for index, picture in enumerate(pictures):
                extractor.frame(index / 25, picture, face_at(*boxes[index]))
            windows[edges] = extractor.finish()["windows"]
    x, y, size = boxes.T
    expected = np.stack([signal.medfilt(values, 13) for values in (x, y, size / 2)], 1)
    np.testing.assert_allclose(cut["public"], expected)
    np.testing.assert_allclose(cut["even"][6:-6], expected[6:-6])
    assert np.abs(np.array(cut["even"]) - expected).max() > 1
    assert windows == {"even": 36, "public": 35}


def test_the_mouth_crop_has_syncnets_margins():
    """0.4 of half the face to the left and right, 0.8 below, nothing above: its corners tell their place."""
    rows, columns = np.mgrid[:200, :200].astype(np.uint8)
    crop = sync_crop(np.stack([rows, columns, np.zeros_like(rows)], -1), 100, 80, 20)
    assert crop.shape == (224, 224, 3)
    assert crop[0, 0, :2].tolist() == [60, 72] and crop[-1, -1, :2].tolist() == [115, 127]
    outside = sync_crop(np.full((200, 200, 3), 255, np.uint8), 0, 80, 20)
    assert (outside[:, :100] == 110).all() and (outside[:, -100:] == 255).all()


def test_silence_instead_of_a_soundtrack_is_a_sentence(tmp_path, settings):
    pictures, _ = spoken(60)
    path = write(tmp_path / "mute.mp4", pictures, fps=25)
    found = evaluate([Clip("mute", "video", path)], metrics=choose(["sync-c"]), settings=settings)
    assert found.value("sync-c") is None
    assert "mute has no audio" in found.scores[0].reason


def test_a_clip_of_four_frames_is_a_sentence(tmp_path, settings):
    pictures, sound = spoken(4)
    path = write(tmp_path / "blink.mp4", noisy(pictures, 1), sound, fps=25)
    found = evaluate([Clip("blink", "video", path)], metrics=choose(["sync-c"]), settings=settings)
    assert "does not have 5 consecutive frames" in found.scores[0].reason
