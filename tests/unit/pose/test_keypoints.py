"""POSE_KEYPOINT of other packs goes in and out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from poses import assert_same, random_pose

from echomimic_core.pose import gestures
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
    assert wire[1]["people"][0]["hand_right_keypoints_2d"] == [0.0] * 63
    back = from_keypoints(wire)
    assert not back.hand_scores[1, 1].any() and not back.hands[1, 1].any()
    np.testing.assert_allclose(back.hands[1, 0], pose.hands[1, 0])


def test_a_region_of_the_canvas_comes_back_on_the_whole_canvas():
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


def test_a_single_hand_changes_sides_too():
    pose = random_pose(3)
    pose.bodies[:, [7, 4]] = [[0.8, 0.5], [0.2, 0.5]]
    hands, scores = np.zeros_like(pose.hands), np.zeros_like(pose.hand_scores)
    hands[:, 1], scores[:, 1] = [0.79, 0.52], 1  # Called the right one, on the left wrist
    pose = from_keypoints(to_keypoints(replace(pose, hands=hands, hand_scores=scores)))
    assert (pose.hand_scores > 0).any(axis=(0, 2)).tolist() == [True, False]


def test_frames_without_points_have_no_people():
    pose = random_pose(3)
    for scores in (pose.hand_scores, pose.body_scores, pose.face_scores):
        scores[1] = 0
    wire = to_keypoints(pose, keep_scores=True)
    assert [len(frame["people"]) for frame in wire] == [1, 0, 1]
    assert len(from_keypoints(wire)) == 3
    faint = random_pose(2)
    for scores in (faint.hand_scores, faint.body_scores, faint.face_scores):
        scores[0] = 0.1
    assert [len(frame["people"]) for frame in to_keypoints(faint)] == [0, 1]


@pytest.mark.parametrize("body, face", ((True, True), (True, False), (False, False)))
def test_every_part_has_the_number_of_points_that_cores_nodes_demand(body, face):
    pose = random_pose(2, body=body, face=face)
    pose.hand_scores[:, 0] = 0
    for frame in to_keypoints(pose):
        (content,) = frame["people"]
        counts = {"pose": 18, "face": 70, "hand_left": 21, "hand_right": 21}
        for name, count in counts.items():
            np.array(content[f"{name}_keypoints_2d"], np.float32).reshape(count, 3)
    if face:
        eyes, bodies = (np.reshape(content[f"{part}_keypoints_2d"], (-1, 3)) for part in ("face", "pose"))
        np.testing.assert_array_equal(eyes[68:], bodies[[14, 15]])


class TestOtherPacks:
    """The very layouts that core's SDPose and controlnet_aux's DWPose put on the wire."""

    @staticmethod
    def triples(points, scores, size=(1, 1)):
        return np.concatenate([points * size, scores[..., None]], axis=-1).reshape(-1).tolist()

    def sdpose(self, pose, hands_called_otherwise):
        """Pixels, raw scores, feet, 70 face points; SDPose's model has the person's left hand where core says right."""
        size, names = (pose.width, pose.height), ["hand_left_keypoints_2d", "hand_right_keypoints_2d"]
        frames = []
        for i in range(len(pose)):
            eyes = [14, 15]
            face = np.concatenate([pose.faces[i], pose.bodies[i, eyes]])
            face_scores = np.concatenate([pose.face_scores[i], pose.body_scores[i, eyes]])
            content = {
                "pose_keypoints_2d": self.triples(pose.bodies[i], pose.body_scores[i], size),
                "foot_keypoints_2d": self.triples(np.full((6, 2), 0.9), np.full(6, 0.02), size),
                "face_keypoints_2d": self.triples(face, face_scores, size),
            }
            for side, name in enumerate(names[::-1] if hands_called_otherwise else names):
                content[name] = self.triples(pose.hands[i, side], pose.hand_scores[i, side], size)
            frames.append({"canvas_width": pose.width, "canvas_height": pose.height, "people": [content]})
        return json.loads(json.dumps(frames))

    def dwpose(self, pose, fractions):
        """Points of score 1 or [0, 0, 0]; a missing hand or face is None, a missing body 18 times [0, 0, 0]."""
        size = (1, 1) if fractions else (pose.width, pose.height)

        def part(points, scores):
            return None if not scores.any() else self.triples(points * (scores > 0)[:, None], 1.0 * (scores > 0), size)

        def person(i):
            face = part(
                np.concatenate([pose.faces[i], pose.bodies[i, [14, 15]]]),
                np.concatenate([pose.face_scores[i], pose.body_scores[i, [14, 15]]]),
            )
            return {
                "pose_keypoints_2d": part(pose.bodies[i], pose.body_scores[i]) or [0.0] * 54,
                "face_keypoints_2d": face,
                "hand_left_keypoints_2d": part(pose.hands[i, 0], pose.hand_scores[i, 0]),
                "hand_right_keypoints_2d": part(pose.hands[i, 1], pose.hand_scores[i, 1]),
            }

        canvas = {"canvas_height": pose.height, "canvas_width": pose.width}
        return json.loads(json.dumps([{"people": [person(i)], **canvas} for i in range(len(pose))]))

    @pytest.fixture
    def clip(self):
        pose = replace(gestures.clip("open_hands", 6), width=832, height=1216)
        rng = np.random.default_rng(0)
        return replace(pose, hand_scores=rng.uniform(0.3, 1.1, (6, 2, 21)))

    @pytest.mark.parametrize("hands_called_otherwise", (False, True))
    def test_sdpose_keypoints_become_the_pose_they_came_from(self, clip, hands_called_otherwise):
        assert_same(from_keypoints(self.sdpose(clip, hands_called_otherwise)), clip, 1e-9)

    @pytest.mark.parametrize("fractions", (False, True))
    def test_dwpose_with_missing_hands_and_an_empty_frame(self, clip, fractions):
        clip.hand_scores[1, 0], clip.hand_scores[2], clip.hand_scores[3, 1, 5:9] = 0, 0, 0
        wire = self.dwpose(clip, fractions)
        assert wire[1]["people"][0]["hand_left_keypoints_2d"] is None
        wire[4]["people"] = []
        pose = from_keypoints(wire)
        clip.hand_scores[4], clip.body_scores[4], clip.face_scores[4] = 0, 0, 0
        np.testing.assert_array_equal(pose.hand_scores, clip.hand_scores > 0)
        np.testing.assert_array_equal(pose.body_scores, clip.body_scores > 0)
        seen = clip.hand_scores > 0
        np.testing.assert_allclose(pose.hands[seen], clip.hands[seen], atol=1e-9)
        assert (pose.width, pose.height) == (832, 1216)

    @pytest.mark.parametrize("fractions", (False, True))
    def test_one_of_several_people_is_followed(self, clip, fractions):
        small = clip.map_points(lambda points: points * 0.3)
        wire = self.dwpose(clip, fractions)
        for index, (frame, other) in enumerate(zip(wire, self.dwpose(small, fractions), strict=True)):
            frame["people"] = other["people"] + frame["people"] if index % 2 else frame["people"] + other["people"]
        np.testing.assert_allclose(from_keypoints(wire).hands, clip.hands, atol=1e-9)


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
def test_malformed_keypoints_are_refused_with_a_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        from_keypoints(wrong)
