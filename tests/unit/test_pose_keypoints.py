"""POSE_KEYPOINT of other packs goes in and out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from poses import assert_same, random_pose

from echomimic_core.pose.keypoints import from_keypoints, to_keypoints


def flat(points, score=1.0):
    return np.concatenate([points, np.full((len(points), 1), score)], axis=1).reshape(-1).tolist()


def frame(people, width=640, height=480):
    return {"canvas_width": width, "canvas_height": height, "people": people}


def person(rng, x=0.0, size=1.0, body=18, face=70):
    def part(count):
        return flat(rng.uniform(50, 150, (count, 2)) * size + [x, 0])

    return {
        "pose_keypoints_2d": part(body),
        "hand_left_keypoints_2d": part(21),
        "hand_right_keypoints_2d": part(21),
        "face_keypoints_2d": part(face),
    }


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_there_and_back_with_scores_is_exact():
    pose = random_pose(4, width=640, height=480, fps=25.0)
    pose.bodies[:, [7, 4]] = pose.hands[:, :, 0]
    wire = json.loads(json.dumps(to_keypoints(pose, keep_scores=True)))
    assert_same(from_keypoints(wire, 25.0), pose, 1e-12)


def test_without_scores_every_point_counts_fully_or_not_at_all():
    pose = random_pose(2)
    pose.hand_scores[0, 0, 3] = 0.1
    pose.hand_scores[1, 1] = 0
    wire = to_keypoints(pose, min_score=0.3)
    points = np.array(wire[0]["people"][0]["hand_left_keypoints_2d"]).reshape(21, 3)
    assert set(points[:, 2]) == {0.0, 1.0} and not points[3].any()
    assert wire[1]["people"][0]["hand_right_keypoints_2d"] == []
    back = from_keypoints(wire)
    assert not back.hand_scores[1, 1].any() and not back.hands[1, 1].any()
    np.testing.assert_allclose(back.hands[1, 0], pose.hands[1, 0])


def test_a_region_is_resolved():
    pose = random_pose(2, region=(0, 768, 100, 600))
    pose.bodies[:, [7, 4]] = pose.hands[:, :, 0]
    assert_same(from_keypoints(to_keypoints(pose, True)), pose.whole_canvas(), 1e-12)


def test_pixels_and_fractions_are_told_apart(rng):
    pixels = [frame([person(rng)])]
    fractions = json.loads(json.dumps(pixels))
    for values in fractions[0]["people"][0].values():
        values[0::3] = (np.array(values[0::3]) / 640).tolist()
        values[1::3] = (np.array(values[1::3]) / 480).tolist()
    assert_same(from_keypoints(pixels), from_keypoints(fractions), 1e-12)


def test_frames_without_people_or_parts_are_empty(rng):
    lacking = person(rng) | {"hand_left_keypoints_2d": None, "face_keypoints_2d": []}
    pose = from_keypoints([frame([person(rng)]), frame([]), frame([lacking])])
    assert (pose.hand_scores > 0).any(axis=-1).tolist() == [[True, True], [False, False], [False, True]]
    assert (pose.face_scores > 0).any(axis=-1).tolist() == [True, False, False]
    bare = from_keypoints([frame([{"hand_left_keypoints_2d": person(rng)["hand_left_keypoints_2d"]}])])
    assert bare.bodies is None and bare.faces is None


def test_points_at_the_origin_or_without_confidence_are_absent(rng):
    content = person(rng)
    content["hand_left_keypoints_2d"][:3] = [0.0, 0.0, 1.0]
    content["hand_left_keypoints_2d"][3:6] = [300.0, 300.0, 0.0]
    content["hand_left_keypoints_2d"][6:9] = [float("nan"), 3.0, 1.0]
    pose = from_keypoints([frame([content])])
    assert not pose.hand_scores[0, 0, :3].any() and not pose.hands[0, 0, :3].any()
    assert pose.hand_scores[0, 0, 3:].all()


def test_the_largest_person_is_followed(rng):
    large, small = person(rng, 200, 2.0), person(rng, 0, 0.5)
    frames = [frame([small, large]), frame([large, small]), frame([person(rng, 0, 3.0), large])]
    pose = from_keypoints(frames)
    expected = np.array(large["pose_keypoints_2d"]).reshape(18, 3)[:, 0] / 640
    for index in range(3):
        np.testing.assert_allclose(pose.bodies[index, :, 0], expected)


def test_other_body_layouts_are_mapped(rng):
    body_25 = person(rng, body=25)
    pose = from_keypoints([frame([body_25])])
    points = np.array(body_25["pose_keypoints_2d"]).reshape(25, 3)[:, :2] / [640, 480]
    np.testing.assert_allclose(pose.bodies[0], points[[*range(8), *range(9, 19)]])
    coco = person(rng, body=17)
    pose = from_keypoints([frame([coco])])
    points = np.array(coco["pose_keypoints_2d"]).reshape(17, 3)[:, :2] / [640, 480]
    np.testing.assert_allclose(pose.bodies[0, 1], (points[5] + points[6]) / 2)
    np.testing.assert_allclose(pose.bodies[0, [4, 7, 14, 17]], points[[10, 9, 2, 3]])


def test_hands_on_each_others_wrists_are_exchanged():
    pose = random_pose(3)
    pose.bodies[:, [7, 4]] = pose.hands[:, :, 0]
    for crossed in (False, True):
        given = replace(pose, hands=pose.hands[:, ::-1]) if crossed else pose
        np.testing.assert_allclose(from_keypoints(to_keypoints(given)).hands, pose.hands)


def test_one_frame_may_come_without_a_list(rng):
    assert len(from_keypoints(frame([person(rng)]))) == 1


@pytest.mark.parametrize(
    "wrong, message",
    [
        ([], "is empty"),
        (None, "is empty"),
        (["x"], "frame 0 .* has no list of 'people'"),
        ([{"people": []}], "lacks canvas_width"),
        ([frame([], width=0)], "canvas of 0"),
        ([frame([{"pose_keypoints_2d": [1, 2]}])], "not a list of x, y, confidence"),
    ],
)
def test_what_is_wrong_is_said(wrong, message):
    with pytest.raises(ValueError, match=message):
        from_keypoints(wrong)
