"""PSNR and SSIM of pictures against the real ones, fast enough for every frame of a clip."""

from __future__ import annotations

import math

import numpy as np

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

    Parameters
    ----------
    a, b : (H, W, 3), uint8, or floats in 0..1; the peak is 1.
    """
    _check(a, b)
    if np.array_equal(a, b):
        return math.inf
    error = float(np.square(_unit(a) - _unit(b), dtype=np.float32).mean(dtype=np.float64))
    return -10 * math.log10(error)


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
        total += _similarity(_unit(a[strip]), _unit(b[strip])).sum(dtype=np.float64)
    return total / (rows * (a.shape[1] - WINDOW + 1) * (a.size // (a.shape[0] * a.shape[1])))


def _similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM at every place where the window lies inside of a and b (H, W, C), float32 in 0..1."""
    import cv2

    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_32F)
    margin = WINDOW // 2

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x, -1, kernel, kernel)[margin:-margin, margin:-margin]

    # Around zero, because squares of numbers near 1 would lose the digits that small variances need.
    a, b = a - np.float32(0.5), b - np.float32(0.5)
    mean_a, mean_b = blur(a), blur(b)
    product = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    variances = blur(a * a + b * b) - squares
    covariance = blur(a * b) - product
    # Luminance needs the true means: (x + 1/2)(y + 1/2) = xy + (x + y)/2 + 1/4, and likewise the squares.
    moved = mean_a + mean_b + np.float32(0.5)
    c1, c2 = np.float32(K1**2), np.float32(K2**2)
    luminance = (2 * product + moved + c1) / (squares + moved + c1)
    return luminance * ((2 * covariance + c2) / (variances + c2))
