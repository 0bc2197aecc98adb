"""Pictures scaled and moved without OpenCV have OpenCV's values, where OpenCV is installed."""

import numpy as np
import pytest
import torch

from echomimic_core.media.scaling import resize_area, resize_linear, resize_part, source_range, warp_cubic


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """A picture as smooth as a photograph out of focus."""
    coarse = torch.from_numpy(noise(9, 12)).permute(2, 0, 1)[None].float()
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return fine[0].permute(1, 2, 0).clamp(0, 255).byte().numpy()


@pytest.fixture(scope="module")
def cv2():
    return pytest.importorskip("cv2")


@pytest.mark.parametrize("height, width", [(384, 384), (300, 517), (200, 225), (400, 450), (512, 600), (33, 47)])
def test_linear_scaling_equals_that_of_opencv(cv2, height, width):
    picture = noise(400, 450)
    ours = resize_linear(torch.from_numpy(picture)[None], height, width)[0].numpy()
    np.testing.assert_array_equal(ours, cv2.resize(picture, (width, height)))


@pytest.mark.parametrize("height, width", [(384, 384), (200, 225)])
def test_a_part_is_scaled_from_its_source_alone(height, width):
    pictures = torch.from_numpy(noise(400, 450))[None]
    rows, columns = slice(30, 120), slice(0, 77)
    down, across = source_range(400, height, rows), source_range(450, width, columns)
    part = resize_part(pictures[:, down, across], (400, 450), (height, width), rows, columns)
    assert torch.equal(part, resize_linear(pictures, height, width)[:, rows, columns])


@pytest.mark.parametrize("height, width", [(200, 225), (100, 90), (399, 450), (33, 47)])
def test_area_scaling_is_within_one_step_of_that_of_opencv(cv2, height, width):
    picture = noise(400, 450)
    ours = resize_area(torch.from_numpy(picture), height, width).numpy()
    theirs = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_area_scaling_never_enlarges():
    with pytest.raises(ValueError, match="10x10 cannot shrink to 20x5"):
        resize_area(torch.zeros(10, 10, 3, dtype=torch.uint8), 5, 20)


@pytest.mark.parametrize("outside", ["edge", "black"])
@pytest.mark.parametrize("matrix", [((0.7, 0.1, 10.3), (-0.1, 0.7, 50.0)), ((1.3, 0, -20.0), (0, 1.3, -31.5))])
def test_a_cubic_warp_is_within_one_step_of_that_of_opencv(cv2, matrix, outside):
    picture, matrix = smooth(300, 400), np.array(matrix)
    ours = warp_cubic(torch.from_numpy(picture), matrix, 240, 320, outside).numpy()
    border = cv2.BORDER_REPLICATE if outside == "edge" else cv2.BORDER_CONSTANT
    theirs = cv2.warpAffine(picture, matrix, (320, 240), flags=cv2.INTER_CUBIC, borderMode=border)
    gap = np.abs(ours.astype(int) - theirs)
    # OpenCV 5 rounds places in another way, which shows at the picture's edge against black.
    assert (gap > 1).mean() < (1e-9 if cv2.__version__.startswith("4.") else 5e-3)


def test_a_matrix_that_does_nothing_changes_nothing():
    picture = noise(40, 50)
    assert (warp_cubic(torch.from_numpy(picture), np.eye(3)[:2], 40, 50).numpy() == picture).all()
