"""What the three detectors say: boxes and points from anchors, and one box for the many of one thing."""

from dataclasses import dataclass

import numpy as np
import torch

from .regions import to_picture
from .see import see

_SCORE_LIMIT = 100.0


@dataclass(frozen=True)
class Anchors:
    """Where a detector looks: for each grid its cells a side and how many boxes a cell has, and how boxes are merged.

    overlap : boxes that share more than this part of their union are of one thing.
    """

    grids: tuple[tuple[int, int], ...]
    overlap: float = 0.3

    def middles(self) -> np.ndarray:
        """(anchors, 2) x and y in [0, 1], row by row."""
        middles = []
        for cells, boxes in self.grids:
            steps = (np.arange(cells) + 0.5) / cells
            x, y = np.meshgrid(steps, steps)
            middles.append(np.stack([x, y], axis=-1).reshape(-1, 1, 2).repeat(boxes, axis=1).reshape(-1, 2))
        return np.concatenate(middles)


ANCHORS = {
    "palm": Anchors(((24, 2), (12, 6))),
    "body_detector": Anchors(((28, 2), (14, 2), (7, 6)), overlap=0.5),
    "face_detector": Anchors(((16, 2), (8, 6))),
}


@dataclass(frozen=True)
class Detections:
    """Finds in one square, surest first: boxes (n, 4) left, top, right, bottom, points (n, k, 2), scores (n,).

    Places are parts of the square, [0, 1] from corner to corner.
    """

    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def find_boxes(
    name: str, pictures: torch.Tensor, owners: np.ndarray, areas: np.ndarray, networks, confidence: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each area (n, 4) of pictures the corners (m, 2, 2) and points (m, k, 2) of its finds, in pixels."""
    found = []
    results = see(networks[name], pictures, owners, areas, outside="black")
    detected = read_detections(name, networks[name].size, *results, confidence)
    for detections, area in zip(detected, areas, strict=True):
        squares = np.repeat(area[None], len(detections), axis=0)
        corners = to_picture(detections.boxes.reshape(-1, 2, 2), squares)
        found.append((corners, to_picture(detections.points, squares)))
    return found


def read_detections(
    name: str, size: int, raw: torch.Tensor, logits: torch.Tensor, confidence: float
) -> list[Detections]:
    """What a detector is at least `confidence` sure of, merged: its results (n, anchors, values) and (n, anchors, 1).

    size : side of its input, in which the results count.
    """
    scores = logits[..., 0].float().clamp(-_SCORE_LIMIT, _SCORE_LIMIT).sigmoid()
    anchors = ANCHORS[name]
    middles = anchors.middles()
    kept = scores >= confidence
    crop_index, anchor_index = (index.cpu().numpy() for index in kept.nonzero(as_tuple=True))
    raw, scores = raw[kept].float().cpu().numpy().astype(np.float64) / size, scores[kept].cpu().numpy()
    found = []
    for crop in range(len(logits)):
        mine = crop_index == crop
        found.append(_merged(raw[mine], middles[anchor_index[mine]], scores[mine].astype(np.float64), anchors.overlap))
    return found


def _merged(raw: np.ndarray, middles: np.ndarray, scores: np.ndarray, overlap: float) -> Detections:
    """Weighted non-maximum suppression: each group of overlapping boxes becomes its mean, weighted by the scores."""
    values = raw.shape[-1]
    middle, half = raw[:, :2] + middles, raw[:, 2:4] / 2
    places = np.concatenate([middle - half, middle + half, raw[:, 4:] + np.tile(middles, (values - 4) // 2)], axis=1)
    remaining = np.argsort(-scores, kind="stable")
    merged, best = [], []
    while len(remaining):
        same = _overlaps(places[remaining, :4], places[remaining[0], :4]) > overlap
        # A box without area overlaps with nothing, not even itself.
        same[0] = True
        group = remaining[same]
        merged.append((places[group] * scores[group, None]).sum(axis=0) / scores[group].sum())
        best.append(scores[remaining[0]])
        remaining = remaining[~same]
    places = np.array(merged).reshape(-1, values)
    return Detections(places[:, :4], places[:, 4:].reshape(len(places), (values - 4) // 2, 2), np.array(best))


def _overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) with one."""
    sides = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    shared = sides.prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return shared / np.maximum(areas - shared, 1e-12)
