"""Editing keeps what it should: identities, lengths, endpoints, sides."""

from dataclasses import replace

import numpy as np
import pytest
from poses import assert_same, random_pose

from echomimic_core.pose import edit, gestures
from echomimic_core.pose.draw import draw_maps
from echomimic_core.pose.hand_pose import hand_root
from echomimic_core.pose.track import present

NOTHING = {
    "trim": lambda pose: edit.trim(pose, 0, 0),
    "retime": lambda pose: edit.retime(pose, len(pose)),
    "change_rate": lambda pose: edit.change_rate(pose, pose.fps),
    "close_loop": lambda pose: edit.close_loop(pose, 0),
    "smooth": lambda pose: edit.smooth(pose, 0.0),
    "transform": lambda pose: edit.transform(pose),
    "mute": lambda pose: edit.mute(pose, "none"),
    "limit_speed": lambda pose: edit.limit_speed(pose, 0.0),
    **{mode: lambda pose, mode=mode: edit.fit_length(pose, len(pose), mode) for mode in edit.FIT_MODES},
}


def walk(frames, **fields):
    """A pose that moves smoothly."""
    pose = random_pose(1, **fields)
    t = np.linspace(0, 1, frames)[:, None, None, None]
    hands = pose.hands * 0.5 + 0.25 * np.concatenate([np.sin(6 * t), np.cos(4 * t)], axis=-1)
    return replace(pose.take(np.zeros(frames, int)), hands=hands)


@pytest.mark.parametrize("name", NOTHING)
def test_neutral_settings_change_nothing(name):
    pose = random_pose(region=(0, 768, 60, 700))
    assert_same(NOTHING[name](pose), pose)


@pytest.mark.parametrize("frames", (1, 4, 5, 6, 13, 40))
def test_lengths_are_exact(frames):
    pose = random_pose(5)
    order = {
        "loop": [i % 5 for i in range(frames)],
        "hold": [min(i, 4) for i in range(frames)],
        "ping-pong": [(0, 1, 2, 3, 4, 3, 2, 1)[i % 8] for i in range(frames)],
    }
    for mode, expected in order.items():
        assert_same(edit.fit_length(pose, frames, mode), pose.take(np.array(expected)))


def test_one_frame_can_be_any_length():
    for mode in edit.FIT_MODES:
        assert len(edit.fit_length(random_pose(1), 7, mode)) == 7


@pytest.mark.parametrize("frames", (2, 3, 11, 60))
def test_retiming_keeps_the_endpoints(frames):
    pose = random_pose(12)
    retimed = edit.retime(pose, frames)
    assert len(retimed) == frames
    assert_same(retimed.take(np.array([0, -1])), pose.take(np.array([0, -1])))


def test_retiming_to_twice_the_frames_and_back_is_exact():
    pose = random_pose(8)
    assert_same(edit.retime(edit.retime(pose, 15), 8), pose, 1e-12)


def test_another_rate_keeps_the_speed():
    pose = walk(48, fps=24.0)
    faster = edit.change_rate(pose, 60.0)
    assert len(faster) == 120 and faster.fps == 60
    np.testing.assert_allclose(faster.hands[50], pose.hands[20], atol=1e-12)


def test_mirror_twice_is_the_identity():
    for region in (None, (0, 768, 60, 500)):
        pose = random_pose(4, region=region)
        assert_same(edit.mirror(edit.mirror(pose)), pose, 1e-15)


def test_mirror_swaps_the_hands_and_what_is_paired():
    pose = random_pose(2)
    mirrored = edit.mirror(pose)
    np.testing.assert_allclose(mirrored.hands[:, 0], [1, 0] + pose.hands[:, 1] * [-1, 1])
    np.testing.assert_array_equal(mirrored.body_scores[:, 4], pose.body_scores[:, 7])
    # The right eye's outer corner becomes the left one's, the middle of the lips stays.
    np.testing.assert_array_equal(mirrored.face_scores[:, [36, 51, 8]], pose.face_scores[:, [45, 51, 8]])
    assert sorted(edit._FACE_MIRROR) == list(range(68)) and sorted(edit._BODY_MIRROR) == list(range(18))


