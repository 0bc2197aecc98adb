"""A pose on another body, against the truth: the same joint angles in three dimensions on that body's bones."""

import numpy as np
import pytest

from benchmarks.retarget import (
    FRAMES,
    USUAL,
    at_frame,
    away,
    bodies,
    errors,
    moving,
    on_bones,
    pictures_of_bent_arms,
    standing,
    then,
)
from echomimic_core.pose import align, gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.retarget import MODES, NO_BODY, SHORT_ARM, merged_fingers, retarget

MEDIAN, TAIL = 0.015, 0.03


@pytest.mark.parametrize("gesture", ["explaining", "waving", "open_hands", "counting", "hands_folded"])
def test_hands_are_where_the_same_angles_put_them_on_other_bones(gesture):
    pairs = [errors(standing(sizes), moving(gesture, USUAL), moving(gesture, sizes)) for sizes in bodies(8)]
    found, before = map(np.concatenate, zip(*pairs, strict=True))
    assert np.median(found) < MEDIAN < np.median(before)
    assert np.percentile(found, 95) < TAIL < np.percentile(before, 95)


def test_second_key_frame_with_straight_arms_tells_the_lengths_that_bent_arms_hide():
    pairs = pictures_of_bent_arms(bodies(4), more=True)
    told, before = map(np.concatenate, zip(*pairs, strict=True))
    assert np.median(told) < MEDIAN < np.median(before)
    assert np.percentile(told, 95) < TAIL < np.percentile(before, 95)


def test_bent_arms_that_are_long_or_short_as_a_whole_need_no_second_key_frame():
    people = [(1, size, size, size) for size in (0.7, 1.4)]
    found = np.concatenate([errors for errors, _ in pictures_of_bent_arms(people)])
    assert np.median(found) < MEDIAN and np.percentile(found, 95) < TAIL


def test_one_picture_of_two_bodies_does_not_tell_them_apart_and_that_is_said():
    hands, arms = gestures.skeleton("explaining", FRAMES)
    forearm = arms[:1, :, 2] - arms[:1, :, 1]
    # The same forearm in the picture, but so much shorter and less towards the viewer.
    short, shorter = 0.7, forearm.copy()
    across = np.linalg.norm(forearm[..., :2], axis=-1)
    shorter[..., 2] = np.sqrt((short * np.linalg.norm(forearm, axis=-1)) ** 2 - across**2)
    change = shorter - forearm
    moved = arms[:1].copy()
    moved[:, :, 2] += change
    other = (1, 1, short, 1)
    first = on_bones(hands[:1], arms[:1], USUAL)
    second = on_bones(hands[:1] + change[:, :, None], moved, USUAL)
    assert np.percentile(away(first, second), 95) < TAIL
    driving = gestures.clip("waving", FRAMES)
    made = [retarget(person, driving, "five fingers") for person in (first, second)]
    truths = [moving("waving", sizes) for sizes in (USUAL, other)]
    assert np.percentile(away(*made), 95) < TAIL
    assert np.percentile(away(*truths), 95) > 2 * TAIL
    for person in (first, second):
        assert SHORT_ARM in align.align(person, driving, retargeting=MODES[1]).after.reasons


def test_key_frames_after_the_first_leave_the_framing_alone():
    person, driving = at_frame("explaining", 10, USUAL), gestures.clip("waving", 8)
    alone, more = (
        align.align(one, driving, framing="original", retargeting=MODES[1])
        for one in (person, then(person, standing(USUAL)))
    )
    assert np.array_equal(alone.matrix, more.matrix)


def test_pose_on_its_own_body_stays_where_it_is():
    driving = moving("waving", USUAL)
    assert np.percentile(away(retarget(standing(USUAL), driving, "five fingers"), driving), 95) < 0.015


def test_four_fingers_merge_ring_and_little_finger():
    pose = gestures.clip("waving", 4)
    merged = merged_fingers(pose)
    assert np.array_equal(merged.hands[:, :, 13:17], merged.hands[:, :, 17:21])
    assert np.array_equal(merged.hands[:, :, :13], pose.hands[:, :, :13])
    aligned = align.align(standing(USUAL), pose, retargeting="four fingers").pose
    np.testing.assert_allclose(aligned.hands[:, :, 13:17], aligned.hands[:, :, 17:21])


def test_pose_without_a_body_is_fitted_as_before_and_says_so():
    driving, person = gestures.clip("waving", 8), standing(USUAL)
    only_hands = HandPose(driving.hands, driving.hand_scores)
    plain, tried = (align.align(person, only_hands, retargeting=mode) for mode in MODES[:2])
    assert np.array_equal(plain.pose.hands, tried.pose.hands)
    assert NO_BODY in tried.after.reasons and NO_BODY not in plain.after.reasons


def test_arm_that_may_point_at_the_viewer_is_said_to_be_a_guess():
    driving = gestures.clip("waving", 8)
    assert SHORT_ARM in align.align(gestures.clip("hands_folded", 1), driving, retargeting=MODES[1]).after.reasons
    assert SHORT_ARM not in align.align(standing(USUAL), driving, retargeting=MODES[1]).after.reasons


def test_large_head_is_framed_by_the_shoulders():
    chibi, driving = standing((0.5, 0.35, 0.3, 0.4)), gestures.clip("waving", 8)
    by_rule, by_shoulders = (align.align(chibi, driving, framing="original", retargeting=mode) for mode in MODES[:2])
    width = np.linalg.norm(np.diff(by_shoulders.person.bodies[0, [2, 5]], axis=0))
    assert by_shoulders.matrix[0, 0] < by_rule.matrix[0, 0]
    assert (by_shoulders.person.faces > 0).all() and width < 0.4


def test_unknown_mode_lists_the_modes():
    with pytest.raises(ValueError, match="six fingers.*five fingers"):
        align.align(standing(USUAL), gestures.clip("waving", 8), retargeting="six fingers")
