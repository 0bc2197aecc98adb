"""Faces in pictures: faces are found, and the mesh of 468 points read in a turned square around each."""

from dataclasses import dataclass

import numpy as np

from .regions import square_of, to_picture, turn
from .see import see

POINTS = 468
_LEFT_CORNER, _RIGHT_CORNER = 33, 263
_SCALE = 1.5


@dataclass
class Face:
    """A face: mesh points (468, 2) in pixels, and how sure it is there. `depth` (468,) in pixels, smaller is nearer."""

    points: np.ndarray
    presence: float
    depth: np.ndarray
    square: np.ndarray

    def next_square(self) -> np.ndarray:
        """Where to look for this face in the next frame, (4,)."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        angle = turn(self.points[_LEFT_CORNER], self.points[_RIGHT_CORNER], 0.0)
        return square_of(((low + high) / 2)[None], (high - low)[None], np.array([angle]), _SCALE)[0]


def squares_of(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around the faces of boxes: corners (n, 2, 2) and points (n, 6, 2), the eyes first."""
    angles = turn(points[:, 0], points[:, 1], 0.0)
    return square_of(corners.mean(axis=1), corners[:, 1] - corners[:, 0], angles, _SCALE)


def read_faces(pictures, owners, squares, networks) -> list[Face]:
    """The faces in squares (n, 4) of pictures, however unsure, in order."""
    if not len(squares):
        return []
    graph = networks["face"]
    points, presence = see(graph, pictures, owners, squares)
    points = points.reshape(len(squares), POINTS, 3).float().cpu().numpy().astype(np.float64) / graph.size
    presence = presence.reshape(-1).float().sigmoid().cpu().numpy()
    places = to_picture(points[..., :2], squares)
    return [
        Face(places[index], float(presence[index]), points[index, :, 2] * square[2], square)
        for index, square in enumerate(squares)
    ]