def test_a_mirrored_map_is_the_mirror_image_of_the_wrists():
    pose = random_pose(1, body=False, face=False)
    drawn, mirrored = (draw_maps(p, None, 400, 400)[0] for p in (pose, edit.mirror(pose)))
    for hand in range(2):
        x, y = (pose.hands[0, hand, 0] * 400).astype(int)
        assert drawn[y, x, 0] > 0 and mirrored[y, 399 - x, 0] > 0


def test_moving_there_and_back_is_exact():
    pose = random_pose(region=(0, 768, 60, 700))
    for there, back in (
        ({"move_x": 0.1, "move_y": -0.05}, {"move_x": -0.1, "move_y": 0.05}),
        ({"scale": 1.5}, {"scale": 1 / 1.5}),
        ({"rotate": 33}, {"rotate": -33}),
    ):
        assert_same(edit.transform(edit.transform(pose, **there), **back), pose.whole_canvas(), 1e-12)


def test_turning_is_rigid_on_any_canvas_and_clockwise():
    pose = random_pose(1, width=1280, height=720)
    size = np.array([1280, 720])
    turned = edit.transform(pose, rotate=90)
    from_middle = pose.hands * size - size / 2
    np.testing.assert_allclose(turned.hands * size - size / 2, from_middle[..., ::-1] * [-1, 1], atol=1e-9)


def test_pivots_stay_in_place():
    pose = random_pose(3)
    wrists = edit.transform(pose, scale=2, rotate=45, pivot="wrists")
    np.testing.assert_allclose(wrists.hands[:, :, 0], pose.hands[:, :, 0])
    np.testing.assert_array_equal(wrists.bodies, pose.bodies)
    person = edit.transform(pose, scale=2, pivot="person")
    np.testing.assert_allclose(person.bodies[:, 1].mean(axis=0), pose.bodies[:, 1].mean(axis=0))


def without_wrists(pose, body=True):
    """The pose as detectors give it that drop single points: the hands' wrists have score 0 and lie at the origin."""
    scores, hands = pose.hand_scores.copy(), pose.hands.copy()
    scores[:, :, 0], hands[:, :, 0] = 0, 0
    bodies = None if not body else pose.bodies.copy()
    if body:
        bodies[:, [7, 4]] = pose.hands[:, :, 0]
    return replace(pose, hands=hands, hand_scores=scores, bodies=bodies, body_scores=pose.body_scores if body else None)


def test_a_hand_hangs_on_its_wrist_then_on_the_bodys_then_on_its_middle():
    pose = random_pose(3)
    np.testing.assert_array_equal(hand_root(pose), pose.hands[:, :, 0])
    np.testing.assert_array_equal(hand_root(without_wrists(pose)), pose.hands[:, :, 0])
    np.testing.assert_allclose(hand_root(without_wrists(pose, body=False)), pose.hands[:, :, 1:].mean(axis=2))
    assert not hand_root(edit.mute(pose, "both")).any()


@pytest.mark.parametrize("body", (True, False))
def test_a_hand_without_its_wrist_point_stays_on_its_arm(body):
    pose = random_pose(3)
    lacking = without_wrists(pose, body)
    turned = edit.transform(lacking, scale=1.5, rotate=30, pivot="wrists")
    np.testing.assert_allclose(hand_root(turned), hand_root(lacking), atol=1e-12)
    assert not turned.hands[:, :, 0].any()
    if body:
        whole = edit.transform(pose, scale=1.5, rotate=30, pivot="wrists")
        np.testing.assert_allclose(turned.hands[:, :, 1:], whole.hands[:, :, 1:], atol=1e-12)


def test_a_muted_hand_is_never_drawn():
    pose = edit.mute(random_pose(2), "left")
    assert (pose.hand_scores[:, 0] == 0).all() and (pose.hand_scores[:, 1] > 0).all()
    both = edit.transform(edit.mute(pose, "both"), 0.2, 0.2, 2.0, 10)
    assert draw_maps(both, None, 256, 256).max() == 0


def test_speed_is_limited_and_slow_hands_are_untouched():
    pose = walk(48)
    limited = edit.limit_speed(pose, 0.3)
    steps = np.linalg.norm(np.diff(limited.hands[:, :, 0], axis=0), axis=-1)
    assert steps.max() <= 0.3 / 24 + 1e-12
    shape = limited.hands - limited.hands[:, :, :1]
    np.testing.assert_allclose(shape, pose.hands - pose.hands[:, :, :1], atol=1e-12)
    assert_same(edit.limit_speed(limited, 0.3), limited, 1e-12)
    assert_same(edit.limit_speed(pose, 50.0), pose, 1e-12)


