"""Flicker: how much the parts of a picture that should stand still change from frame to frame."""

import numpy as np

from ..clips import Clip
from .metric import Metric, Store

SHORT_SIDE, BLOCK = 256, 8
# The part of the picture that is taken to stand still.
STILL = 0.5


def small_grey(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 as brightness (h, w) float32 in 0..255, short side 256, sides multiples of 8."""
    from ...media.opencv import cv2

    height, width = picture.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = [max(round(side * scale) // BLOCK, 1) * BLOCK for side in (width, height)]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def change_by_block(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute difference of two such pictures in every block of 8 x 8 pixels: (blocks,)."""
    height, width = before.shape
    change = np.abs(after - before).reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return change.mean((1, 3)).reshape(-1)


def flicker(changes: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean change of the half of the blocks that moves least, 0..255, and that of every frame (F,).

    The blocks are chosen by their median over time, which a flicker does not raise as motion does.

    Parameters
    ----------
    changes : (F - 1, blocks) of consecutive frames, as `change_by_block` gives them.
    """
    changes = np.asarray(changes, np.float32)
    order = np.argsort(np.median(changes, axis=0), kind="stable")
    still = changes[:, order[: max(int(len(order) * STILL), 1)]].mean(1)
    # The first frame follows none.
    return float(still.mean()), np.concatenate([[np.nan], still])


def _flicker(store: Store, clip: Clip) -> tuple[float, np.ndarray]:
    return flicker(store.arrays("generated", clip, "steadiness")["changes"])


METRICS = (
    Metric(
        "flicker",
        "Flicker",
        "steadiness",
        "clip",
        "real",
        "Mean absolute difference of the brightness (0 to 255) of consecutive frames, over the half of the picture "
        "(blocks of 8 x 8 pixels at a short side of 256) whose median change is smallest.",
        "This pack, after VBench's temporal flickering (arXiv 2311.17982), restricted to what stands still",
        "that of the real clip, as a blurred video has less; a still background has under 0.5",
        score=lambda store, clip: _flicker(store, clip)[0],
        curve=lambda store, clip: {"flicker": _flicker(store, clip)[1]},
    ),
)
