"""Clips of key frames, corrections, and parameters found from points."""

import json

import numpy as np
import pytest

from echomimic_core.pose import gestures
from echomimic_core.pose.draw import HAND_BONES
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.hand_skeleton import LIMITS
from echomimic_core.pose.pad import fit, points
from echomimic_core.pose.pad.body import moved_bone
from echomimic_core.pose.pad.mend import bent_elbow, mended
from echomimic_core.pose.pad.presets import PRESETS, start_key
from echomimic_core.pose.pad.result import result
from echomimic_core.pose.pad.value import ANGLES, PadHand, read, written_key

SIZE = 800


def pad_of(keys=(), fixes=(), **entries):
    return read(json.dumps({"version": 1, "picture": [SIZE, SIZE], "keys": keys, "fixes": fixes, **entries}))


def key(time: float, **changes) -> dict:
    return {**written_key(start_key(SIZE, SIZE)), "t": time, **changes}


def waving() -> list[dict]:
    """Two keys between which the left forearm turns by a quarter in the picture, and the hand closes."""
    first, second = key(0.0), key(1.5)
    elbow = np.array(first["elbows"][0])
    reach = np.linalg.norm(np.array(first["left"]["wrist"]) - elbow)
    first["left"]["wrist"], second["left"]["wrist"] = (elbow + (0, -reach)).tolist(), (elbow + (reach, 0)).tolist()
    second["left"] |= {"turn": 100, "angles": PRESETS["fist"].astype(int).tolist()}
    return [first, second]


def test_one_key_is_one_frame_on_the_canvas_of_the_picture():
    pose = points.pose(pad_of([key(0.0)]))
    assert (len(pose), pose.width, pose.height) == (1, SIZE, SIZE)
    assert np.allclose(pose.hands[0, :, 0] * SIZE, [key(0.0)[side]["wrist"] for side in ("left", "right")])
    # The person's left is on the right of the picture, and thumbs of raised palms point at each other.
    assert pose.hands[0, 0, 0, 0] > 0.5 > pose.hands[0, 1, 0, 0]
    assert pose.hands[0, 0, 4, 0] < pose.hands[0, 0, 20, 0]


def test_untouched_pad_is_the_first_figure_on_the_picture_or_the_clip_itself():
    first = result(None, (640, 480))
    assert (first.width, first.height) == (640, 480)
    assert np.allclose(first.hands[0, 0, 0] * (640, 480), start_key(640, 480).hands[0].wrist)
    assert result(None).width == 768
    ground = gestures.clip("explaining", 4)
    assert result(None, (640, 480), ground) is ground


def test_pose_is_refused_on_a_picture_of_another_shape_but_not_for_the_backdrop_of_a_clip():
    placed, ground = pad_of([key(0.0)]), gestures.clip("explaining", 4)
    with pytest.raises(ValueError, match="800x800, but this one is 640x480"):
        result(placed, (640, 480))
    fixed = pad_of([key(0.0)], [{"t": 0, "left": {"turn": 20}}])
    assert result(fixed, (640, 480), ground).width == ground.width
    # Without corrections there is nothing that could be at the wrong place.
    wide = read(json.dumps({"version": 1, "picture": [640, 480], "keys": [key(0.0)]}))
    assert np.array_equal(result(wide, None, ground).hands, ground.hands)
    wide_fixed = {"version": 1, "picture": [640, 480], "fixes": [{"t": 0, "left": {"turn": 20}}]}
    with pytest.raises(ValueError, match="clip of 640x480, but the connected pose is 768x768"):
        result(read(json.dumps(wide_fixed)), None, ground)


def test_key_frames_are_met_exactly_and_joined_without_a_jerk():
    keys = waving()
    pose = points.pose(pad_of(keys))
    assert len(pose) == 37
    for frame, one in ((0, keys[0]), (36, keys[1])):
        assert np.allclose(pose.hands[frame, 0, 0] * SIZE, one["left"]["wrist"], atol=1e-6)
    steps = np.linalg.norm(np.diff(pose.hands[:, 0, 0], axis=0), axis=-1)
    assert steps[[0, -1]].max() < 0.1 * steps.max()


def test_bones_of_a_clip_keep_their_length():
    pose = points.pose(pad_of(waving()))
    forearm = np.linalg.norm(pose.bodies[:, 7] - pose.bodies[:, 6], axis=-1)
    assert np.ptp(forearm) < 1e-3 * forearm.mean()
    straight = np.linalg.norm(pose.hands[0, 0, 5] - pose.hands[0, 0, 0])
    assert np.allclose(np.linalg.norm(pose.hands[:, 0, 5] - pose.hands[:, 0, 0], axis=-1), straight)


