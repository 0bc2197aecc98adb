"""Hands in pictures: palms are found, and 21 points read in a turned square around each."""

from dataclasses import dataclass

import numpy as np

from .regions import square_of, to_picture, turn
from .see import see

POINTS = 21
LEFT, RIGHT = 0, 1

# Points of the hand that give the square of the next frame: the palm and the first two joints of each finger.
_STEADY_POINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
_WRIST, _INDEX, _MIDDLE, _RING = 0, 6, 10, 14
# The published hand landmarker asks for 90 where radians are meant, and its networks see detected hands turned by that.
_DETECTION_ANGLE = 90.0
_DETECTION_SCALE, _DETECTION_SHIFT = 2.6, -0.5
_TRACK_SCALE, _TRACK_SHIFT = 2.0, -0.1

# Of the network's results: points in the picture, presence, side; not the points in metres.
_WANTED = (0, 1, 2)

# Two finds are one hand if ten of the 21 points are nearer than this part of the palm, and their boxes overlap so far.
_SAME_DISTANCE, _SAME_POINTS, _SAME_OVERLAP = 0.2, 10, 0.2


@dataclass
class Hand:
    """A hand: points (21, 2) in pixels, how sure it is there, whose it looks like and how sure that is.

    score is of the side, as MediaPipe's `handedness` has it and HKC takes it; presence is of the hand. `depth` (21,)
    is in pixels, zero at the wrist, smaller is nearer.
    """

    points: np.ndarray
    score: float
    side: int
    presence: float
    depth: np.ndarray
    square: np.ndarray

    @property
    def size(self) -> float:
        """Diagonal of the box around the points, in pixels."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))

    def next_square(self) -> np.ndarray:
        """Where to look for this hand in the next frame, (4,)."""
        return next_squares(self.points[None])[0]


def squares_of(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around the hands of palms: corners (n, 2, 2) and points (n, 7, 2), wrist first."""
    angles = turn(points[:, 0], points[:, 2], _DETECTION_ANGLE)
    sizes = corners[:, 1] - corners[:, 0]
    return square_of(corners.mean(axis=1), sizes, angles, _DETECTION_SCALE, _DETECTION_SHIFT)


def read_hands(pictures, owners, squares, networks) -> list[Hand]:
    """The hands in squares (n, 4) of pictures, however unsure, in order."""
    if not len(squares):
        return []
    graph = networks["hand"]
    results = see(graph, pictures, owners, squares, wanted=_WANTED)
    points, presence, side = (result.float().cpu().numpy().astype(np.float64) for result in results)
    points = points.reshape(-1, POINTS, 3) / graph.size
    places = to_picture(points[..., :2], squares)
    hands = []
    for index, square in enumerate(squares):
        right = side[index, 0]
        which = RIGHT if right > 0.5 else LEFT
        depth = points[index, :, 2] * square[2]
        hands.append(Hand(places[index], max(right, 1 - right), which, presence[index, 0], depth, square))
    return hands


def next_squares(points: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around hands (n, 21, 2), turned so that the fingers point up."""
    fingers = ((points[:, _INDEX] + points[:, _RING]) / 2 + points[:, _MIDDLE]) / 2
    angles = turn(points[:, _WRIST], fingers, np.pi / 2)
    steady = points[:, _STEADY_POINTS]
    middle = (steady.max(axis=1) + steady.min(axis=1)) / 2
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = (steady[..., axis] - middle[:, None, axis] for axis in range(2))
    upright = np.stack([x * cosine + y * sine, y * cosine - x * sine], axis=-1)
    low, high = upright.min(axis=1), upright.max(axis=1)
    across, down = ((low + high) / 2).T
    offset = np.stack([across * cosine[:, 0] - down * sine[:, 0], across * sine[:, 0] + down * cosine[:, 0]], axis=1)
    return square_of(middle + offset, high - low, angles, _TRACK_SCALE, _TRACK_SHIFT)


def distinct(hands: list[Hand]) -> list[Hand]:
    """The hands without those that repeat an earlier one."""
    kept: list[Hand] = []
    for hand in hands:
        if not any(_same(hand, other) for other in kept):
            kept.append(hand)
    return kept


def _same(hand: Hand, other: Hand) -> bool:
    limit = _SAME_DISTANCE * max(_palm(hand.points), _palm(other.points))
    near = (np.linalg.norm(hand.points - other.points, axis=1) < limit).sum()
    low = np.maximum(hand.points.min(axis=0), other.points.min(axis=0))
    high = np.minimum(hand.points.max(axis=0), other.points.max(axis=0))
    shared = np.clip(high - low, 0, None).prod()
    union = np.ptp(hand.points, axis=0).prod() + np.ptp(other.points, axis=0).prod() - shared
    return bool(near >= _SAME_POINTS and shared > _SAME_OVERLAP * union)


def _palm(points: np.ndarray) -> float:
    wrist, index, little = points[[0, 5, 17]]
    return max(np.linalg.norm(wrist - index), np.linalg.norm(index - little), np.linalg.norm(little - wrist))
