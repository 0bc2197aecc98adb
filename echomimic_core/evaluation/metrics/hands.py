"""Hand keypoint confidence (HKC) and variance (HKV), and how often hands are found at all.

The paper takes both from its sibling CyberHost (arXiv 2409.01876) and publishes no code; the definitions below are the
ones that give its order of magnitude on the released poses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...config import FRAME_SIZE, HAND_POINTS, HANDS
from ...pose import HandPose
from ...pose.hand_pose import hand_confidence
from ..clips import Clip
from .metric import Metric, Store, paper

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


def _of_pose(measure: Callable[[HandPose], float], extractor: str) -> Callable[[Store, Clip], float]:
    return lambda store, clip: measure(store.pose(clip, extractor))


def _found(store: Store, clip: Clip) -> float:
    found = rates(store.pose(clip, "hands"))
    for side, rate in (("left", found.left), ("right", found.right)):
        if rate < 1:
            store.remark(clip, f"the {side} hand is missing in {1 - rate:.0%} of the frames")
    return found.mean


def _curves(extractor: str = "hands") -> Callable[[Store, Clip], dict[str, np.ndarray]]:
    def curves(store: Store, clip: Clip) -> dict[str, np.ndarray]:
        left, right = confidence(store.pose(clip, extractor)).T
        return {"left hand": left, "right hand": right}

    return curves


CYBERHOST = "CyberHost (arXiv 2409.01876), which names the metric; no code is published"
_HKC = "Mean confidence of the 2 x 21 hand keypoints over all frames, each clipped to 1; a missing hand counts as 0. {}"
_HKV = (
    "Standard deviation over time of x and y of every hand keypoint, averaged, in pixels at a short side of 768; "
    "frames without the hand are left out. {}"
)
_MEDIAPIPE_HANDS = "Keypoints by MediaPipe, whose confidence is one of the whole hand: not comparable with DWPose's."
_NO_DETECTOR = "the paper names no detector: comparable only if it, too, used DWPose"
_DWPOSE_HANDS = "Keypoints by DWPose on the whole frame, or those of a pose file."

METRICS = (
    Metric(
        "hkc",
        "HKC",
        "dwpose",
        "clip",
        "higher",
        _HKC.format(_DWPOSE_HANDS),
        CYBERHOST,
        "above 0.9",
        paper=paper(0.809, 0.907, 0.923),
        unlike_paper=_NO_DETECTOR,
        score=_of_pose(hkc, "dwpose"),
        curve=_curves("dwpose"),
        of_poses=True,
    ),
    Metric(
        "hkc-mediapipe",
        "HKC (MediaPipe)",
        "hands",
        "clip",
        "higher",
        _HKC.format(_MEDIAPIPE_HANDS),
        CYBERHOST,
        "that of the reference picture or the driving video: sharp photos of real hands have 0.8 to 1",
        alternative_to="hkc",
        score=_of_pose(hkc, "hands"),
        curve=_curves("hands"),
    ),
    Metric(
        "hkv",
        "HKV",
        "dwpose",
        "clip",
        "",
        _HKV.format(_DWPOSE_HANDS),
        CYBERHOST,
        "that of the driving pose: less means stiff hands, more means jitter",
        paper=paper(None, None, 25.28),
        unlike_paper=_NO_DETECTOR,
        score=_of_pose(hkv, "dwpose"),
        of_poses=True,
    ),
    Metric(
        "hkv-mediapipe",
        "HKV (MediaPipe)",
        "hands",
        "clip",
        "",
        _HKV.format(_MEDIAPIPE_HANDS),
        CYBERHOST,
        "that of the driving pose: less means stiff hands, more means jitter",
        alternative_to="hkv",
        score=_of_pose(hkv, "hands"),
    ),
    Metric(
        "hands",
        "Hands found",
        "hands",
        "clip",
        "higher",
        "Share of hands found (by MediaPipe) with a confidence of at least 0.3, two hands expected in every frame.",
        "This pack",
        "that of the driving pose",
        score=_found,
        curve=_curves(),
        of_poses=True,
    ),
)
