"""A pose on another body, against the truth: the same joint angles in three dimensions on that body's bones."""

from dataclasses import replace

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
from echomimic_core.choices import RETARGET_MODES as MODES
from echomimic_core.pose import align, gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.measure import ARMS, SHOULDERS
from echomimic_core.pose.pad.fit import key_of_pose
from echomimic_core.pose.pad.points import pose
from echomimic_core.pose.pad.value import Pad
from echomimic_core.pose.retarget import NO_BODY, SHORT_ARM, merged_fingers, retarget
from echomimic_core.pose.track import present

MEDIAN, TAIL = 0.015, 0.03
# Whole arms of other lengths, and arms whose bones differ: shoulders, upper arm, forearm, hand.
ARMS_ALIKE = [(1, size, size, size) for size in (0.6, 0.8, 1.0, 1.4)]
ARMS_UNEVEN = [(1, 0.7, 1.3, 1), (1, 1.3, 0.7, 1), (0.9, 0.8, 1.1, 0.7)]


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
    made = [retarget(person, driving) for person in (first, second)]
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


@pytest.mark.parametrize("sizes", ARMS_ALIKE + ARMS_UNEVEN, ids=str)
@pytest.mark.parametrize("gesture", ["waving", "hands_folded"])
def test_pose_on_its_own_body_stays_where_it_is(sizes, gesture):
    person, own = standing(sizes), moving(gesture, sizes)
    assert away(retarget(person, own), own).max() < 0.002
    # As a driving video of the same person that is framed otherwise.
    if sizes in ARMS_ALIKE:
        moved = own.map_points(lambda points: 0.8 * points + 0.05)
        assert np.percentile(away(retarget(person, moved), own), 95) < TAIL


@pytest.mark.parametrize("sizes", [(1, 0.6, 0.6, 0.6), (1, 0.7, 1.3, 1)], ids=str)
def test_key_frames_on_their_own_picture_stay_where_they_are(sizes):
    person = standing(sizes)
    first, second = (key_of_pose(one)[0] for one in (person, at_frame("waving", 30, sizes)))
    pad = Pad(person.width, person.height, keys=(first, replace(second, time=1.0)))
    own = pose(pad)
    aligned = align.align(person, own, own.width, own.height, framing="keep", retargeting=MODES[1])
    assert away(aligned.pose, own).max() < 0.002


@pytest.mark.parametrize("framing", ["keep", "original"])
@pytest.mark.parametrize("sizes", [(1, 0.7, 0.7, 0.7), *ARMS_UNEVEN, *bodies(3)], ids=str)
def test_aligning_an_aligned_pose_changes_nothing(sizes, framing):
    once = align.align(standing(sizes), gestures.clip("explaining", FRAMES), framing=framing, retargeting=MODES[1])
    twice = align.align(once.person, once.pose, framing=framing, retargeting=MODES[1])
    assert away(twice.pose, once.pose).max() < 0.002


@pytest.mark.parametrize("driver", [(1, 0.6, 0.6, 0.6), (0.8, 0.56, 0.56, 0.56), (1, 1.4, 1.4, 1.4)], ids=str)
def test_driving_person_may_have_short_or_long_arms(driver):
    pairs = [errors(standing(sizes), moving("waving", driver), moving("waving", sizes)) for sizes in bodies(4)]
    found, before = map(np.concatenate, zip(*pairs, strict=True))
    assert np.median(found) < MEDIAN < np.median(before)
    assert np.percentile(found, 95) < TAIL < np.percentile(before, 95)


@pytest.mark.parametrize("lost", [slice(10, 14), slice(0, 4), slice(44, FRAMES)], ids=str)
@pytest.mark.parametrize("joint", ["shoulder", "elbow", "wrist"])
def test_hand_goes_on_while_a_joint_of_its_arm_is_not_seen(joint, lost):
    person, driving = standing((1, 0.7, 0.7, 0.7)), gestures.clip("waving", FRAMES)
    whole, scores = retarget(person, driving), driving.body_scores.copy()
    points = driving.bodies.copy()
    column = ["shoulder", "elbow", "wrist"].index(joint)
    scores[lost, ARMS[:, column]], points[lost, ARMS[:, column]] = 0, 0
    gaps = retarget(person, replace(driving, bodies=points, body_scores=scores))
    assert away(gaps, whole).max() < 0.03
    jumps = [np.abs(np.diff(one.hands, axis=0)).max() for one in (gaps, whole)]
    assert jumps[0] < 2 * jumps[1]
    seen = present(gaps.bodies, gaps.body_scores)
    assert np.linalg.norm(gaps.bodies - whole.bodies, axis=-1)[seen].max() < 0.05


