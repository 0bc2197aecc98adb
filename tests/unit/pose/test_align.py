"""A pose is brought onto the person in the picture, once and for all, and its fit is told in numbers."""

from dataclasses import replace

import numpy as np
import pytest
from poses import assert_same

from echomimic_core.pose import align, edit, gestures
from echomimic_core.pose.framing import MARGIN_ABOVE, framing


def person_in_picture(width=1200, height=900, x=0.1, y=0.05, scale=0.8, gesture="open_hands"):
    """A speaker of the library, standing somewhere in a larger picture."""
    pose = gestures.clip(gesture, 1)
    size = np.array([width, height])
    moved = pose.map_points(lambda points: (points * 768 * scale + size * (x, y)) / size)
    return replace(moved, width=width, height=height)


@pytest.fixture
def driving():
    return gestures.clip("explaining", 96)


def shoulders(pose):
    return pose.bodies[:, [2, 5]].mean(axis=0) * (pose.width, pose.height)


def palm(pose):
    return np.linalg.norm((pose.hands[..., 5, :] - pose.hands[..., 17, :]) * (pose.width, pose.height), axis=-1).max()


def test_missing_wrist_points_hardly_change_the_fit(driving):
    """Detectors leave out single points; the arms' wrists tell where the hands hang then."""
    person, crooked = person_in_picture(), edit.transform(driving, 0.2, -0.1, 1.5)
    crooked = edit.transform(crooked, scale=1.6, pivot="wrists")
    crooked = replace(crooked, bodies=crooked.bodies * [1.02, 0.97])
    crooked.bodies[:, [7, 4]] = crooked.hands[:, :, 0]
    lacking = replace(crooked, hands=crooked.hands.copy(), hand_scores=crooked.hand_scores.copy())
    lacking.hands[:, :, 0], lacking.hand_scores[:, :, 0] = 0, 0
    whole, fitted = align.align(person, crooked), align.align(person, lacking)
    np.testing.assert_allclose(fitted.pose.hands[:, :, 1:], whole.pose.hands[:, :, 1:], atol=0.01)
    assert not fitted.pose.hands[:, :, 0].any()
    np.testing.assert_allclose(fitted.after.score, whole.after.score, atol=2)


def test_points_marked_as_not_seen_do_not_count(driving):
    """DWPose's public files put them at -1, -1 and keep a low score: neither a size nor outside the picture."""
    marked = replace(driving, hands=driving.hands.copy(), hand_scores=driving.hand_scores.copy())
    marked.hands[10:40, 1], marked.hand_scores[10:40, 1] = -1.2, 0.2
    marked.hands[50:90, 0, 0], marked.hand_scores[50:90, 0, 0] = -1.2, 0.2
    whole, fitted = align.align(person_in_picture(), driving), align.align(person_in_picture(), marked)
    np.testing.assert_allclose(fitted.matrix, whole.matrix, rtol=0.01, atol=2)
    seen = ((fitted.pose.hands > 0) & (fitted.pose.hands < 1)).all(axis=-1)
    assert seen.mean() > 0.8
    np.testing.assert_allclose(fitted.pose.hands[seen], whole.pose.hands[seen], atol=0.01)
    np.testing.assert_allclose(fitted.after.score, whole.after.score, atol=2)


def test_a_low_score_always_has_a_reason(driving):
    rng = np.random.default_rng(0)
    fitting, low = align.align(person_in_picture(), driving), 0
    for _ in range(300):
        pose = fitting.pose
        for pivot in ("person", "wrists"):
            strength = rng.uniform(0, 1)
            pose = edit.transform(
                pose,
                *rng.normal(0, 0.08 * strength, 2),
                scale=float(np.exp(rng.normal(0, 0.3 * strength))),
                rotate=float(rng.normal(0, 25 * strength)),
                pivot=pivot,
            )
        if rng.random() < 0.3:
            pose = edit.mute(pose, rng.choice(["left", "right"]))
        if rng.random() < 0.2:
            pose = replace(pose, bodies=None, body_scores=None)
        fit = align.judge(fitting.person, pose)
        if fit.score < align.GOOD_SCORE:
            low += 1
            assert fit.reasons, fit
    assert 100 < low < 290


