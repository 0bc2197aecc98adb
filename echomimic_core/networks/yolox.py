"""YOLOX as a detector of persons, for the box that DWPose looks in.

Source: Ge et al. 2021 (arXiv 2107.08430); input, grids and thresholds as DWPose's public pipeline has them.
"""

import numpy as np
import torch

SIZE, GREY = 640, 114
STRIDES = (8, 16, 32)
PERSON = 0
LEAST_SCORE = 0.3


def person_box(network, picture: np.ndarray) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom in pixels of the surest person in an RGB picture (H, W, 3) uint8, or None."""
    from ..media.opencv import cv2

    height, width = picture.shape[:2]
    ratio = min(SIZE / height, SIZE / width)
    small = cv2.resize(picture, (int(width * ratio), int(height * ratio)), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((SIZE, SIZE, 3), GREY, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    x = torch.from_numpy(np.ascontiguousarray(canvas[..., ::-1])).permute(2, 0, 1)[None].float()
    # (8400, 85): middle and size relative to the grid, whether there is something, and what.
    found = network(x)[0].float().numpy()
    grid, stride = _grid()
    scores = found[:, 4] * found[:, 5 + PERSON]
    best = int(scores.argmax())
    if scores[best] < LEAST_SCORE:
        return None
    middle = (found[best, :2] + grid[best]) * stride[best]
    half = np.exp(found[best, 2:4]) * stride[best] / 2
    box = np.concatenate([middle - half, middle + half]) / ratio
    return tuple(float(value) for value in np.clip(box, 0, (width, height, width, height)))


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Column and row (8400, 2) of each cell of the three grids, and pixels per cell (8400, 1)."""
    cells, strides = [], []
    for stride in STRIDES:
        side = SIZE // stride
        rows, columns = np.mgrid[:side, :side]
        cells.append(np.stack([columns, rows], 2).reshape(-1, 2))
        strides.append(np.full((side * side, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)
