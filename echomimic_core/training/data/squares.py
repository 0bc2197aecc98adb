"""Where in a frame its hands, body and face are: the squares that L_pose looks at."""

from collections.abc import Sequence

import numpy as np

from ...landmarks.hands import next_squares
from ...landmarks.regions import square_of, turn
from ...pose.hand_pose import HandPose

LEFT_HAND, RIGHT_HAND, BODY, FACE = range(4)
# A square is so much larger than what it shows, as the networks learned it.
_BODY_SCALE, _FACE_SCALE = 1.25, 1.5
# Fewer points tell nothing about where a body is.
_FEWEST_POINTS = 4
_EYE_CORNERS = (36, 45)


def squares_of(pose: HandPose, groups: Sequence[str]) -> np.ndarray:
    """Squares (F, 4, 4) float32 of both hands, body and face: x, y and side in widths of the frame, angle in radians.
    The side is 0 for what the pose lacks or `groups` does not name."""
    pose = pose.whole_canvas()
    if pose.height != pose.width:
        pose = pose.map_points(lambda points: points * (1.0, pose.height / pose.width))
    squares = np.zeros((len(pose), 4, 4), np.float32)
    for index in range(len(pose)):
        if "hands" in groups:
            for hand in (LEFT_HAND, RIGHT_HAND):
                if (pose.hand_scores[index, hand] > 0).all():
                    squares[index, hand] = next_squares(pose.hands[index, hand][None])[0]
        if "body" in groups and pose.bodies is not None:
            squares[index, BODY] = _around(pose.bodies[index], pose.body_scores[index], _BODY_SCALE)
        if "face" in groups and pose.faces is not None:
            left, right = pose.faces[index, _EYE_CORNERS[0]], pose.faces[index, _EYE_CORNERS[1]]
            angle = float(turn(left, right, 0.0))
            squares[index, FACE] = _around(pose.faces[index], pose.face_scores[index], _FACE_SCALE, angle)
    return squares


def _around(points: np.ndarray, scores: np.ndarray | None, scale: float, angle: float = 0.0) -> np.ndarray:
    """A square (4,) around the points seen; zeros if they are too few."""
    seen = points if scores is None else points[scores > 0]
    if len(seen) < _FEWEST_POINTS:
        return np.zeros(4)
    low, high = seen.min(axis=0), seen.max(axis=0)
    return square_of(((low + high) / 2)[None], (high - low)[None], np.array([angle]), scale)[0]
