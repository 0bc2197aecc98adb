"""A hand that leaves the picture is told of: which, in how many frames, and where."""

from dataclasses import replace

from echomimic_core.pose import edit, gestures
from echomimic_core.pose.leaving import leaving


def test_hands_inside_the_picture_are_not_reported():
    assert leaving(gestures.clip("idle", 12)) == []


def test_each_hand_is_told_of_with_its_frames_and_edge():
    pose = gestures.clip("idle", 12)
    hands = pose.hands.copy()
    hands[3:8, 0] += (2.0, 0.0)
    hands[11, 1] += (0.0, -3.0)
    assert leaving(replace(pose, hands=hands)) == [
        "The left hand leaves the picture in 5 of 12 frames, mostly at the right.",
        "The right hand leaves the picture in 1 of 12 frames, mostly at the top.",
    ]


def test_points_that_were_not_found_leave_nowhere():
    pose = edit.mute(edit.transform(gestures.clip("idle", 4), move_x=-2.0), "left")
    (sentence,) = leaving(pose)
    assert sentence.startswith("The right hand leaves the picture in 4 of 4 frames, mostly at the left")
    assert leaving(replace(pose, hand_scores=0 * pose.hand_scores)) == []
