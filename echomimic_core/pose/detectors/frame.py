"""The finds of one frame, as every detector gives them."""

from typing import NamedTuple

import numpy as np

from ...config import BODY_POINTS, FACE_POINTS, HAND_POINTS, HANDS
from .. import landmarks


class Frame(NamedTuple):
    """Points in pixels and their scores; a score of 0 means that the point was not found.

    hands : (2, 21, 2), left and right. hand_scores : (2, 21). body : (18, 2). face : (68, 2).
    """

    hands: np.ndarray
    hand_scores: np.ndarray
    body: np.ndarray
    body_scores: np.ndarray
    face: np.ndarray
    face_scores: np.ndarray


def make_frame(
    hands: list, points: np.ndarray | None, scores: np.ndarray | None, mesh: np.ndarray | None = None
) -> Frame:
    """A frame of the chosen hands, MediaPipe's body points (33, 2) with scores (33,), and the mesh of the face.

    Without a mesh the face is estimated from the points of the head.
    """
    hand_points, hand_scores = np.zeros((HANDS, HAND_POINTS, 2)), np.zeros((HANDS, HAND_POINTS))
    for side, hand in enumerate(hands):
        if hand is not None:
            hand_points[side], hand_scores[side] = hand.points, hand.score
    if points is None:
        body, body_scores = np.zeros((BODY_POINTS, 2)), np.zeros(BODY_POINTS)
        return Frame(hand_points, hand_scores, body, body_scores, np.zeros((FACE_POINTS, 2)), np.zeros(FACE_POINTS))
    body, body_scores = landmarks.openpose_body(points, scores)
    if mesh is None:
        face, face_scores = landmarks.face_from_head(points, scores)
    else:
        face, face_scores = landmarks.face_from_mesh(mesh), np.full(FACE_POINTS, max(scores[landmarks.NOSE], 1e-3))
    return Frame(hand_points, hand_scores, body, body_scores, face, face_scores)
