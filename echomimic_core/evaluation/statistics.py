"""How sure a mean or a share is, and whether one method is better than another: intervals and paired tests."""

from dataclasses import dataclass

import numpy as np

RESAMPLES, SEED, COVERAGE = 10_000, 0, 0.95
LEAST_CLIPS = 3
# With fewer pairs no outcome of the two-sided signed-rank test is below 0.05.
LEAST_PAIRS = 6


def bootstrap_interval(values: list[float]) -> tuple[float, float] | None:
    """The 95 % percentile interval of the mean of values, by 10,000 resamples of them; None of fewer than 3."""
    if len(values) < LEAST_CLIPS:
        return None
    draws = np.random.default_rng(SEED)
    values = np.sort(np.asarray(values, np.float64))
    means = np.concatenate(
        [values[draws.integers(0, len(values), (RESAMPLES // 10, len(values)))].mean(1) for _ in range(10)]
    )
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def exact_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (0..1) of `count` independent answers by Clopper and Pearson (1934).

    Never narrower than the answers allow, however few or unanimous they are. Answers between 0 and 1, as the share of
    one person's votes is, scatter less than the yes and no that it is made for, so it holds for them too.
    """
    from scipy.stats import beta

    tail, hits = (1 - COVERAGE) / 2, share * count
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return low, high


@dataclass(frozen=True)
class PairedTest:
    """Two methods on the same clips.

    Attributes
    ----------
    difference : mean of the first method's values less the second's. interval : of that mean, as `bootstrap_interval`.
    p : of Wilcoxon's two-sided signed-rank test, not corrected for the number of comparisons; nan below 6 clips.
    clips : how many clips both have.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float
    clips: int


def paired_test(first: dict[str, float], second: dict[str, float]) -> PairedTest | None:
    """Compare values of clips by name; None where no clip has a finite value in both."""
    names = [name for name in first if name in second and np.isfinite([first[name], second[name]]).all()]
    if not names:
        return None
    differences = np.array([first[name] - second[name] for name in names])
    p = float("nan")
    if len(names) >= LEAST_PAIRS and differences.any():
        from scipy.stats import wilcoxon

        p = float(wilcoxon(differences).pvalue)
    return PairedTest(float(differences.mean()), bootstrap_interval(differences.tolist()), p, len(names))
