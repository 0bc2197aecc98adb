"""Kernel distance (KID) of two sets of Inception features: unbiased, so small sets can be compared."""

from collections.abc import Iterable

import numpy as np

from .metric import Arrays, Distance, Metric

SUBSETS, SUBSET = 100, 1000
# The seed of torch-fidelity, so that the same features give the same number.
SEED = 2020
LEAST = 2


def polynomial_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of features x, y (n, dim) under the kernel (x·y / dim + 1)³.

    Source: Bińkowski et al. 2018 (arXiv 1801.01401).
    """
    count = len(x)
    own_x, own_y, cross = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    own = (own_x.sum() - np.trace(own_x) + own_y.sum() - np.trace(own_y)) / (count * (count - 1))
    return float(own - 2 * cross.mean())


def kernel_distance(x: np.ndarray, y: np.ndarray, subsets: int = SUBSETS, size: int = SUBSET) -> tuple[float, float]:
    """Mean and standard deviation of `polynomial_mmd` over random subsets of x (n, dim) and y (m, dim).

    As torch-fidelity computes it, with the same draws; subsets are no larger than the smaller set.

    Raises
    ------
    ValueError : fewer than 2 samples on a side.
    """
    size = min(size, len(x), len(y))
    if size < LEAST:
        raise ValueError(f"KID needs at least {LEAST} samples per side, but there are {min(len(x), len(y))}")
    draws = np.random.RandomState(SEED)
    values = [
        polynomial_mmd(x[draws.choice(len(x), size, replace=False)], y[draws.choice(len(y), size, replace=False)])
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def sample_of(arrays: Arrays) -> np.ndarray:
    """The features (n, dim) that an extractor has given, all of them or evenly thinned, see `RowSample`."""
    return arrays["sample"] if "sample" in arrays else arrays["rows"]


def distance(generated: Iterable[Arrays], real: Iterable[Arrays]) -> Distance:
    """KID of what two sets of clips have as features."""
    x, y = (np.concatenate([sample_of(arrays) for arrays in side]).astype(np.float64) for side in (generated, real))
    value, deviation = kernel_distance(x, y)
    return Distance(value, (len(x), len(y)), deviation)


class RowSample:
    """Rows as they come, up to `most`; beyond, every second one, every fourth, and so on, evenly over the clip."""

    def __init__(self, most: int = 10_000):
        self.most, self.step, self.seen = most, 1, 0
        self.rows: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Take in rows (n, dim)."""
        for row in rows:
            if self.seen % self.step == 0:
                self.rows.append(np.asarray(row, np.float32))
            self.seen += 1
            if len(self.rows) > self.most:
                self.rows, self.step = self.rows[::2], 2 * self.step

    def array(self) -> np.ndarray:
        """The rows (n, dim) that are kept."""
        return np.stack(self.rows)


METRICS = (
    Metric(
        "kid",
        "KID",
        "inception",
        "set",
        "lower",
        f"Squared maximum mean discrepancy of the 2048 pool3 features of Inception v3 under (x·y/2048 + 1)³, "
        f"unbiased, averaged over {SUBSETS} random subsets of {SUBSET} frames per side (of all frames of the smaller "
        "side, if it has fewer), generated against real; of clips of more than 10,000 frames, evenly thinned ones.",
        "Bińkowski et al. 2018 (arXiv 1801.01401); draws and subsets as torch-fidelity's",
        "near 0; unbiased, so small sets can be compared",
        distance=distance,
    ),
)