def test_a_wrist_that_flickers_does_not_look_like_speed():
    pose = walk(48, body=False)
    lacking = without_wrists(pose, body=False)
    odd = np.arange(48) % 2 == 1
    flickers = replace(
        pose,
        hands=np.where(odd[:, None, None, None], lacking.hands, pose.hands),
        hand_scores=np.where(odd[:, None, None], lacking.hand_scores, pose.hand_scores),
    )
    assert_same(edit.limit_speed(flickers, 50.0), flickers, 1e-12)
    fingers = edit.limit_speed(flickers, 0.3).hands[:, :, 1:]
    steps = np.linalg.norm(np.diff(fingers, axis=0), axis=-1)
    assert steps.max() <= 0.3 / 24 + 1e-9
    assert_same(edit.limit_speed(lacking, 50.0), lacking, 1e-12)


@pytest.mark.parametrize("change", (lambda pose: edit.limit_speed(pose, 0.3), lambda pose: edit.smooth(pose, 0.7)))
def test_speed_and_jitter_are_measured_on_the_canvas_not_in_its_region(change):
    """Released files span a part of the canvas: the same places there give the same result."""
    in_region = walk(48, region=(0, 768, 192, 576))
    assert_same(change(in_region), change(in_region.whole_canvas()), 1e-12)
    assert np.abs(change(in_region).hands - in_region.whole_canvas().hands).max() > 1e-4


def test_smoothing_takes_jitter_but_keeps_the_way():
    clean = walk(120)
    noisy = replace(clean, hands=clean.hands + np.random.default_rng(0).normal(0, 0.002, clean.hands.shape))
    smooth = edit.smooth(noisy, 0.7)

    def jitter(pose):
        return np.abs(np.diff(pose.hands, 2, axis=0)).mean()

    assert jitter(smooth) < 0.4 * jitter(noisy)
    assert np.abs(smooth.hands - clean.hands).mean() < np.abs(noisy.hands - clean.hands).mean()


def test_blending_overlaps_and_keeps_both_ends():
    first, second = walk(20), edit.transform(walk(30), 0.1)
    joined = edit.blend(first, second, 8)
    assert len(joined) == 42
    assert_same(joined.take(np.arange(12)), first.take(np.arange(12)))
    assert_same(joined.take(np.arange(20, 42)), second.take(np.arange(8, 30)))
    biggest = max(np.abs(np.diff(p.hands, axis=0)).max() for p in (first, second))
    apart = np.abs(first.hands[12:] - second.hands[:8]).max()
    assert np.abs(np.diff(joined.hands, axis=0)).max() < biggest + apart / 8 * 1.6
    assert len(edit.blend(first, second, 0)) == 50


def test_blending_brings_rate_and_canvas_of_the_first():
    joined = edit.blend(walk(20), walk(50, width=512, height=1024, fps=48.0, body=False), 5)
    assert len(joined) == 20 + 25 - 5
    assert (joined.fps, joined.width, joined.height) == (24.0, 768, 768)
    assert joined.bodies is None and joined.faces is not None


@pytest.mark.parametrize("size", ((512, 1024), (1280, 720)))
def test_blending_another_shape_leaves_bars_and_does_not_crop(size):
    """A hand at the edge of the second pose's canvas is still in the picture."""
    second = walk(20, width=size[0], height=size[1])
    second.hands[:, 0], second.hands[:, 1] = (0.02, 0.03), (0.98, 0.97)
    placed = edit.blend(walk(20), second, 5).hands[-1, :, 0]
    scale = 768 / max(size)
    bars = (1 - np.array(size) * scale / 768) / 2
    np.testing.assert_allclose(placed, bars + (1 - 2 * bars) * [[0.02, 0.03], [0.98, 0.97]])


def test_no_frame_of_a_transition_belongs_to_one_pose_alone():
    """The frame before is the first pose's last own frame, the frame behind the second's: a repeat would stutter."""
    first, second = walk(20), edit.transform(walk(20), 0.1)
    mixed = edit.blend(first, second, 4).hands[16:20]
    share = ((mixed - first.hands[16:]) / (second.hands[:4] - first.hands[16:]))[..., 0].mean(axis=(1, 2))
    assert 0.05 < share[0] < share[1] < share[2] < share[3] < 0.95


