"""Pictures moved and scaled by a matrix without turning, in floats: Lanczos along one axis after the other."""

from functools import lru_cache

import numpy as np
import torch

_LOBES = 3


def resample(picture: torch.Tensor, matrix: np.ndarray, height: int, width: int) -> torch.Tensor:
    """A picture (h, w, c) float moved by a matrix (2, 3) that only moves and scales; beyond its edges it repeats them.

    Smaller results average over what each pixel covers, and a move by whole pixels at scale 1 changes no value.

    matrix : from places in the picture to places in the result, in pixels counted from the pictures' corners.

    Returns
    -------
    (height, width, c) float; values may overshoot the picture's by a little.
    """
    for axis, target in ((0, height), (1, width)):
        row = 1 - axis
        taps = _taps(picture.shape[axis], target, float(matrix[row, row]), float(matrix[row, 2]))
        pixels, weights = (values.to(picture.device) for values in taps)
        picture = picture.movedim(axis, 0)
        total = torch.zeros(target, *picture.shape[1:], device=picture.device)
        for tap in range(pixels.shape[1]):
            total.addcmul_(picture.index_select(0, pixels[:, tap]), weights[:, tap, None, None])
        picture = total.movedim(0, axis)
    return picture


@lru_cache(maxsize=64)
def _taps(size: int, target: int, scale: float, offset: float) -> tuple[torch.Tensor, torch.Tensor]:
    """For each of `target` pixels along an axis the ones of `size` it is made of, (target, taps), and their weights."""
    shrunk = min(scale, 1.0)
    middles = (np.arange(target) + 0.5 - offset) / scale - 0.5
    # Rounding must not make a whole pixel a hair less: its neighbours would get a share.
    middles = np.round(middles, 6)
    reach = int(np.ceil(_LOBES / shrunk))
    pixels = np.floor(middles).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
    away = (pixels - middles[:, None]) * shrunk
    weights = np.where(np.abs(away) < _LOBES, np.sinc(away) * np.sinc(away / _LOBES), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights[np.abs(weights) < 1e-9] = 0.0
    used = np.abs(weights).max(axis=0) > 0
    return torch.from_numpy(pixels[:, used].clip(0, size - 1)), torch.from_numpy(weights[:, used]).float()


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The matrix (2, 3) that leads back."""
    return np.linalg.inv(np.concatenate([matrix, [[0.0, 0.0, 1.0]]]))[:2]


def product(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The matrix (..., 2, 3) of one move `after` another."""
    linear = after[..., :2] @ before[..., :2]
    offset = after[..., :2] @ before[..., 2:] + after[..., 2:]
    return np.concatenate([linear, offset], axis=-1)
