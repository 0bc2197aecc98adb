"""Hand keypoint confidence (HKC) and variance (HKV), and how often hands are found at all.

The paper takes both from its sibling CyberHost (arXiv 2409.01876) and publishes no code; the definitions below are the
ones that give its order of magnitude on the released poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...config import FRAME_SIZE, HAND_POINTS, HANDS
from ...pose import HandPose
from ...pose.hand_pose import hand_confidence

# A hand counts as found if the mean confidence of its points reaches DWPose's own threshold for drawing a point.
FOUND = 0.3


def hkc(pose: HandPose) -> float:
    """Mean confidence of all hand keypoints of all frames, each clipped to 1; a missing hand counts as 0.

    0..1, higher is better; the same number as in Hand Pose's report.
    Source: CyberHost (arXiv 2409.01876), which names it without code; the paper (arXiv 2411.10061) reports 0.923.

    Raises
    ------
    ValueError : the pose has no frames.
    """
    _check(pose)
    return hand_confidence(pose.hand_scores)


def hkv(pose: HandPose) -> float:
    """Mean standard deviation over time of the x and y of all hand keypoints, in pixels at a short side of 768.

    A missing hand has no place, so it counts in the share of hands found and in HKC but not here.
    Source: CyberHost (arXiv 2409.01876), which names it without code; the paper (arXiv 2411.10061) reports 25.28.

    Raises
    ------
    ValueError : the pose has no frames, or no hand is seen in two of them.
    """
    _check(pose)
    whole = pose.whole_canvas()
    size = np.array([whole.width, whole.height]) * (FRAME_SIZE / min(whole.width, whole.height))
    seen = pose.hand_scores > 0
    points = np.where(seen[..., None], whole.hands * size, np.nan)
    often = seen.sum(0) >= 2
    if not often.any():
        raise ValueError("no hand is seen in two frames, so its movement cannot be measured")
    return float(np.nanstd(points[:, often], axis=0).mean())


@dataclass(frozen=True)
class HandRates:
    """Shares of frames, 0..1, in which the person's left and right hand are found, and their mean."""

    left: float
    right: float

    @property
    def mean(self) -> float:
        return (self.left + self.right) / 2


def rates(pose: HandPose) -> HandRates:
    """How often each hand is found, every frame counted."""
    left, right = (confidence(pose) >= FOUND).mean(0)
    return HandRates(float(left), float(right))


def confidence(pose: HandPose) -> np.ndarray:
    """Mean confidence of each hand in each frame: (F, 2), left hand first."""
    _check(pose)
    return np.clip(pose.hand_scores, 0, 1).mean(2)


def _check(pose: HandPose) -> None:
    if len(pose) == 0:
        raise ValueError("the pose has no frames")


def from_pixels(points: np.ndarray, scores: np.ndarray, width: int, height: int, fps: float) -> HandPose:
    """A pose from hand keypoints (F, 2, 21, 2) in pixels of a (height, width) picture and scores (F, 2, 21)."""
    points = np.asarray(points, np.float64).reshape(-1, HANDS, HAND_POINTS, 2) / (width, height)
    scores = np.asarray(scores, np.float64).reshape(-1, HANDS, HAND_POINTS)
    return HandPose(points, scores, width=width, height=height, fps=fps)
