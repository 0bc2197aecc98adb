"""PSNR and SSIM: scikit-image's numbers, perfect on equal pictures, worse with noise."""

import math

import numpy as np
import pytest

from echomimic_core.evaluation.metrics.quality import psnr, ssim
from tests.unit.evaluation_clips import moving_picture, noisy

PICTURE = moving_picture(1, 160)[0]


def theirs(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = a / 255, b / 255
    similarity = metrics.structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=-1
    )
    return metrics.peak_signal_noise_ratio(a, b, data_range=1), similarity


@pytest.mark.parametrize("strength", [0.5, 3, 20, 90])
@pytest.mark.parametrize("shape", [(160, 160), (101, 143), (11, 60), (98, 11)])
def test_psnr_and_ssim_equal_scikit_images(strength, shape):
    picture = PICTURE[: shape[0], : shape[1]]
    other = noisy(picture, strength)
    if np.array_equal(picture, other):
        pytest.skip("no noise was left after rounding")
    expected = theirs(picture, other)
    assert psnr(picture, other) == pytest.approx(expected[0], abs=1e-4)
    assert ssim(picture, other) == pytest.approx(expected[1], abs=1e-4)


def test_same_as_scikit_image_on_real_pictures(samples):
    from PIL import Image

    names = ("0035", "0077")
    first, second = (np.array(Image.open(samples / "reference" / f"{n}.png").convert("RGB"))[:400] for n in names)
    expected = theirs(first, second)
    assert psnr(first, second) == pytest.approx(expected[0], abs=1e-4)
    assert ssim(first, second) == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.parametrize("level", [2, 128, 250])
def test_flat_pictures_keep_their_digits(level):
    flat = np.full((64, 64, 3), level, np.uint8)
    striped = flat.copy()
    striped[::2] += 1
    assert ssim(flat, striped) == pytest.approx(theirs(flat, striped)[1], abs=1e-4)


def test_equal_pictures_are_perfect():
    assert psnr(PICTURE, PICTURE) == math.inf
    assert ssim(PICTURE, PICTURE) == pytest.approx(1, abs=1e-7)


def test_floats_and_bytes_are_the_same_picture():
    other = noisy(PICTURE, 9)
    assert psnr(PICTURE / 255, other / 255) == pytest.approx(psnr(PICTURE, other), abs=1e-4)
    assert ssim(PICTURE / 255, other / 255) == pytest.approx(ssim(PICTURE, other), abs=1e-6)


def test_more_noise_scores_worse():
    steps = [noisy(PICTURE, strength) for strength in (2, 6, 18, 54)]
    for measure in (psnr, ssim):
        values = [measure(PICTURE, step) for step in steps]
        assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


def test_the_order_of_the_pair_does_not_matter():
    other = noisy(PICTURE, 30)
    assert psnr(PICTURE, other) == psnr(other, PICTURE)
    assert ssim(PICTURE, other) == pytest.approx(ssim(other, PICTURE), abs=1e-6)


def test_other_sizes_are_a_sentence():
    with pytest.raises(ValueError, match="cannot be compared point by point"):
        psnr(PICTURE, PICTURE[:-1])


def test_a_tiny_picture_is_a_sentence():
    with pytest.raises(ValueError, match="10x20 is too small for SSIM"):
        ssim(PICTURE[:20, :10], PICTURE[:20, :10])