def test_a_hand_that_only_one_pose_has_does_not_fly_in_from_the_corner():
    first, second = edit.mute(random_pose(10), "left"), random_pose(10, seed=1)
    joined = edit.blend(first, second, 6)
    seen = joined.hand_scores[:, 0] > 0
    assert joined.hands[:, 0][seen].min() >= 0.1
    assert seen[:6].sum() == 0 and seen[-4:].all()


def test_a_closed_loop_has_no_seam():
    pose = walk(60)
    looped = edit.close_loop(pose, 12)
    assert len(looped) == 48
    step = np.abs(np.diff(looped.hands, axis=0)).max()
    assert np.abs(looped.hands[0] - looped.hands[-1]).max() <= step
    assert np.abs(pose.hands[0] - pose.hands[-1]).max() > 3 * step


def marked(pose):
    """The pose as DWPose's public files tell it where a point is not seen: at -1, -1, with a low score left."""
    hands, scores = pose.hands.copy(), pose.hand_scores.copy()
    hands[20:24, 1, 8], scores[20:24, 1, 8] = -1.2, 0.22
    hands[30:34, 0, 0], scores[30:34, 0, 0] = -1.2, 0.22
    return replace(pose, hands=hands, hand_scores=scores)


MOVES = {
    "rate": lambda pose: edit.change_rate(pose, 30.0),
    "retime": lambda pose: edit.retime(pose, 70),
    "smooth": lambda pose: edit.smooth(pose, 0.5),
    "mirror": edit.mirror,
    "move in": lambda pose: edit.transform(pose, 0.05, 0.05, 0.5),
    "turn hands": lambda pose: edit.transform(pose, scale=1.1, rotate=30, pivot="wrists"),
    "turn small hands": lambda pose: edit.retime(edit.mirror(edit.transform(pose, 0, 0, 0.4)), 70),
    "limit": lambda pose: edit.limit_speed(pose, 0.3),
}


@pytest.mark.parametrize("move", MOVES)
def test_points_that_are_marked_as_not_seen_never_come_into_the_picture(move):
    clean = gestures.clip("explaining", 96)
    expected, found = MOVES[move](clean), MOVES[move](marked(clean))
    seen = ((found.hands > 0) & (found.hands < 1)).all(axis=-1)
    expected_seen = ((expected.hands > 0) & (expected.hands < 1)).all(axis=-1)
    assert np.linalg.norm(found.hands - expected.hands, axis=-1)[seen].max() < 0.02
    assert 5 <= (expected_seen & ~seen).sum() <= 15


def test_a_mark_of_a_point_not_seen_is_not_a_place():
    far = np.array([[-1.2, -1.2], [-0.34, -1.0], [-0.1, -0.1], [0.4, -2.0], [1.8, 0.2], [0.5, 0.5], [np.nan, 0.5]])
    np.testing.assert_array_equal(present(far, np.full(7, 0.2)), [False, False, True, True, True, True, False])
    assert not present(far, np.zeros(7)).any()


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda pose: edit.fit_length(pose, 10, "stretch"), "'stretch'"),
        (lambda pose: edit.fit_length(pose, 0, "loop"), "not 0"),
        (lambda pose: edit.trim(pose, 6), "the start frame is 6: choose 0 to 5"),
        (lambda pose: edit.trim(pose, 2, 9), "4 frames from frame 2 on, but 9 .* set frames to 0"),
        (lambda pose: edit.retime(pose, 0), "not 0"),
        (lambda pose: edit.mute(pose, "foot"), "'foot'"),
        (lambda pose: edit.transform(pose, scale=0), "scale is 0"),
        (lambda pose: edit.transform(pose, scale=2, pivot="moon"), "'moon'"),
        (lambda pose: edit.smooth(pose, 2.0), "2.0"),
        (lambda pose: edit.limit_speed(pose, -1), "-1"),
        (lambda pose: edit.blend(pose, pose, 7), "transition is 7"),
        (lambda pose: edit.close_loop(pose, 6), "seam is 6"),
        (lambda pose: edit.change_rate(pose, 0), "frame rate is 0"),
    ],
)
def test_impossible_edits_are_refused_with_a_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(random_pose(6))
