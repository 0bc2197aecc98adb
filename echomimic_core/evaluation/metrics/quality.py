"""PSNR and SSIM of pictures against the real ones, fast enough for every frame of a clip.

Own code for speed alone: SSIM of a 768 x 768 frame takes scikit-image 10 to 18 times and torchmetrics 25 times as long,
which is minutes for a minute of video. The tests hold both numbers to scikit-image's.
"""

import math
import threading
from collections.abc import Callable

import numpy as np

from ..clips import Clip
from .metric import Metric, Store, paper

# Wang et al. 2004: an 11 x 11 Gaussian window, and the constants for a range of 1.
WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
STRIP = 96


def _unit(picture: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture)
    return picture.astype(np.float32) / 255 if picture.dtype == np.uint8 else picture.astype(np.float32)


def _check(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared point by point")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two pictures, infinite if they are equal; higher is better.

    -10 log10 of the mean squared error; as scikit-image's `peak_signal_noise_ratio` with `data_range=1`.
    Source: Huynh-Thu & Ghanbari 2008, "Scope of validity of PSNR in image/video quality assessment".

    Parameters
    ----------
    a, b : (H, W, 3), uint8, or floats in 0..1; the peak is 1.
    """
    from ...media.opencv import cv2

    _check(a, b)
    if a.dtype == b.dtype == np.uint8:
        error = cv2.norm(a, b, cv2.NORM_L2SQR) / (255**2 * a.size)
    else:
        error = float(np.square(_unit(a) - _unit(b)).mean(dtype=np.float64))
    return -10 * math.log10(error) if error else math.inf


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two pictures, 1 if they are equal; higher is better.

    11 x 11 Gaussian window with σ 1.5, range 1, population covariance, mean over the places where the window lies
    inside of the picture, then over channels; as scikit-image computes it with `gaussian_weights=True`.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".

    Parameters
    ----------
    a, b : (H, W, 3), uint8, or floats in 0..1; at least 11 pixels high and wide.
    """
    _check(a, b)
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"a picture of {a.shape[1]}x{a.shape[0]} is too small for SSIM, which needs {WINDOW} pixels")
    rows = a.shape[0] - WINDOW + 1
    total = 0.0
    # Strips stay in the processor's cache: twice as fast as the picture at once.
    for top in range(0, rows, STRIP):
        strip = slice(top, min(top + STRIP, rows) + WINDOW - 1)
        total += _similarity(a[strip], b[strip])
    return total / (rows * (a.shape[1] - WINDOW + 1) * (a.size // (a.shape[0] * a.shape[1])))


_local = threading.local()


def _buffers(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Seven arrays of a shape, the same ones each time: fresh memory costs more than the arithmetic on it."""
    kept = _local.__dict__.setdefault("buffers", {})
    if shape not in kept:
        if len(kept) > 8:
            kept.clear()
        kept[shape] = [np.empty(shape, np.float32) for _ in range(7)]
    return kept[shape]


def _similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of SSIM over every place where the window lies inside of a and b (H, W, C)."""
    from ...media.opencv import cv2

    x, y, mean_x, mean_y, squares, product, scratch = _buffers(a.shape)
    # Around zero, because squares of numbers near 1 would lose the digits that small variances need.
    for picture, centred in ((a, x), (b, y)):
        np.multiply(picture, 1 / 255 if picture.dtype == np.uint8 else 1, out=centred, casting="unsafe")
        centred -= 0.5
    np.multiply(x, x, out=squares)
    squares += np.multiply(y, y, out=scratch)
    np.multiply(x, y, out=product)

    def blur(values: np.ndarray, out: np.ndarray) -> np.ndarray:
        cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, out)
        return out[WINDOW // 2 : -(WINDOW // 2), WINDOW // 2 : -(WINDOW // 2)]

    mean_x, mean_y = blur(x, mean_x), blur(y, mean_y)
    variances, covariance = blur(squares, x), blur(product, y)
    inner = np.s_[: mean_x.shape[0], : mean_x.shape[1]]
    squares, product, scratch = squares[inner], product[inner], scratch[inner]
    np.multiply(mean_x, mean_x, out=squares)
    squares += np.multiply(mean_y, mean_y, out=scratch)
    np.multiply(mean_x, mean_y, out=product)
    variances -= squares
    covariance -= product
    # Luminance needs the true means: (x + 1/2)(y + 1/2) = xy + (x + y)/2 + 1/4, and likewise the squares.
    moved = np.add(mean_x, mean_y, out=scratch)
    moved += 0.5 + K1**2
    squares += moved
    product *= 2
    product += moved
    covariance *= 2
    covariance += K2**2
    variances += K2**2
    product *= covariance
    squares *= variances
    product /= squares
    return float(product.sum(dtype=np.float64))


def _mean_of_frames(name: str) -> Callable[[Store, Clip], float]:
    def score(store: Store, clip: Clip) -> float:
        values = store.arrays("pair", clip, name)["values"]
        finite = values[np.isfinite(values)]
        return float(finite.mean()) if len(finite) else math.inf

    return score


def _per_frame(name: str) -> Callable[[Store, Clip], dict[str, np.ndarray]]:
    return lambda store, clip: {name: store.arrays("pair", clip, name)["values"]}


METRICS = (
    Metric(
        "psnr",
        "PSNR",
        "compare",
        "pair",
        "higher",
        "−10·log10 of the mean squared error of two frames in 0..1, averaged over frames, then over clips; frames and "
        "clips that are equal have no finite value and count only if all are.",
        "Huynh-Thu & Ghanbari 2008; as scikit-image's peak_signal_noise_ratio with data_range=1",
        "above 20 dB, for a generated clip",
        score=_mean_of_frames("psnr"),
        curve=_per_frame("psnr"),
    ),
    Metric(
        "ssim",
        "SSIM",
        "compare",
        "pair",
        "higher",
        "Structural similarity in 0..1 of two RGB frames, 11 x 11 Gaussian window with σ 1.5, averaged over frames, "
        "then over clips.",
        "Wang et al. 2004; as scikit-image's structural_similarity with gaussian_weights and population covariance",
        "above 0.7",
        paper=paper(0.729, 0.702, 0.738),
        unlike_paper="comparable for clips framed as the preparation does it, at the same size",
        score=_mean_of_frames("ssim"),
        curve=_per_frame("ssim"),
    ),
    Metric(
        "lpips",
        "LPIPS",
        "compare",
        "pair",
        "lower",
        "Learned distance of two frames on AlexNet's features (v0.1), averaged over frames, then over clips.",
        "Zhang et al. 2018 (arXiv 1801.03924)",
        "under 0.3",
        score=_mean_of_frames("lpips"),
        needs=("lpips",),
    ),
)
