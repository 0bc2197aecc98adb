"""How hands move: their speed, and the strokes in it."""

import numpy as np

from .hand_pose import HandPose

PALM = (0, 5, 9, 17)  # Points whose mean speed is that of a hand: wrist and knuckles.


def speeds(pose: HandPose) -> np.ndarray:
    """Speed of each hand (F, 2) in heights per frame, smoothed over three frames; an absent hand stands still."""
    whole = pose.whole_canvas()
    size = np.array([whole.width / whole.height, 1.0])
    points = np.where((whole.hand_scores > 0)[..., None], whole.hands * size, np.nan)[:, :, list(PALM)]
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    paces = np.nan_to_num(np.linalg.norm(np.gradient(points, axis=0), axis=-1)).mean(2)
    padded = np.pad(paces, ((1, 1), (0, 0)), mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def speed(pose: HandPose) -> np.ndarray:
    """Mean speed of both hands (F,), see `speeds`."""
    return speeds(pose).mean(1)


def strokes(pace: np.ndarray) -> np.ndarray:
    """Frames of strokes: peaks of speed that stand out by a fair share of the fastest."""
    top = np.quantile(pace, 0.95)
    peaks = np.flatnonzero((pace[1:-1] >= pace[:-2]) & (pace[1:-1] > pace[2:]) & (pace[1:-1] > 0.35 * top)) + 1
    kept: list[int] = []
    for peak in peaks:
        valley = pace[kept[-1] : peak + 1].min() if kept else 0.0
        if kept and min(pace[peak], pace[kept[-1]]) - valley < 0.15 * top:
            kept[-1] = max(kept[-1], peak, key=lambda frame: pace[frame])
        else:
            kept.append(int(peak))
    return np.array(kept, dtype=int)