def test_hidden_hand_is_absent():
    pose = points.pose(pad_of([key(0.0)], hidden=["right"]))
    assert pose.hand_scores[0].any(axis=-1).tolist() == [True, False]
    assert pose.body_scores[0, [7, 4]].tolist() == [1, 0]


def test_nothing_placed_is_a_sentence():
    with pytest.raises(ValueError, match="nothing has been placed"):
        points.pose(pad_of())


@pytest.fixture(scope="module")
def clip() -> HandPose:
    return gestures.clip("explaining", 72)


def test_correction_eases_in_and_out_and_leaves_the_rest_alone(clip):
    fixed = mended(clip, pad_of(fixes=[{"t": 1.5, "left": {"move": [80, -40]}}], ease=0.5))
    moved = (fixed.hands - clip.hands) * SIZE
    assert np.allclose(moved[36, 0], (80, -40))
    assert not moved[:, 1].any() and not moved[:25].any() and not moved[48:].any()
    sizes = moved[24:37, 0, 0, 0]
    assert (np.diff(sizes) >= 0).all() and sizes[6] == pytest.approx(40)


def test_corrected_hand_takes_its_arm_along_and_its_bones_keep_their_length(clip):
    fixed = mended(clip, pad_of(fixes=[{"t": 1.5, "right": {"move": [25, -30], "turn": 30}}]))
    assert np.allclose((fixed.bodies - clip.bodies)[36, 4] * SIZE, (25, -30))
    bones = [np.linalg.norm(np.diff(pose.hands[:, 1][:, list(HAND_BONES)], axis=2), axis=-1) for pose in (clip, fixed)]
    assert np.allclose(*bones)


