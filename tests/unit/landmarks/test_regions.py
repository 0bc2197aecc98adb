"""Turned squares: points go there and back, crops are OpenCV's, and the smooth crop carries gradients."""

import numpy as np
import pytest
import torch

from echomimic_core.landmarks.regions import sample, sample_smoothly, spread, square_of, to_picture, to_square, turn

SQUARES = np.array(
    [(60.0, 50.0, 40.0, 0.0), (70.3, 40.8, 55.2, 0.7), (5.0, 90.0, 64.0, -2.5), (64.0, 48.0, 200.0, 3.0)]
)


def picture(height: int = 96, width: int = 128) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (1, height, width, 3))
    return torch.from_numpy(values.astype(np.uint8))


def test_points_go_to_the_square_and_back():
    points = np.random.default_rng(1).uniform(-50, 200, (len(SQUARES), 7, 2))
    assert np.allclose(to_picture(to_square(points, SQUARES), SQUARES), points)


def test_corners_of_an_upright_square_lie_half_a_side_from_its_middle():
    corners = to_picture(np.array([[(0.0, 0.0), (1.0, 1.0)]]), SQUARES[:1])[0]
    assert np.allclose(corners, [(40, 30), (80, 70)])


def test_a_hand_that_points_up_needs_no_turn_and_one_to_the_right_a_quarter():
    wrist, up, right = np.array([0.0, 0.0]), np.array([0.0, -1.0]), np.array([1.0, 0.0])
    assert turn(wrist, up, np.pi / 2) == pytest.approx(0)
    assert turn(wrist, right, np.pi / 2) == pytest.approx(np.pi / 2)


def test_a_shift_moves_along_the_turned_axis():
    square = square_of(np.zeros((1, 2)), np.array([(10.0, 20.0)]), np.array([np.pi / 2]), 2.0, -0.5)[0]
    assert np.allclose(square, [10, 0, 40, np.pi / 2])


@pytest.mark.parametrize("outside", ["edge", "black"])
def test_crops_equal_those_of_opencv_up_to_its_version(outside):
    cv2 = pytest.importorskip("cv2")
    pictures, size = picture(), 48
    ours = sample(pictures, np.zeros(len(SQUARES), int), SQUARES, size, (0.0, 255.0), outside)
    border = cv2.BORDER_REPLICATE if outside == "edge" else cv2.BORDER_CONSTANT
    for crop, square in zip(ours, SQUARES, strict=True):
        corners = to_picture(np.array([[(0, 1), (0, 0), (1, 0), (1, 1)]], float), square[None])[0].astype(np.float32)
        target = np.array([(0, size), (0, 0), (size, 0), (size, size)], np.float32)
        matrix = cv2.getPerspectiveTransform(corners, target)
        theirs = cv2.warpPerspective(pictures[0].numpy(), matrix, (size, size), borderMode=border)
        gap = np.abs(crop.permute(1, 2, 0).numpy() - theirs)
        if int(cv2.__version__.split(".")[0]) < 5:
            # Equal, but for places that lie between two thirty-seconds of a pixel.
            assert (gap > 0).mean() < 1e-3
        else:
            # OpenCV 5 no longer rounds places to 1/32 pixel, which shows on noise of full contrast.
            assert gap.max() <= 6 and gap.mean() < 1


def test_the_smooth_crop_is_the_rounded_one_up_to_its_rounding():
    smooth_picture = torch.nn.functional.interpolate(
        picture(12, 16).permute(0, 3, 1, 2).float(), size=(96, 128), mode="bicubic"
    ).clamp(0, 255)
    rounded = sample(smooth_picture.permute(0, 2, 3, 1).round().byte(), np.zeros(4, int), SQUARES, 48, (0.0, 255.0))
    smooth = sample_smoothly(smooth_picture.expand(4, -1, -1, -1), torch.from_numpy(SQUARES), 48)
    assert float((rounded - smooth).abs().max()) < 3


def test_gradients_reach_only_the_pixels_in_the_square():
    pictures = picture().permute(0, 3, 1, 2).float().requires_grad_()
    sample_smoothly(pictures, torch.tensor([[60.0, 50.0, 40.0, 0.0]]), 48).sum().backward()
    touched = pictures.grad[0].abs().sum(0) > 0
    assert touched[45:55, 55:65].all() and not touched[:28].any() and not touched[:, 82:].any()


def test_a_spread_map_lies_where_its_square_lies():
    square = np.array([(60.0, 50.0, 40.0, 0.0)])
    spread_map = spread(torch.ones(1, 8, 8), square, 96, 128)[0]
    assert float(spread_map[50, 60]) == pytest.approx(1)
    assert float(spread_map[:25].sum() + spread_map[:, 85:].sum()) == 0
