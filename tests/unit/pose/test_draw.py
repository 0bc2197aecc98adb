"""The hand map is the original's, on any canvas."""

import colorsys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from poses import random_pose

from echomimic_core.parity import pose as parity
from echomimic_core.pose.draw import GROUPS, draw_maps

PARITY = Path(__file__).parents[4] / "shared" / "parity"


def map_by_the_description(cv2, pose, frame, height, width):
    """One hand map drawn point by point, as the original is described to do it."""
    row, row_end, column, column_end = pose.region or (0, height, 0, width)
    high, wide = row_end - row, column_end - column
    scale = 800 / min(high, wide)
    canvas = np.zeros((int(high * scale), int(wide * scale), 3), np.uint8)
    edges = [(0 if i % 4 == 0 else i, i + 1) for i in range(20)]
    for points, scores in zip(pose.hands[frame], pose.hand_scores[frame], strict=True):
        pixels = [(int(x * canvas.shape[1]), int(y * canvas.shape[0])) for x, y in points]
        for i, (a, b) in enumerate(edges):
            if min(*pixels[a], *pixels[b]) > 0.01:
                colour = np.array(colorsys.hsv_to_rgb(i / 20, 1, 1)) * int(scores[a] * scores[b] * 255)
                cv2.line(canvas, pixels[a], pixels[b], colour.tolist(), 2)
        for pixel, score in zip(pixels, scores, strict=True):
            if min(pixel) > 0.01:
                cv2.circle(canvas, pixel, 4, (0, 0, int(score * 255)), -1)
    full = np.zeros((height, width, 3), np.uint8)
    full[row:row_end, column:column_end] = cv2.resize(canvas, (wide, high))[..., ::-1]
    return full


@pytest.mark.skipif(not PARITY.is_dir(), reason="the parity cases (../shared/parity) are not here")
def test_maps_are_those_of_the_original():
    error, tolerance, detail = parity.check_pose({"file": "poses/poses.json"}, PARITY)
    assert error <= tolerance, detail


@pytest.mark.parametrize(
    "height, width, region",
    [
        (768, 768, None),
        (512, 896, None),
        (640, 360, None),
        (768, 768, (0, 768, 120, 648)),
        (500, 500, (60, 440, 0, 500)),
    ],
)
def test_maps_are_as_described_on_any_canvas(height, width, region):
    cv2 = pytest.importorskip("cv2")
    # OpenCV 5 draws lines that leave the canvas a pixel off where OpenCV 4, and with it the original, draws them.
    low, high = (-0.1, 1.1) if cv2.__version__.startswith("4.") else (0.02, 0.98)
    pose = random_pose(3, seed=height, low=low, high=high, width=width, height=height, region=region)
    maps = draw_maps(pose, None, height, width)
    for frame in range(3):
        np.testing.assert_array_equal(maps[frame], map_by_the_description(cv2, pose, frame, height, width))


def test_dots_are_red_and_bones_coloured():
    pose = random_pose(1)
    drawn = draw_maps(pose, None, 768, 768)[0]
    x, y = (pose.hands[0, 1, 20] * 768).astype(int)
    assert drawn[y, x, 0] > 80 and drawn[y, x, 1:].max() == 0
    assert drawn[..., 1].max() > 100 and drawn[..., 2].max() > 100


def test_frames_are_drawn_in_the_order_asked_for():
    pose = random_pose(5)
    whole = draw_maps(pose, None, 256, 256)
    np.testing.assert_array_equal(draw_maps(pose, [4, 0, 0, 2], 256, 256), whole[[4, 0, 0, 2]])


def test_empty_hands_never_draw():
    pose = random_pose(4)
    empty = replace(pose, hands=np.zeros_like(pose.hands), hand_scores=np.zeros_like(pose.hand_scores))
    assert draw_maps(empty, None, 768, 768).max() == 0
    # Nor does a hand at places that are no numbers, or off the canvas.
    for value in (np.nan, np.inf, -0.5, 1e12, -1e12):
        assert draw_maps(replace(pose, hands=np.full_like(pose.hands, value)), None, 256, 256).max() == 0


def test_one_empty_hand_does_not_touch_the_other():
    pose = random_pose(2)
    gone = np.array([True, False])[:, None]
    alone = replace(
        pose,
        hands=np.where(gone[..., None], 0.0, pose.hands),
        hand_scores=np.where(gone, 0.0, pose.hand_scores),
    )
    full = draw_maps(pose, None, 768, 768)
    drawn = draw_maps(alone, None, 768, 768)
    assert drawn.any() and (drawn != full).any()
    # The right hand is drawn over the left one, so all of it is in the full map.
    np.testing.assert_array_equal(full[drawn.max(axis=-1) == 255], drawn[drawn.max(axis=-1) == 255])


def test_groups_add_body_face_and_lips():
    pose = random_pose(1)
    hands = draw_maps(pose, None, 768, 768)
    for group in ("body", "face", "lips"):
        drawn = draw_maps(pose, None, 768, 768, (group,))
        assert drawn.any() and (drawn != hands).any()
    lips_at = (pose.faces[0, 50] * 768).astype(int)
    assert draw_maps(pose, None, 768, 768, ("face",))[0][lips_at[1], lips_at[0]].max() == 0
    assert draw_maps(pose, None, 768, 768, ("lips",))[0][lips_at[1], lips_at[0]].min() > 80
    assert draw_maps(replace(pose, bodies=None, faces=None), None, 768, 768, GROUPS).any()


def test_unknown_group_is_named():
    with pytest.raises(ValueError, match="'feet'"):
        draw_maps(random_pose(1), None, 64, 64, ("feet",))


def test_maps_of_many_frames_are_those_of_each_alone():
    pose = random_pose(40)
    many = draw_maps(pose, None, 128, 128)
    for frame in (0, 15, 16, 39):
        np.testing.assert_array_equal(many[frame], draw_maps(pose, [frame], 128, 128)[0])
