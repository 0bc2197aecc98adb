"""A pose on another body, against the truth: the same joint angles in three dimensions on that body's bones."""

import numpy as np
import pytest

from echomimic_core.pose import align, gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.hand_skeleton import Shape, hand_axes, hand_points
from echomimic_core.pose.retarget import MODES, NO_BODY, SHORT_ARM, merged_fingers, retarget
from echomimic_core.pose.track import Track

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
    """Shoulders from 0.8 to 1.2 times the usual, and every bone by itself from 0.6 to 1.6 times, relative to them."""
    rng = np.random.default_rng(19)
    shoulders, arms = rng.uniform(0.8, 1.2, (count, 1)), rng.uniform(0.6, 1.6, (count, 3))
    return [tuple(sizes) for sizes in np.concatenate([shoulders, shoulders * arms], axis=1)]


def at_frame(gesture: str, frame: int, sizes: tuple) -> HandPose:
    """The person in a picture taken in the middle of a gesture: bent arms, the forearms partly towards the viewer."""
    return on_bones(*(points[frame : frame + 1] for points in gestures.skeleton(gesture, FRAMES)), sizes)


def then(first: HandPose, second: HandPose) -> HandPose:
    """Both as one clip, as key frames make it."""
    tracks = {name: second.tracks[name] for name in first.tracks}
    return first.with_tracks(
        {
            name: Track(
                np.concatenate([one.points, tracks[name].points]), np.concatenate([one.scores, tracks[name].scores])
            )
            for name, one in first.tracks.items()
        }
    )


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


def test_second_key_frame_with_straight_arms_tells_the_lengths_that_bent_arms_hide():
    guessed, told, before = [], [], []
    for gesture, frame in (("explaining", 10), ("hands_folded", 10), ("waving", 30)):
        for sizes in bodies(6):
            person = at_frame(gesture, frame, sizes)
            for driving in ("explaining", "waving"):
                pose, truth = gestures.clip(driving, FRAMES), on_bones(*gestures.skeleton(driving, FRAMES), sizes)
                guessed.append(away(retarget(person, pose, "five fingers"), truth))
                told.append(away(retarget(then(person, standing(sizes)), pose, "five fingers"), truth))
                before.append(away(align.align(person, pose, framing="keep").pose, truth))
    guessed, told, before = (np.concatenate(errors) for errors in (guessed, told, before))
    assert np.median(told) < MEDIAN < np.median(guessed) < np.median(before)
    assert np.percentile(told, 95) < TAIL


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
    usual, other = (1, 1, 1, 1), (1, 1, short, 1)
    first = on_bones(hands[:1], arms[:1], usual)
    second = on_bones(hands[:1] + change[:, :, None], moved, usual)
    assert np.percentile(away(first, second), 95) < TAIL
    driving = gestures.clip("waving", FRAMES)
    made = [retarget(person, driving, "five fingers") for person in (first, second)]
    truths = [on_bones(*gestures.skeleton("waving", FRAMES), sizes) for sizes in (usual, other)]
    assert np.percentile(away(*made), 95) < TAIL
    assert np.percentile(away(*truths), 95) > 2 * TAIL
    for person in (first, second):
        assert SHORT_ARM in align.align(person, driving, retargeting=MODES[1]).after.reasons


def test_key_frames_after_the_first_leave_the_framing_alone():
    person, driving = at_frame("explaining", 10, (1, 1, 1, 1)), gestures.clip("waving", 8)
    alone, more = (
        align.align(one, driving, framing="original", retargeting=MODES[1])
        for one in (person, then(person, standing((1, 1, 1, 1))))
    )
    assert np.array_equal(alone.matrix, more.matrix)


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