def test_hand_whose_arm_is_never_whole_keeps_its_place_relative_to_the_shoulders():
    driving = gestures.clip("waving", 8)
    scores = driving.body_scores.copy()
    scores[:, 6] = 0
    one_arm = replace(driving, body_scores=scores)
    assert np.isfinite(retarget(standing(USUAL), one_arm).hands).all()


def test_four_fingers_merge_ring_and_little_finger():
    pose = gestures.clip("waving", 4)
    merged = merged_fingers(pose)
    assert np.array_equal(merged.hands[:, :, 13:17], merged.hands[:, :, 17:21])
    assert np.array_equal(merged.hands[:, :, :13], pose.hands[:, :, :13])
    for driving in (pose, HandPose(pose.hands, pose.hand_scores)):
        aligned = align.align(standing(USUAL), driving, retargeting="four fingers").pose
        np.testing.assert_allclose(aligned.hands[:, :, 13:17], aligned.hands[:, :, 17:21])


@pytest.mark.parametrize("fit_hands", [True, False])
def test_pose_without_a_body_is_fitted_as_without_retarget_and_says_so(fit_hands):
    driving, person = gestures.clip("waving", 8), standing((1, 1, 1, 0.6))
    only_hands = HandPose(driving.hands, driving.hand_scores)
    plain, tried = (align.align(person, only_hands, fit_hands=fit_hands, retargeting=mode) for mode in MODES[:2])
    assert np.array_equal(plain.pose.hands, tried.pose.hands)
    assert NO_BODY in tried.after.reasons and NO_BODY not in plain.after.reasons
    assert "as without retarget" in NO_BODY


def test_arm_that_may_point_at_the_viewer_is_said_to_be_a_guess():
    assert is_a_guess(gestures.clip("hands_folded", 1))


@pytest.mark.parametrize("sizes", [USUAL, (1, 0.6, 0.6, 0.6), (0.5, 0.35, 0.3, 0.4), (1, 1.3, 0.7, 1)], ids=str)
def test_straight_arms_are_no_guess(sizes):
    assert not is_a_guess(standing(sizes))
    assert not is_a_guess(then(at_frame("hands_folded", 10, sizes), standing(sizes)))


def test_arms_that_two_key_frames_show_equally_long_are_no_guess():
    person = at_frame("hands_folded", 10, (1, 0.6, 0.6, 0.6))
    assert is_a_guess(person) and not is_a_guess(then(person, person))
    assert is_a_guess(then(person, at_frame("hands_folded", 10, (1, 0.8, 0.8, 0.6))))


def is_a_guess(person: HandPose) -> bool:
    return SHORT_ARM in align.align(person, gestures.clip("waving", 8), retargeting=MODES[1]).after.reasons


def test_large_head_is_framed_by_the_shoulders():
    chibi, driving = standing((0.5, 0.35, 0.3, 0.4)), gestures.clip("waving", 8)
    by_rule, by_shoulders = (align.align(chibi, driving, framing="original", retargeting=mode) for mode in MODES[:2])
    width = np.linalg.norm(np.diff(by_shoulders.person.bodies[0, [2, 5]], axis=0))
    assert by_shoulders.matrix[0, 0] < by_rule.matrix[0, 0]
    assert (by_shoulders.person.faces > 0).all() and width < 0.4


def test_unknown_mode_lists_the_modes():
    with pytest.raises(ValueError, match="six fingers.*five fingers"):
        align.align(standing(USUAL), gestures.clip("waving", 8), retargeting="six fingers")


def test_person_on_another_canvas_is_refused_with_both_sizes():
    person = replace(standing(USUAL), width=512, height=384)
    with pytest.raises(ValueError, match="512x384.*768x768"):
        retarget(person, gestures.clip("waving", 8))


def test_shoulders_on_one_point_are_no_shoulders():
    driving = gestures.clip("waving", 100)
    folded = driving.bodies.copy()
    folded[1:, SHOULDERS[0]] = folded[1:, SHOULDERS[1]]
    mostly = replace(driving, bodies=folded)
    assert np.isfinite(align.align(standing(USUAL), mostly, retargeting=MODES[1]).pose.hands).all()
    folded[0] = folded[1]
    always = replace(driving, bodies=folded)
    assert NO_BODY in align.align(standing(USUAL), always, retargeting=MODES[1]).after.reasons


@pytest.mark.parametrize("mode", MODES)
def test_pose_of_no_frames_is_refused_with_a_sentence(mode):
    none, some = gestures.clip("waving", 8).take(slice(0)), standing(USUAL)
    with pytest.raises(ValueError, match="picture's pose has no frames"):
        align.align(none, some, retargeting=mode)
    with pytest.raises(ValueError, match="^the pose has no frames"):
        align.align(some, none, retargeting=mode)
