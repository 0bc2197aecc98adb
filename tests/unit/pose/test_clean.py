"""Raw detections become a steady pose: gaps healed, rates changed by time, false finds dropped, all of it reported."""

import numpy as np
import pytest
from poses import random_pose

from echomimic_core.evaluation.metrics import hands
from echomimic_core.pose import clean, detect, gestures


def line(frames=20, fps=24.0):
    """One point on a straight way at even speed: times, points (F, 1, 2), scores (F, 1)."""
    times = np.arange(frames) / fps
    return times, np.stack([0.1 + 0.3 * times, 0.8 - 0.2 * times], axis=-1)[:, None], np.ones((frames, 1))


def detections(frames=20, fps=24.0, width=768, height=768):
    times, points, _ = line(frames, fps)
    rng = np.random.default_rng(0)
    shape = rng.uniform(-0.05, 0.05, (2, 21, 2))
    hands = points[:, None] + shape + np.array([0.0, 0.3])[:, None, None] * [1, 0]
    return detect.Detections(
        times,
        hands,
        np.full((frames, 2, 21), 0.9),
        np.repeat(points, 18, axis=1),
        np.ones((frames, 18)),
        np.repeat(points, 68, axis=1),
        np.ones((frames, 68)),
        width,
        height,
    )


def test_short_gaps_are_filled_along_the_way():
    times, points, scores = line()
    holed, hole_scores = points.copy(), scores.copy()
    for frame in (5, 6, 7, 12):
        holed[frame], hole_scores[frame] = 0, 0
    healed, healed_scores = clean.heal(times, holed, hole_scores, 0.25, "empty")
    np.testing.assert_allclose(healed, points, atol=1e-12)
    np.testing.assert_array_equal(healed_scores, scores)


@pytest.mark.parametrize("long_gaps", clean.LONG_GAPS)
def test_long_gaps_are_held_or_left_empty(long_gaps):
    times, points, scores = line()
    points[4:16], scores[4:16] = 0, 0
    points[:2], scores[:2] = 0, 0
    points[19:], scores[19:] = 0, 0
    healed, healed_scores = clean.heal(times, points, scores, 0.25, long_gaps)
    if long_gaps == "empty":
        np.testing.assert_array_equal(healed, points)
        np.testing.assert_array_equal(healed_scores, scores)
    else:
        assert (healed_scores == 1).all()
        for frame, source in {0: 2, 1: 2, 4: 3, 9: 3, 10: 16, 15: 16, 19: 18}.items():
            np.testing.assert_array_equal(healed[frame], points[source])


def test_the_limit_of_a_short_gap_is_the_time_without_detection():
    times, points, scores = line()
    scores[5:11] = 0  # Six frames: a quarter of a second
    assert (clean.heal(times, points * scores[..., None], scores, 0.25, "empty")[1] == 1).all()
    assert (clean.heal(times, points * scores[..., None], scores, 0.24, "empty")[1][5:11] == 0).all()


def test_a_clip_without_finds_stays_empty():
    times, points, scores = line()
    healed, healed_scores = clean.heal(times, points * 0, scores * 0, 1.0, "hold")
    assert not healed.any() and not healed_scores.any()


@pytest.mark.parametrize("fps, new_fps", [(30.0, 24.0), (24.0, 60.0), (23.976, 25.0), (12.0, 24.0)])
def test_resampling_keeps_the_time(fps, new_fps):
    times, points, scores = line(int(fps * 2), fps)
    new_times = np.arange(int(1.5 * new_fps)) / new_fps
    moved, moved_scores = clean.resample(times, points, scores, new_times)
    np.testing.assert_allclose(moved[:, 0, 0], 0.1 + 0.3 * new_times, atol=1e-12)
    np.testing.assert_allclose(moved_scores, 1)


def test_resampling_does_not_draw_points_from_the_corner():
    times, points, scores = line()
    points[10:], scores[10:] = 0, 0
    moved, moved_scores = clean.resample(times, points, scores, np.arange(35) / 48)
    assert set(moved_scores.ravel()) == {0.0, 1.0}
    assert (moved[moved_scores > 0] >= 0.1).all() and not moved[moved_scores == 0].any()


def test_uneven_times_are_respected():
    found = detections(30)
    found.times[15:] += 1.0  # A video that stands still for a second
    pose = detect.steady(found, fps=24.0, smoothing=0, max_gap=2)
    assert len(pose) == 54
    np.testing.assert_allclose(pose.hands[-1], found.hands[-1], atol=1e-12)


def test_a_hand_that_jumps_away_for_one_frame_is_a_false_find():
    found = detections()
    found.hands[8, 0] += 0.4
    kept = clean.drop_spikes(found.times, found.hands, found.hand_scores)
    assert (kept[8, 0] == 0).all() and (kept > 0).sum() == kept.size - 21
    pose = detect.steady(found, smoothing=0)
    np.testing.assert_allclose(pose.hands, detections().hands, atol=1e-9)