def test_small_misfits_that_add_up_are_a_reason_too(driving):
    """Each of them alone would not be worth a word."""
    person = align.align(person_in_picture(), driving).person
    pose = align.align(person, driving).pose
    pose = edit.transform(pose, move_x=0.015, scale=1.065, pivot="person")
    pose.hands[:3] += [0, 1]  # Outside for 3 of 48 frames
    fit = align.judge(person, pose)
    assert fit.score < align.GOOD_SCORE and "several small mismatches add up" in fit.reasons[0]


@pytest.mark.parametrize("size", ((768, 768), (512, 768), (960, 544)))
@pytest.mark.parametrize("mode", align.FRAMINGS)
def test_aligning_twice_is_aligning_once(driving, size, mode):
    crooked = edit.transform(edit.transform(driving, 0.2, -0.1, 1.4), scale=1.7, pivot="wrists")
    once = align.align(person_in_picture(), crooked, *size, framing=mode)
    twice = align.align(once.person, once.pose, *size, framing=mode)
    np.testing.assert_allclose(twice.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert_same(twice.pose, once.pose, 1e-12)
    assert_same(twice.person, once.person, 1e-12)
    np.testing.assert_allclose(twice.before.score, once.after.score)


def test_body_reach_and_hands_fit_the_person(driving):
    crooked = edit.transform(driving, 0.2, -0.1, 1.5)
    result = align.align(person_in_picture(), crooked)
    np.testing.assert_allclose(shoulders(result.pose), shoulders(result.person), atol=2)
    assert result.after.score > 95 and not result.after.reasons
    assert result.before.score < 20


def test_the_same_misplacement_is_always_undone(driving):
    """However the driving pose was moved and scaled, the aligned pose is the same."""
    person = person_in_picture()
    expected = align.align(person, driving).pose
    for moved in (
        edit.transform(driving, 0.3, 0.1, 0.6),
        edit.transform(driving, scale=1.8, pivot="wrists"),
        replace(edit.transform(driving, 0, 0, 0.5), width=1536, height=1536),
    ):
        np.testing.assert_allclose(align.align(person, moved).pose.hands, expected.hands, atol=1e-9)


def test_large_hands_are_named_with_their_factor(driving):
    person = person_in_picture()
    fitting = align.align(person, driving)
    large = edit.transform(fitting.pose, scale=1.8, pivot="wrists")
    fit = align.judge(fitting.person, large)
    assert fit.score < 55
    assert any("the pose's hands are 1.8× larger than the person's" in reason for reason in fit.reasons)
    small = align.judge(fitting.person, edit.transform(fitting.pose, scale=0.5, pivot="wrists"))
    assert any("hands are 2.0× smaller" in reason for reason in small.reasons)


def test_the_score_falls_as_the_misfit_grows(driving):
    fitting = align.align(person_in_picture(), driving)
    for change in (
        lambda amount: edit.transform(fitting.pose, 0.15 * amount),
        lambda amount: edit.transform(fitting.pose, 0, -0.1 * amount),
        lambda amount: edit.transform(fitting.pose, scale=1 + 0.4 * amount, pivot="person"),
        lambda amount: edit.transform(fitting.pose, scale=1 + 0.6 * amount, pivot="wrists"),
    ):
        scores = [align.judge(fitting.person, change(amount)).score for amount in (0, 0.5, 1)]
        assert scores[0] > scores[1] > scores[2]
        assert 0 <= scores[2] < 70


def test_the_side_of_an_offset_is_named(driving):
    fitting = align.align(person_in_picture(), driving)
    for move, word in (((0.15, 0), "right of"), ((-0.15, 0), "left of"), ((0, 0.15), "below"), ((0, -0.15), "above")):
        reasons = align.judge(fitting.person, edit.transform(fitting.pose, *move)).reasons
        assert any(word in reason for reason in reasons)


def test_without_a_body_the_wrists_decide(driving):
    person = person_in_picture()
    bare = replace(edit.transform(driving, 0.3, -0.2, 1.6), bodies=None, body_scores=None, faces=None, face_scores=None)
    result = align.align(person, bare)
    wrists = [pose.hands[:, :, 0].mean(axis=(0, 1)) for pose in (result.pose, result.person)]
    np.testing.assert_allclose(wrists[0], wrists[1], atol=0.01)
    assert any("only the hands could be compared" in reason for reason in result.after.reasons)
    again = align.align(result.person, result.pose)
    assert_same(again.pose, result.pose, 1e-9)


def test_the_original_framing_is_kept_to_a_pixel():
    person = person_in_picture()
    rule = framing(person.bodies, person.faces, person.width, person.height)
    matrix = align.align(person, person, framing="original").matrix
    row, row_end, column, column_end = rule.video_params
    np.testing.assert_allclose(matrix[0, 0], 768 / (row_end - row + 1), rtol=0.003)
    middle = np.array([(column + column_end) / 2, row])
    np.testing.assert_allclose(matrix[:, :2] @ middle + matrix[:, 2], [384, 0], atol=1.5)


def test_show_hands_widens_only_where_it_must(driving):
    person = person_in_picture(gesture="hands_folded")
    fitting = align.align(person, driving, framing="original")
    assert ((fitting.pose.hands > 0) & (fitting.pose.hands < 1)).all()
    np.testing.assert_allclose(align.align(person, driving).matrix, fitting.matrix)
    low = edit.transform(driving, scale=1.0)
    low.hands[...] += [0, 0.25]
    tight, wide = (align.align(person, low, framing=mode) for mode in ("original", "show hands"))
    assert tight.pose.hands.max() > 1.03
    assert wide.pose.hands.max() < 1.03 and wide.matrix[0, 0] < tight.matrix[0, 0]
    assert any("outside the picture: choose another gesture" in reason for reason in tight.after.reasons)


def test_the_picture_goes_where_its_pose_goes():
    person = person_in_picture()
    result = align.align(person, person)
    picture = np.zeros((person.height, person.width, 3), np.uint8)
    x, y = (person.hands[0, 0, 8] * (person.width, person.height)).round().astype(int)
    picture[y - 6 : y + 6, x - 6 : x + 6] = 255
    warped = align.warp_picture(picture, result.matrix, 768, 768)
    rows, columns = np.nonzero(warped[..., 0] > 127)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(found, result.person.hands[0, 0, 8] * 768, atol=1.5)


def test_beyond_the_picture_it_is_black_or_its_edge():
    person = person_in_picture(x=-0.15)
    matrix = align.align(person, person, 768, 512).matrix
    picture = np.full((person.height, person.width, 3), 200, np.uint8)
    assert align.warp_picture(picture, matrix, 768, 512, "black")[:, :20].max() == 0
    assert align.warp_picture(picture, matrix, 768, 512, "edge").min() == 200


def test_a_picture_without_a_person_says_so(driving):
    nobody = replace(
        person_in_picture(),
        bodies=None,
        body_scores=None,
        faces=None,
        face_scores=None,
        hand_scores=np.zeros((1, 2, 21)),
    )
    result = align.align(nobody, driving)
    assert result.after.score == result.before.score == 0
    assert "nobody was found in the picture" in result.after.reasons[0]


@pytest.mark.parametrize("y", (-0.3, -0.2, 1.0))
@pytest.mark.parametrize("mode", ("show hands", "original"))
def test_a_person_beyond_the_edge_of_the_picture_does_not_turn_it_upside_down(driving, mode, y):
    outside = person_in_picture(675, 1804, 0.26, y, 0.36)
    result = align.align(outside, driving, 566, 986, framing=mode)
    assert result.matrix[0, 0] > 0 and result.after.score <= 30
    assert "no head and shoulders were found" in result.after.reasons[0]
    again = align.align(result.person, result.pose, 566, 986, framing=mode)
    assert_same(again.pose, result.pose, 1e-9)


def test_a_pose_without_hands_scores_nothing(driving):
    fit = align.align(person_in_picture(), edit.mute(driving, "both")).after
    assert fit.score == 0 and "no hands" in str(fit)


def test_without_a_face_the_head_frames_the_picture():
    person = person_in_picture()
    with_face = align.align(person, person).matrix
    without = align.align(replace(person, faces=None, face_scores=None), person).matrix
    np.testing.assert_allclose(without[0, 0], with_face[0, 0], rtol=0.05)
    assert MARGIN_ABOVE > 0


def test_unknown_framing_is_named(driving):
    with pytest.raises(ValueError, match="'cinema'"):
        align.align(person_in_picture(), driving, framing="cinema")
