"""Fréchet distance: closed forms, and moments that do not care how the rows came."""

import numpy as np
import pytest

from echomimic_core.evaluation.metrics.frechet import Moments, distance_of, frechet_distance


def gaussian(seed: int, dim: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(dim, dim))
    return generator.normal(size=dim), root @ root.T


def of(rows: np.ndarray) -> Moments:
    moments = Moments(rows.shape[1])
    moments.add(rows)
    return moments


def test_diagonal_gaussians_have_the_closed_form():
    mean_a, mean_b = np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 5.0])
    deviation_a, deviation_b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5])
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((deviation_a - deviation_b) ** 2)
    found = frechet_distance(mean_a, np.diag(deviation_a**2), mean_b, np.diag(deviation_b**2))
    assert found == pytest.approx(expected, rel=1e-12)


def test_general_gaussians_agree_with_the_matrix_root():
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    (mean_a, a), (mean_b, b) = gaussian(1), gaussian(2)
    expected = np.sum((mean_a - mean_b) ** 2) + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(mean_a, a, mean_b, b) == pytest.approx(expected, rel=1e-9)


def test_one_dimension_is_the_wasserstein_distance():
    assert frechet_distance(1.0, 4.0, 3.0, 9.0) == pytest.approx((1 - 3) ** 2 + (2 - 3) ** 2)


def test_equal_sets_are_at_distance_zero_even_with_fewer_samples_than_dimensions():
    rows = np.random.default_rng(0).normal(size=(5, 40))
    assert distance_of(of(rows), of(rows)) == pytest.approx(0, abs=1e-9)


def test_distance_is_symmetric():
    (mean_a, a), (mean_b, b) = gaussian(3), gaussian(4)
    assert frechet_distance(mean_a, a, mean_b, b) == pytest.approx(frechet_distance(mean_b, b, mean_a, a))


def test_more_noise_is_further_away():
    rows = np.random.default_rng(0).normal(size=(200, 8))
    noise = np.random.default_rng(1).normal(size=rows.shape)
    distances = [distance_of(of(rows), of(rows + strength * noise)) for strength in (0, 0.3, 1, 3)]
    assert distances == sorted(distances) and distances[1] > 1e-3


@pytest.mark.parametrize("portion", [1, 3, 7, 50])
def test_moments_do_not_depend_on_portions(portion):
    rows = np.random.default_rng(5).normal(3, 2, size=(50, 6))
    moments = Moments(6)
    for start in range(0, 50, portion):
        moments.add(rows[start : start + portion])
    mean, covariance = moments.mean_and_covariance()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(rows.T), rtol=1e-10)


@pytest.mark.parametrize("sizes", [(2, 3), (20, 2), (2, 20), (30, 20)])
def test_merged_moments_are_those_of_all_rows(sizes):
    rows = np.random.default_rng(6).normal(-1, 5, size=(sum(sizes), 6))
    first, second = of(rows[: sizes[0]]), of(rows[sizes[0] :])
    first.merge(second)
    mean, covariance = first.mean_and_covariance()
    assert first.count == len(rows)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(rows.T), rtol=1e-10)


@pytest.mark.parametrize("count", [3, 30])
def test_moments_are_the_same_after_the_cache(count):
    rows = np.random.default_rng(7).normal(size=(count, 6))
    again = Moments.from_arrays(of(rows).arrays())
    assert again.count == count
    for found, expected in zip(again.mean_and_covariance(), of(rows).mean_and_covariance(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_moments_stay_small_however_many_rows_come():
    moments = Moments(16)
    for seed in range(100):
        moments.add(np.random.default_rng(seed).normal(size=(10, 16)))
    assert sum(array.size for array in moments.arrays().values()) <= 2 * 16 * 16 + 2 * 16


def test_a_single_sample_is_a_sentence():
    with pytest.raises(ValueError, match="at least 2 samples, but there are 1"):
        distance_of(of(np.zeros((1, 4))), of(np.zeros((5, 4))))


def test_values_that_are_no_numbers_are_a_sentence():
    with pytest.raises(ValueError, match="not numbers"):
        Moments(3).add(np.array([[1.0, np.nan, 2.0]]))


def test_features_of_different_networks_are_a_sentence():
    with pytest.raises(ValueError, match="6 and of 4 dimensions"):
        frechet_distance(*gaussian(1, 6), *gaussian(1, 4))
