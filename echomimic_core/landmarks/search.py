"""Looking for hands, bodies or faces: in each picture again, or from frame to frame."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from . import bodies, faces, hands
from .detections import find_boxes
from .regions import whole


@dataclass(frozen=True)
class Kind:
    """What is looked for: the detector's name, squares around its finds, what reads them, and who is there twice."""

    detector: str
    squares: Callable[[np.ndarray, np.ndarray], np.ndarray]
    read: Callable[..., list]
    distinct: Callable[[list], list] = list


HANDS = Kind("palm", hands.squares_of, hands.read_hands, hands.distinct)
BODIES = Kind("body_detector", bodies.squares_of, bodies.read_bodies)
MASKED_BODIES = Kind("body_detector", bodies.squares_of, bodies.read_with_masks)
FACES = Kind("face_detector", faces.squares_of, faces.read_faces)


@dataclass(frozen=True)
class Wanted:
    """How many are wanted in a picture, and how sure the detector and the network of points have to be, from 0 to 1."""

    limit: int = 1
    detection: float = 0.5
    presence: float = 0.5


def find_in_areas(
    kind: Kind, pictures: torch.Tensor, owners: np.ndarray, areas: np.ndarray, networks, wanted: Wanted
) -> list[list]:
    """Finds in areas of pictures, as if each area were a picture of its own.

    Parameters
    ----------
    pictures : (frames, height, width, 3) uint8 on the networks' device.
    owners, areas : (n,) frame and (n, 4) square of each area.

    Returns
    -------
    For each area its finds, surest first, places in pixels of the picture.
    """
    boxes = find_boxes(kind.detector, pictures, owners, areas, networks, wanted.detection)
    squares = [kind.squares(corners, points)[: wanted.limit] for corners, points in boxes]
    counts = [len(found) for found in squares]
    found = kind.read(pictures, np.repeat(owners, counts), np.concatenate([np.zeros((0, 4)), *squares]), networks)
    return [
        kind.distinct([one for one in found[end - count : end] if one.presence > wanted.presence])
        for end, count in zip(np.cumsum(counts), counts, strict=True)
    ]


def find_in_pictures(kind: Kind, pictures: torch.Tensor, networks, wanted: Wanted) -> list[list]:
    """Finds in whole pictures (frames, height, width, 3), one list a picture."""
    areas = np.repeat(whole(*pictures.shape[1:3])[None], len(pictures), axis=0)
    return find_in_areas(kind, pictures, np.arange(len(pictures)), areas, networks, wanted)


class Tracker:
    """Follows what it found from frame to frame; looks in the whole picture only while fewer are there than wanted."""

    def __init__(self, kind: Kind, networks, wanted: Wanted):
        self.kind, self.networks, self.wanted = kind, networks, wanted
        self.last: list = []

    def __call__(self, picture: torch.Tensor) -> list:
        """Finds in the next frame (1, height, width, 3) of the video."""
        squares = np.array([one.next_square() for one in self.last]).reshape(-1, 4)
        if len(squares) < self.wanted.limit:
            area, owner = whole(*picture.shape[1:3])[None], np.zeros(1, int)
            boxes = find_boxes(self.kind.detector, picture, owner, area, self.networks, self.wanted.detection)
            for square in self.kind.squares(*boxes[0]):
                if len(squares) < self.wanted.limit and not _covered(square, squares):
                    squares = np.concatenate([squares, square[None]])
        found = self.kind.read(picture, np.zeros(len(squares), int), squares, self.networks)
        self.last = self.kind.distinct([one for one in found if one.presence > self.wanted.presence])
        return self.last


def _covered(square: np.ndarray, others: np.ndarray, overlap: float = 0.5) -> bool:
    """Whether a square shares more than `overlap` of the union with another, both taken upright."""
    for other in others:
        gap = np.abs(square[:2] - other[:2])
        shared = np.clip((square[2] + other[2]) / 2 - gap, 0, min(square[2], other[2])).prod()
        if shared > overlap * (square[2] ** 2 + other[2] ** 2 - shared):
            return True
    return False
