"""Whose hand is it: which of the hands in a frame is the left one, and which the right one."""

import itertools
from collections.abc import Sequence

import numpy as np

from ...config import HANDS
from .. import landmarks

# Hands are looked for in a square around each wrist, where they are large and nothing else is. Its half side, and how
# far its middle lies from the wrist towards the knuckles, in body scales (about the distance of the shoulders).
AREA_RADIUS = 0.55
TOWARDS_KNUCKLES = 0.6
HEAD_RADIUS = 0.65
WRISTS = (landmarks.LEFT_WRIST, landmarks.RIGHT_WRIST)
_KNUCKLES = (landmarks.LEFT_KNUCKLES, landmarks.RIGHT_KNUCKLES)

# Two finds are the same hand if their points are nearer to each other than this part of the hand's size.
_SAME_HAND = 0.3
# A find further from every wrist than this, in body scales, is nobody's hand.
_MAX_WRIST_DISTANCE = 0.5
# Handedness is often wrong, so it only decides between places that are about equally near.
_HANDEDNESS_WEIGHT = 0.06
_MOTION_WEIGHT = 0.3
_MEMORY_SECONDS = 0.5
_MIN_WRIST_SCORE = 0.2


class Sides:
    """Gives the hands of each frame to the two sides, by the body's wrists and by where they were before.

    A hand has `points` (21, 2) in pixels, `score`, `side` (0 left, 1 right, as it looks) and `size`.
    """

    def __init__(self):
        self.last: list = [None] * HANDS
        self.last_time = [-np.inf] * HANDS

    def remember(self, hands: list, time: float) -> None:
        """Keep what was chosen for a frame, for those that follow."""
        for side, hand in enumerate(hands):
            if hand is not None:
                self.last[side], self.last_time[side] = hand, time

    def choose(self, finds: list, points: np.ndarray | None, scores: np.ndarray | None, time: float) -> list:
        """The left and the right hand among the finds, None where there is none.

        points, scores : MediaPipe's body (33, 2) and (33,), or None.
        """
        finds = distinct(finds)
        if not finds:
            return [None] * HANDS
        scale = body_scale(points) if points is not None else max(2 * hand.size for hand in finds)
        cost = np.zeros((len(finds), HANDS))
        for side, wrist in enumerate(WRISTS):
            remembered = self.last[side] if time - self.last_time[side] <= _MEMORY_SECONDS else None
            sees_wrist = points is not None and scores[wrist] >= _MIN_WRIST_SCORE
            for index, hand in enumerate(finds):
                if sees_wrist:
                    distance = float(np.linalg.norm(hand.points[0] - points[wrist])) / scale
                    cost[index, side] = distance if distance <= _MAX_WRIST_DISTANCE else np.inf
                elif points is not None and remembered is None:
                    # The body is there but this wrist is out of sight: no hand of the other side may take its place.
                    cost[index, side] = _MAX_WRIST_DISTANCE
                if remembered is not None:
                    moved = float(np.linalg.norm(hand.points - remembered.points, axis=1).mean()) / scale
                    cost[index, side] += _MOTION_WEIGHT * min(moved, 1.0)
                weight = _HANDEDNESS_WEIGHT if points is not None else _MAX_WRIST_DISTANCE
                cost[index, side] += weight * hand.score * (hand.side != side)
        return _cheapest(finds, cost)


def hand_areas(
    points: np.ndarray, height: int, width: int, sides: Sequence[int] = range(HANDS)
) -> list[tuple[np.ndarray, float]]:
    """Middle (x, y) and half side of the squares in which a body's hands are looked for, of those in the picture."""
    radius = AREA_RADIUS * body_scale(points)
    areas = []
    for side in sides:
        wrist, knuckles = points[WRISTS[side]], points[list(_KNUCKLES[side])]
        middle = wrist + TOWARDS_KNUCKLES * (knuckles.mean(axis=0) - wrist)
        if _overlaps(height, width, middle, radius):
            areas.append((middle, radius))
    return areas


def head_area(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle and half side of the square in which a body's face is looked for."""
    return points[landmarks.NOSE], HEAD_RADIUS * body_scale(points)


def body_scale(points: np.ndarray) -> float:
    """About the distance of the shoulders in pixels, also when the person is turned to the side."""
    shoulders = points[[landmarks.LEFT_SHOULDER, landmarks.RIGHT_SHOULDER]]
    head = np.linalg.norm(points[landmarks.NOSE] - shoulders.mean(axis=0))
    return float(max(np.linalg.norm(shoulders[0] - shoulders[1]), 1.1 * head, 16.0))


def distinct(finds: list) -> list:
    """The finds without repetitions of one hand, of which the surest stays."""
    kept: list = []
    for hand in sorted(finds, key=lambda find: -find.score):
        gaps = [np.linalg.norm(hand.points - other.points, axis=1).mean() for other in kept]
        if all(gap > _SAME_HAND * max(hand.size, other.size) for gap, other in zip(gaps, kept, strict=True)):
            kept.append(hand)
    return kept


def _cheapest(finds: list, cost: np.ndarray) -> list:
    """Left and right hand such that the sum of costs is least; leaving a side empty costs more than any good find."""
    best, chosen = np.inf, [None] * HANDS
    options = [None, *range(len(finds))]
    for left, right in itertools.product(options, options):
        if left is not None and left == right:
            continue
        total = sum(
            2 * _MAX_WRIST_DISTANCE if index is None else cost[index, side] for side, index in enumerate((left, right))
        )
        if total < best:
            best, chosen = total, [left, right]
    return [None if index is None else finds[index] for index in chosen]


def _overlaps(height: int, width: int, middle: np.ndarray, radius: float) -> bool:
    """Whether a good part of a square lies on the picture."""
    size = np.array([width, height])
    inside = np.clip(np.minimum(middle + radius, size) - np.maximum(middle - radius, 0), 0, None)
    return float(inside.prod()) > 0.15 * (2 * radius) ** 2