@pytest.mark.parametrize("false, missing", (((8,), (9, 10)), ((8,), (6, 7, 9)), ((8, 9), ()), ((8, 10), (9,))))
def test_false_finds_are_told_from_a_gap_beside_them(false, missing):
    """Blurred frames hide the hand in one frame and show it in a wrong place in the next."""
    found = detections(30)
    size = np.linalg.norm(np.ptp(found.hands[0, 1], axis=0))
    found.hands[list(false), 1] += [0, size]
    found.hand_scores[list(missing), 1] = 0
    kept = clean.drop_spikes(found.times, found.hands, found.hand_scores)
    gone = sorted({*false, *missing})
    assert (kept[gone, 1] == 0).all() and (kept > 0).sum() == kept.size - 21 * len(gone)
    np.testing.assert_allclose(detect.steady(found, smoothing=0).hands, detections(30).hands, atol=1e-9)


@pytest.mark.parametrize("fps", (24, 30, 60))
@pytest.mark.parametrize("hertz, way", ((2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5)))
def test_a_shaken_hand_is_kept(hertz, way, fps):
    found = detections(240, fps)
    size = np.linalg.norm(np.ptp(found.hands[0, 1], axis=0))
    found.hands[:, 1] += (way * size * np.sin(2 * np.pi * hertz * found.times + 0.3))[:, None, None] * [1, 0]
    kept = clean.drop_spikes(found.times, found.hands, found.hand_scores)
    np.testing.assert_array_equal(kept, found.hand_scores)


@pytest.mark.parametrize("hertz, way", ((2, 1.0), (4, 0.5)))
def test_a_hand_that_is_shaken_once_or_twice_is_kept(hertz, way):
    """For a third of a second, in which nothing but the steps before and after tells it from a false find."""
    found = detections(48)
    size = np.linalg.norm(np.ptp(found.hands[0, 1], axis=0))
    middle = found.times[-1] / 2
    shaken = (found.times > middle) & (found.times < middle + 0.35)
    away = np.where(shaken, way * size * np.sin(2 * np.pi * hertz * found.times + 0.3), 0.0)
    found.hands[:, 1] += away[:, None, None] * [1, 0]
    kept = clean.drop_spikes(found.times, found.hands, found.hand_scores)
    np.testing.assert_array_equal(kept, found.hand_scores)


@pytest.mark.parametrize("name", gestures.names())
def test_no_frame_of_a_gesture_is_a_false_find(name):
    pose = gestures.clip(name, 240, energy=1.5)
    kept = clean.drop_spikes(np.arange(240) / pose.fps, pose.hands, pose.hand_scores)
    np.testing.assert_array_equal(kept, pose.hand_scores)


def test_a_hand_that_really_moves_fast_is_kept():
    found = detections()
    found.hands[8:, 0] += 0.4
    np.testing.assert_array_equal(clean.drop_spikes(found.times, found.hands, found.hand_scores), found.hand_scores)


def test_smoothing_does_not_lag():
    times, points, scores = line(60)
    np.testing.assert_allclose(clean.smooth(points, scores, 24.0, 0.5)[10:-10], points[10:-10], atol=1e-3)


def test_smoothing_starts_anew_behind_a_gap():
    _, points, scores = line(40)
    points[20:] += 0.5
    scores[18:20] = 0
    smooth = clean.smooth(points, scores, 24.0, 1.0)
    np.testing.assert_allclose(smooth[20:], points[20:], atol=0.02)
    np.testing.assert_array_equal(smooth[18:20], points[18:20])


def test_report_counts_what_was_found():
    found = detections(20)
    found.hand_scores[:5, 0] = 0
    found.hand_scores[:, 1] = 0
    report = clean.make_report(found.times, found.hand_scores)
    assert report.frames == 20 and report.found == (0.75, 0.0)
    np.testing.assert_allclose(report.longest_gap, (5 / 24, 20 / 24))
    # The left hand's 0.9 in three of four frames, nothing of the right one.
    np.testing.assert_allclose(report.confidence, 0.9 * 0.75 / 2)
    assert "right hand was never found" in str(report) and "left hand is missing in 25%" in str(report)


def test_the_reports_confidence_is_the_evaluations_hkc():
    pose = random_pose(30)
    pose.hand_scores[:7, 0], pose.hand_scores[20:, 1], pose.hand_scores[10, 0] = 0, 0, 1.4
    report = clean.make_report(np.arange(30) / 24, pose.hand_scores)
    assert report.confidence == hands.hkc(pose)
    assert report.confidence <= 1


def test_steadying_a_still_picture_gives_one_frame():
    pose = detect.steady(detections(1))
    assert len(pose) == 1
    np.testing.assert_allclose(pose.hands, detections(1).hands)


def test_nobody_found_is_a_pose_without_anything():
    found = detections(10)
    for scores in (found.hand_scores, found.body_scores, found.face_scores):
        scores[:] = 0
    pose = detect.steady(found)
    assert not pose.hand_scores.any() and pose.bodies is None and pose.faces is None
