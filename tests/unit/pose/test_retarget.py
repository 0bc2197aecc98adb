"""A pose on another body, against the truth: the same joint angles in three dimensions on that body's bones."""

import numpy as np
import pytest

from echomimic_core.pose import align, gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.hand_skeleton import Shape, hand_axes, hand_points
from echomimic_core.pose.retarget import MODES, NO_BODY, SHORT_ARM, merged_fingers, retarget

FRAMES = 48
MEDIAN, TAIL = 0.015, 0.03


def on_bones(hands: np.ndarray, arms: np.ndarray, sizes: tuple) -> HandPose:
    """A speaker of the library with bones so many times as long: shoulders, upper arm, forearm, hand."""
    neck = np.array([*gestures.NECK, 0])
    shoulder, elbow, wrist = np.moveaxis(arms, 2, 0)
    joints = [neck + sizes[0] * (shoulder - neck)]
    joints.append(joints[-1] + sizes[1] * (elbow - shoulder))
    joints.append(joints[-1] + sizes[2] * (wrist - elbow))
    moved = joints[-1][:, :, None] + sizes[3] * (hands - wrist[:, :, None])
    return gestures.pose_of(moved, np.stack(joints, axis=2), 24.0)


def standing(sizes: tuple) -> HandPose:
    """The person in the picture: arms hang down and a little outwards, across the view."""
    down = np.array([0.35, np.sqrt(1 - 0.35**2), 0.0])
    shoulder = np.array([gestures.SHOULDER_HALF_WIDTH, gestures.SHOULDER_DROP, 0.0])
    arm = np.stack([shoulder, shoulder + gestures.UPPER_ARM * down])
    arm = np.concatenate([arm, [arm[1] + gestures.FOREARM * down]])
    shape = Shape(**{name: np.asarray(angle, float)[None] for name, angle in gestures.OPEN.items()})
    axes = hand_axes(down[None], np.array([[0.0, 0.0, 1.0]]))
    hand = arm[2] + gestures.HAND * (hand_points(shape) @ axes)[0]
    flips = np.array([(1, 1, 1), (-1, 1, 1)])[:, None]
    middle = np.array([*gestures.NECK, 0])
    return on_bones((flips * hand)[None] + middle, (flips * arm)[None] + middle, sizes)


def bodies(count: int) -> list[tuple]:
    """Bones from 0.6 to 1.6 times the usual relative to the shoulders, upper arm and forearm not too unlike."""
    rng, found = np.random.default_rng(19), []
    while len(found) < count:
        sizes = (rng.uniform(0.8, 1.2), *rng.uniform(0.6, 1.6, 3))
        alike = 0.75 < sizes[1] / sizes[2] < 1 / 0.75
        if alike and all(0.6 < size / sizes[0] < 1.6 for size in sizes[1:]):
            found.append(sizes)
    return found


def away(pose: HandPose, truth: HandPose) -> np.ndarray:
    """How far wrists and fingers are off, in widths of the picture."""
    return np.linalg.norm(pose.hands - truth.hands, axis=-1).ravel()


@pytest.mark.parametrize("gesture", ["explaining", "waving", "open_hands", "counting", "hands_folded"])
def test_hands_are_where_the_same_angles_put_them_on_other_bones(gesture):
    driving = gestures.clip(gesture, FRAMES)
    errors, before = [], []
    for sizes in bodies(8):
        truth = on_bones(*gestures.skeleton(gesture, FRAMES), sizes)
        errors.append(away(retarget(standing(sizes), driving, "five fingers"), truth))
        fitted = align.align(standing(sizes), driving, framing="keep").pose
        before.append(away(fitted, truth))
    errors, before = np.concatenate(errors), np.concatenate(before)
    assert np.median(errors) < MEDIAN < np.median(before)
    assert np.percentile(errors, 95) < TAIL < np.percentile(before, 95)


def test_arms_that_point_at_the_viewer_are_fitted_better_than_by_fit_hands():
    errors, before = [], []
    for gesture, frame in (("explaining", 10), ("hands_folded", 10), ("waving", 30)):
        hands, arms = gestures.skeleton(gesture, FRAMES)
        for sizes in bodies(6):
            person = on_bones(hands[frame : frame + 1], arms[frame : frame + 1], sizes)
            for driving in ("explaining", "waving"):
                pose, truth = gestures.clip(driving, FRAMES), on_bones(*gestures.skeleton(driving, FRAMES), sizes)
                errors.append(away(retarget(person, pose, "five fingers"), truth))
                before.append(away(align.align(person, pose, framing="keep").pose, truth))
    errors, before = np.concatenate(errors), np.concatenate(before)
    assert np.median(errors) < min(0.022, np.median(before))
    assert np.percentile(errors, 95) < 0.055


def test_pose_on_its_own_body_stays_where_it_is():
    usual = (1, 1, 1, 1)
    driving = on_bones(*gestures.skeleton("waving", FRAMES), usual)
    assert np.percentile(away(retarget(standing(usual), driving, "five fingers"), driving), 95) < 0.015


def test_four_fingers_merge_ring_and_little_finger():
    pose = gestures.clip("waving", 4)
    merged = merged_fingers(pose)
    assert np.array_equal(merged.hands[:, :, 13:17], merged.hands[:, :, 17:21])
    assert np.array_equal(merged.hands[:, :, :13], pose.hands[:, :, :13])
    aligned = align.align(standing((1, 1, 1, 1)), pose, retargeting="four fingers").pose
    np.testing.assert_allclose(aligned.hands[:, :, 13:17], aligned.hands[:, :, 17:21])


def test_pose_without_a_body_is_fitted_as_before_and_says_so():
    driving, person = gestures.clip("waving", 8), standing((1, 1, 1, 1))
    only_hands = HandPose(driving.hands, driving.hand_scores)
    plain, tried = (align.align(person, only_hands, retargeting=mode) for mode in MODES[:2])
    assert np.array_equal(plain.pose.hands, tried.pose.hands)
    assert NO_BODY in tried.after.reasons and NO_BODY not in plain.after.reasons


def test_arm_that_may_point_at_the_viewer_is_said_to_be_a_guess():
    driving = gestures.clip("waving", 8)
    assert SHORT_ARM in align.align(gestures.clip("hands_folded", 1), driving, retargeting=MODES[1]).after.reasons
    assert SHORT_ARM not in align.align(standing((1, 1, 1, 1)), driving, retargeting=MODES[1]).after.reasons


def test_large_head_is_framed_by_the_shoulders():
    chibi, driving = standing((0.5, 0.35, 0.3, 0.4)), gestures.clip("waving", 8)
    by_rule, by_shoulders = (align.align(chibi, driving, framing="original", retargeting=mode) for mode in MODES[:2])
    width = np.linalg.norm(np.diff(by_shoulders.person.bodies[0, [2, 5]], axis=0))
    assert by_shoulders.matrix[0, 0] < by_rule.matrix[0, 0]
    assert (by_shoulders.person.faces > 0).all() and width < 0.4


def test_unknown_mode_lists_the_modes():
    with pytest.raises(ValueError, match="six fingers.*five fingers"):
        align.align(standing((1, 1, 1, 1)), gestures.clip("waving", 8), retargeting="six fingers")
