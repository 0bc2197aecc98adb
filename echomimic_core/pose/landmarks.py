"""From MediaPipe's points to those of OpenPose: 33 body points to 18, the face mesh to 68."""

import numpy as np

# MediaPipe's body points.
NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_WRIST, RIGHT_WRIST = 0, 11, 12, 15, 16
LEFT_KNUCKLES, RIGHT_KNUCKLES = (17, 19), (18, 20)

# OpenPose-18: nose, neck, right arm, left arm, right leg, left leg, eyes, ears. The neck lies between the shoulders;
# it is put behind MediaPipe's 33 points.
_BODY_SOURCES = [0, 33, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7]

# Points of the face mesh at the places of the 68: jaw, brows, nose, eyes, lips (outer, then inner).
_MESH_SOURCES = np.array(
    [127, 234, 132, 58, 172, 150, 176, 148, 152, 377, 400, 379, 397, 288, 361, 454, 356]
    + [71, 63, 105, 66, 107, 336, 296, 334, 293, 301]
    + [168, 197, 5, 4, 75, 97, 2, 326, 305]
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    + [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
)

# A face of common proportions, to place 68 points where only the body's head points are known. The middle between the
# eyes is the origin, half the distance of the eyes the unit; the person's right half, then the middle line.
_HALF_FACE = np.array(
    [(-2.15, 0.1), (-2.16, 0.7), (-2.06, 1.4), (-1.91, 2.0), (-1.7, 2.45), (-1.35, 2.9), (-0.85, 3.25), (-0.45, 3.4)]
    + [(-1.92, -0.55), (-1.6, -0.7), (-1.3, -0.8), (-0.93, -0.8), (-0.47, -0.75)]
    + [(-0.35, 1.33), (-0.2, 1.44)]
    + [(-1.42, 0.02), (-1.2, -0.12), (-0.87, -0.14), (-0.54, 0.06), (-0.85, 0.15), (-1.16, 0.14)]
    + [(-0.7, 2.15), (-0.42, 1.92), (-0.2, 1.86), (-0.41, 2.4), (-0.22, 2.48)]
    + [(-0.6, 2.12), (-0.16, 2.09), (-0.17, 2.18)]
)
_MIDDLE_LINE = np.array(
    [(0, 3.45), (0, -0.15), (0, 0.33), (0, 0.75), (0, 1.02), (0, 1.45), (0, 1.89), (0, 2.5), (0, 2.1), (0, 2.19)]
)
# Where the points above go: index of the point itself, of its mirror image, and of the middle line.
_RIGHT = [*range(8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 59, 58, 60, 61, 67]
_LEFT = [*range(16, 8, -1), *range(26, 21, -1), 35, 34, 45, 44, 43, 42, 47, 46, 54, 53, 52, 55, 56, 64, 63, 65]
_MIDDLE = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]

# Head points of the body that hold the face: nose, eyes (inner, middle, outer) and corners of the mouth, in that face.
_HEAD_POINTS = np.array([0, 1, 2, 3, 4, 5, 6, 9, 10])
_HEAD_PLACES = np.array(
    [(0, 0.86), (0.6, -0.01), (1, 0), (1.37, 0.03), (-0.6, -0.01), (-1, 0), (-1.37, 0.03), (0.7, 2.04), (-0.7, 2.04)]
)
# Confidence in a face that is only estimated, as a part of that in the head points.
ESTIMATED_FACE_SCORE = 0.5


def _typical_face() -> np.ndarray:
    face = np.zeros((68, 2))
    face[_RIGHT], face[_LEFT], face[_MIDDLE] = _HALF_FACE, _HALF_FACE * (-1, 1), _MIDDLE_LINE
    return face


TYPICAL_FACE = _typical_face()


def openpose_body(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """OpenPose-18 points (..., 18, 2) and scores (..., 18) from MediaPipe's 33 body points."""
    shoulders = [LEFT_SHOULDER, RIGHT_SHOULDER]
    neck = points[..., shoulders, :].mean(axis=-2, keepdims=True)
    neck_score = scores[..., shoulders].min(axis=-1, keepdims=True)
    return np.concatenate([points, neck], -2)[..., _BODY_SOURCES, :], np.concatenate([scores, neck_score], -1)[
        ..., _BODY_SOURCES
    ]


def face_from_mesh(points: np.ndarray) -> np.ndarray:
    """The 68 face points (..., 68, 2) from the face mesh (..., 468 or 478, 2)."""
    return points[..., _MESH_SOURCES, :]


def face_from_head(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the 68 face points from MediaPipe's body points of the head, by the best affine fit of a typical face.

    Returns
    -------
    points (..., 68, 2) and scores (..., 68), which are halved: the outline is right, the expression unknown.
    """
    places = np.concatenate([_HEAD_PLACES, np.ones((len(_HEAD_PLACES), 1))], axis=1)
    affine = np.linalg.pinv(places) @ points[..., _HEAD_POINTS, :]
    face = np.concatenate([TYPICAL_FACE, np.ones((len(TYPICAL_FACE), 1))], axis=1) @ affine
    confidence = ESTIMATED_FACE_SCORE * scores[..., _HEAD_POINTS].min(axis=-1)
    return face, np.repeat(confidence[..., None], len(TYPICAL_FACE), axis=-1)
