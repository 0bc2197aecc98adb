"""Fréchet distance of two sets of features, from streamed moments."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..protocols import FVD_PROTOCOLS
from .metric import Arrays, Distance, Metric, paper


class Moments:
    """Count, mean and covariance of feature rows that come in any portions.

    Rows are kept while there are fewer of them than features have dimensions, then folded into sums: the size never
    exceeds one dim x dim matrix, however long the clip.
    """

    def __init__(self, dim: int):
        self.dim = dim
        self.count = 0
        self._rows: list[np.ndarray] = []
        self._mean = np.zeros(dim)
        self._scatter: np.ndarray | None = None

    def add(self, rows: np.ndarray) -> None:
        """Take in rows (n, dim)."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"feature rows of shape {rows.shape} do not fit {self.dim} dimensions")
        if not np.isfinite(rows).all():
            raise ValueError("the features contain values that are not numbers: the network or its weights are damaged")
        if len(rows):
            self._rows.append(rows)
            self.count += len(rows)
        if sum(map(len, self._rows)) > self.dim:
            self._fold()

    def merge(self, other: "Moments") -> None:
        """Take in everything another one has seen."""
        if other._scatter is not None:
            self._join(other.count - sum(map(len, other._rows)), other._mean, other._scatter)
            self.count += other.count - sum(map(len, other._rows))
        for rows in other._rows:
            self.add(rows)

    def _fold(self) -> None:
        rows = np.concatenate(self._rows)
        mean = rows.mean(0)
        centred = rows - mean
        folded = self.count - len(rows)
        self._rows = []
        self._join(len(rows), mean, centred.T @ centred, folded)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray, folded: int | None = None) -> None:
        """Chan's update of mean and scatter by those of another part."""
        if folded is None:
            folded = self.count - sum(map(len, self._rows))
        total = folded + count
        shift = mean - self._mean
        joined = scatter if self._scatter is None else self._scatter + scatter
        self._scatter = joined + np.outer(shift, shift) * (folded * count / total)
        self._mean = self._mean + shift * (count / total)

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (dim,) and unbiased covariance (dim, dim); ValueError with fewer than two rows."""
        if self.count < 2:
            raise ValueError(f"a distribution needs at least 2 samples, but there are {self.count}")
        if self._rows:
            self._fold()
        return self._mean, self._scatter / (self.count - 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state as arrays, for the cache."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, self.dim))
        # What networks give is float32, and half the size on disk.
        single = rows.astype(np.float32)
        rows = single if np.array_equal(single, rows) else rows
        state = {"count": np.array(self.count), "rows": rows, "mean": self._mean}
        return state if self._scatter is None else state | {"scatter": self._scatter}

    @classmethod
    def from_arrays(cls, state: dict[str, np.ndarray]) -> "Moments":
        """What `arrays` gave."""
        moments = cls(len(state["mean"]))
        moments.count, moments._mean = int(state["count"]), state["mean"]
        moments._scatter = state.get("scatter")
        moments._rows = [state["rows"].astype(np.float64)] if len(state["rows"]) else []
        return moments


def frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|mean_a - mean_b|² + tr(A + B - 2 (A B)^½) of two Gaussians, 0 if they are equal.

    The trace of the root is the sum of the roots of the eigenvalues of the symmetric A^½ B A^½, so singular
    covariances (fewer samples than dimensions) need no added epsilon.
    Source: Dowson & Landau 1982; Heusel et al. 2017 (arXiv 1706.08500).

    Parameters
    ----------
    mean_a, mean_b : (dim,). covariance_a, covariance_b : (dim, dim), symmetric, positive semidefinite.
    """
    from scipy.linalg import eigh

    mean_a, mean_b = np.atleast_1d(mean_a), np.atleast_1d(mean_b)
    covariance_a, covariance_b = np.atleast_2d(covariance_a), np.atleast_2d(covariance_b)
    if mean_a.shape != mean_b.shape or covariance_a.shape != covariance_b.shape:
        raise ValueError(f"features of {len(mean_a)} and of {len(mean_b)} dimensions cannot be compared")
    values, vectors = eigh(covariance_a)
    root = vectors * np.sqrt(values.clip(min=0))
    # Signs and order of eigenvectors do not matter here: root.T B root has the eigenvalues of A^½ B A^½.
    cross = eigh(root.T @ covariance_b @ root, eigvals_only=True).clip(min=0)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(cross).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + trace, 0.0))


def pooled(parts: Iterable[Arrays]) -> Moments:
    """The moments of all features whose parts `Moments.arrays` gave; ValueError without any part."""
    moments = None
    for arrays in parts:
        part = Moments.from_arrays(arrays)
        moments = moments or Moments(part.dim)
        moments.merge(part)
    if moments is None:
        raise ValueError("a distribution needs samples, but there are none")
    return moments


def distance_of(a: Moments, b: Moments) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of features; ValueError with fewer than two rows."""
    return frechet_distance(*a.mean_and_covariance(), *b.mean_and_covariance())


def distance(generated: Iterable[Arrays], real: Iterable[Arrays]) -> Distance:
    """Fréchet distance of what two sets of clips have as features."""
    a, b = pooled(generated), pooled(real)
    return Distance(distance_of(a, b), (a.count, b.count))


_FVD = (
    "Fréchet distance of the 400 logits of I3D (Kinetics-400), generated against real; protocol {}: {}. Frames have "
    "their short side at 224 (bilinear) and are cut to the middle square."
)

METRICS = (
    Metric(
        "fid",
        "FID",
        "inception",
        "set",
        "lower",
        "Fréchet distance of the 2048 pool3 features of Inception v3 of all frames, generated against real.",
        "Heusel et al. 2017 (arXiv 1706.08500), PyTorch weights of 2015-12-05",
        "under 50; below 2048 frames per side it is biased upwards",
        paper=paper(58.98, 53.47, 49.33),
        unlike_paper="depends on how many frames count, which the paper does not state: compare whole test sets",
        distance=distance,
        features=2048,
    ),
    Metric(
        "fvd",
        "FVD",
        "i3d",
        "set",
        "lower",
        _FVD.format("all", FVD_PROTOCOLS["all"].format(16)),
        "Unterthiner et al. 2018 (arXiv 1812.01717); Carreira & Zisserman 2017 (arXiv 1705.07750)",
        "under 600; only sets of many clips compare well, and only by the same protocol",
        paper=paper(1016, 623, 598),
        unlike_paper="not comparable: the paper states neither the length of its samples nor how many it takes",
        distance=distance,
        features=400,
    ),
)


def fvd(protocol: str, frames: int) -> Metric:
    """FVD by a protocol of `FVD_PROTOCOLS`, of stretches of so many frames."""
    return replace(METRICS[1], definition=_FVD.format(protocol, FVD_PROTOCOLS[protocol].format(frames)))