def elbows_along(bones: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Elbows (n, 2) of one arm, its bones (2, 2), while its wrist goes along `way` (n, 2) from the shoulder."""
    joints = np.concatenate([np.zeros((1, 2)), np.cumsum(bones, axis=0)])
    shoulder, elbow, wrist = np.repeat(joints[:, None], len(way), axis=1)
    return bent_elbow(shoulder, elbow, wrist, way)


@pytest.mark.parametrize("upper", [5, 40, 100])
@pytest.mark.parametrize("fore", [5, 40, 100])
def test_elbow_never_jumps_however_foreshortened_the_arm_is(upper, fore):
    # Bent by a right angle, and almost straight; past the shoulder, and straight through it.
    for aside in (1.0, 0.01):
        bones = np.array([[0.0, upper], [aside * fore, np.sqrt(1 - aside**2) * fore]])
        for passing in (0.0, 3.0):
            way = np.stack([np.linspace(-150, 150, 6001), np.full(6001, passing)], axis=1)
            steps = np.linalg.norm(np.diff(elbows_along(bones, way), axis=0), axis=1)
            # The wrist goes 0.05 in each; near its full length an arm bends fast.
            assert steps.max() < 4


def test_elbow_of_an_arm_that_passes_through_straight_does_not_change_sides():
    turns = np.linspace(-0.3, 0.3, 2001)
    shoulder, elbow = np.zeros((2001, 2)), np.repeat([[100.0, 0.0]], 2001, axis=0)
    wrist = elbow + 90 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    moved = bent_elbow(shoulder, elbow, wrist, wrist + (-40, 10))
    assert np.linalg.norm(np.diff(moved, axis=0), axis=1).max() < 0.1


def test_elbow_of_a_wrist_that_has_not_moved_stays():
    joints = np.random.default_rng(5).normal(size=(3, 200, 2)) * 100
    assert np.allclose(bent_elbow(*joints, joints[2]), joints[1])


def test_bent_arm_across_the_view_keeps_the_lengths_of_its_bones():
    # Bones of 100 bent by a right angle, the wrist moved a fifth of their length towards the shoulder.
    (elbow,) = elbows_along(np.array([[100.0, 0.0], [0.0, 100.0]]), np.array([[86.0, 86.0]]))
    assert np.allclose([np.linalg.norm(elbow), np.linalg.norm((86, 86) - elbow)], 100, rtol=0.04)


def test_hand_placed_anew_fills_a_gap(clip):
    scores = clip.hand_scores.copy()
    scores[30:42, 0] = 0
    lost = clip.with_tracks({"hands": type(clip.tracks["hands"])(clip.hands, scores)}).map_points(lambda one: one)
    hand = written_key(start_key(SIZE, SIZE))["left"]
    fixed = mended(lost, pad_of(fixes=[{"t": 1.5, "left": {"hand": hand}}]))
    assert np.allclose(fixed.hands[36, 0, 0] * SIZE, hand["wrist"]) and (fixed.hand_scores[36, 0] == 1).all()
    assert np.array_equal(fixed.hands[:20], lost.hands[:20])


@pytest.mark.parametrize(
    ("body", "moved", "bones"),
    [
        ({"neck": [30, 20]}, [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17], [(1, 2), (2, 3), (3, 4), (5, 6), (1, 0)]),
        ({"shoulders": [[-15, 6], [0, 0]]}, [5, 6, 7], [(5, 6), (6, 7)]),
        ({"elbows": [[0, 0], [25, -10]]}, [3], []),
        ({"head": [0, -12, 1, 0]}, [0, 14, 15, 16, 17], [(14, 15), (0, 14)]),
        ({"head": [0, 0, 1.2, 15]}, [0, 14, 15, 16, 17], []),
    ],
)
def test_corrected_body_takes_along_what_hangs_on_it_and_eases_in_and_out(clip, body, moved, bones):
    fixed = mended(clip, pad_of(fixes=[{"t": 1.5, "body": body}], ease=0.5))
    away = np.linalg.norm(fixed.bodies - clip.bodies, axis=-1) * SIZE
    hips = [8, 11] if "neck" in body else []
    assert sorted(np.flatnonzero(away[36] > 1)) == sorted(moved + hips)
    assert not away[:25].any() and not away[48:].any()
    assert (np.diff(away[24:37][:, moved], axis=0) > -0.5).all()
    for a, b in bones:
        lengths = [np.linalg.norm(pose.bodies[:, a] - pose.bodies[:, b], axis=-1) for pose in (clip, fixed)]
        assert np.allclose(*lengths)
    hand = np.abs(fixed.hands - clip.hands)[36].max(axis=(1, 2)) * SIZE > 1
    assert hand.tolist() == [7 in moved, 4 in moved]
    assert (np.abs(fixed.faces - clip.faces)[36].max() * SIZE > 1) == (0 in moved)


def test_bone_that_a_correction_turns_keeps_its_length_in_depth():
    bones, by = np.array([[100.0, 0.0]] * 11), np.array([-100.0, 60.0])
    turned = moved_bone(bones, by, np.linspace(0, 1, 11))
    assert np.allclose(turned[[0, -1]], [(100, 0), (0, 60)], atol=0.1)
    assert np.linalg.norm(turned, axis=-1).max() < 100.1


def test_hand_is_left_out_around_a_correction_and_from_one_to_the_next(clip):
    fixes = [
        {"t": 0.5, "left": {"absent": True}},
        {"t": 2, "left": {"absent": True}},
        {"t": 2.5, "right": {"absent": True}},
    ]
    fixed = mended(clip, pad_of(fixes=fixes, ease=0.25))
    gone = ~(fixed.hand_scores > 0).any(axis=-1)
    assert np.flatnonzero(gone[:, 0]).tolist() == list(range(9, 52))
    assert np.flatnonzero(gone[:, 1]).tolist() == list(range(57, 64))
    assert np.array_equal(fixed.body_scores[:, [7, 4]] == 0, gone)


def test_correction_after_the_end_of_the_clip_is_refused(clip):
    with pytest.raises(ValueError, match="ends at 2.96 s"):
        mended(clip, pad_of(fixes=[{"t": 9, "left": {"move": [1, 1]}}]))


def test_parameters_found_from_points_give_those_points():
    rng = np.random.default_rng(3)
    least, most = np.array([LIMITS[name] for name, count in ANGLES for _ in range(count)]).T
    for side, roll in ((0, 0.0), (1, 170.0)):
        angles = least + (most - least) * rng.uniform(0.1, 0.8, len(least))
        hand = PadHand(np.array([300.0, 200.0]), 150.0, 70.0, roll, 20.0, angles)
        wanted = points.hand_in_picture(points.stacked([hand]), side)[0]
        found = points.hand_in_picture(points.stacked([fit.hand_of_points(wanted, side)]), side)[0]
        assert np.linalg.norm(found - wanted, axis=-1).max() < 0.01 * 150


def test_what_the_detector_did_not_find_is_said_and_stands_ready_to_be_dragged():
    empty = HandPose(np.zeros((1, 2, 21, 2)), np.zeros((1, 2, 21)), width=400, height=600)
    found, missing = fit.key_of_pose(empty)
    assert written_key(found) == written_key(start_key(400, 600))
    assert missing == ("body", "left", "right")


def test_head_and_elbows_that_were_not_found_are_named():
    pose = gestures.clip("explaining", 1)
    scores = pose.body_scores.copy()
    scores[:, [14, 3]] = 0
    seen = pose.with_tracks({"bodies": type(pose.tracks["bodies"])(pose.bodies, scores)})
    assert fit.key_of_pose(seen)[1] == ("head", "right elbow")
