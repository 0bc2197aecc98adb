"""How large a person is in a pose, in pixels: shoulders, the reach of the arms, the hands."""

from dataclasses import dataclass

import numpy as np

from .draw import HAND_BONES
from .hand_pose import HandPose, hand_root
from .hand_skeleton import bone_lengths
from .track import present

# OpenPose-18 points that do not move with a gesture: nose, neck, shoulders, eyes, ears. Shoulders weigh most.
STEADY_POINTS = np.array([0, 1, 2, 5, 14, 15, 16, 17])
STEADY_WEIGHTS = np.array([1.0, 2.0, 3.0, 3.0, 0.5, 0.5, 0.5, 0.5])
NOSE, NECK, SHOULDERS, EYES = 0, 1, (2, 5), [14, 15]
# Shoulder, elbow, wrist of the left and of the right arm, in the order of the hands.
ARMS = np.array([(5, 6, 7), (2, 3, 4)])
SCORE_SEEN = 0.3

# Arms and hands look shorter when they point at the camera. So every bone is asked how long the whole arm (or hand)
# would be by common proportions, and the largest answers of a frame, and then of the clip, count.
_ARM_PER_BONE = np.array([1.785, 2.27])
_HAND_BONES = np.array(HAND_BONES)
_HAND_PER_BONE = 1 / bone_lengths(_HAND_BONES)
_BONE_PERCENTILE, _FRAME_PERCENTILE = 95, 90
_BONES_KNOWN = 0.5


@dataclass(frozen=True)
class Body:
    """Measures of a pose in pixels; None where the points are missing."""

    steady: np.ndarray
    seen: np.ndarray
    reach: float | None
    hand: float | None
    wrists: np.ndarray

    @property
    def shoulders(self) -> float | None:
        left, right = (list(STEADY_POINTS).index(point) for point in SHOULDERS)
        if not (self.seen[left] and self.seen[right]):
            return None
        return float(np.linalg.norm(self.steady[left] - self.steady[right]))


def measure(pose: HandPose) -> Body:
    size = np.array([pose.width, pose.height], float)
    steady, seen, reach = np.zeros((len(STEADY_POINTS), 2)), np.zeros(len(STEADY_POINTS), bool), None
    if pose.bodies is not None:
        points = pose.bodies * size
        there = present(pose.bodies, pose.body_scores) & (pose.body_scores >= SCORE_SEEN)
        for index, point in enumerate(STEADY_POINTS):
            if there[:, point].any():
                seen[index] = True
                steady[index] = points[there[:, point], point].mean(axis=0)
        reach = _reach(points, there)
    hands, there = pose.hands * size, present(pose.hands, pose.hand_scores)
    bones = np.linalg.norm(np.diff(hands[:, :, _HAND_BONES], axis=-2)[..., 0, :], axis=-1)
    # Single points may be missing; a hand of which only few bones are known would be measured by chance.
    known = there[:, :, _HAND_BONES].all(axis=-1)
    shown = known.mean(axis=-1) >= _BONES_KNOWN
    hand = _length(np.where(known, bones * _HAND_PER_BONE, np.nan)[shown])
    roots, wrists = hand_root(pose) * size, np.full((2, 2), np.nan)
    for side in range(2):
        if shown[:, side].any():
            wrists[side] = roots[shown[:, side], side].mean(axis=0)
    return Body(steady, seen, reach, hand, wrists)


def _reach(points: np.ndarray, there: np.ndarray) -> float | None:
    """Length of the arm from shoulder to wrist."""
    joints = np.concatenate([points[there[:, arm].all(axis=1)][:, arm] for arm in ARMS])
    return _length(np.linalg.norm(np.diff(joints, axis=1), axis=-1) * _ARM_PER_BONE)


def _length(answers: np.ndarray) -> float | None:
    """One length out of the answers (n, bones) of all frames, NaN where a bone is unknown; None without frames."""
    if len(answers) == 0:
        return None
    # As np.nanpercentile, which is slow; sorting puts the unknown last.
    known = np.isfinite(answers).sum(axis=-1)
    place = _BONE_PERCENTILE / 100 * (known - 1)
    below = place.astype(int)
    above = np.minimum(below + 1, known - 1)
    rows, order = np.arange(len(answers)), np.sort(answers, axis=-1)
    longest = order[rows, below] + (order[rows, above] - order[rows, below]) * (place - below)
    return float(np.percentile(longest, _FRAME_PERCENTILE))
