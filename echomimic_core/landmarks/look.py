"""Made pictures seen through the frozen networks, with gradients: how far is a hand, body or face from the true one?

EchoMimicV2 trains with a loss on keypoints (L_pose, paper §3.4). Here the true picture and the made one are cut out
around the true hand, and the network of hand points compares them: where the points are, whether there is a hand at
all, and what the network sees in between, which tells a blurred hand from a sharp one.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from . import bodies, faces, hands
from .graph import Graph
from .regions import sample_smoothly

# Cells a side of the maps that are compared: the last ones that still tell where things are.
_CELLS = {"hand": 7, "body": 8, "face": 6}


@dataclass
class Look:
    """What a network sees in n squares: points (n, k, 2) in [0, 1] of the square, presence (n,) in [0, 1], features."""

    points: torch.Tensor
    presence: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True)
class Weights:
    """How much points, presence and features count."""

    points: float = 10.0
    presence: float = 1.0
    features: float = 1.0


def look_at_hands(graph: Graph, pictures: torch.Tensor, squares: torch.Tensor) -> Look:
    """Hands in one square (n, 4) of each picture (n, 3, height, width), whose values are 0 to 1, with gradients."""
    results, maps = graph.with_features(_crops(graph, pictures, squares), _CELLS["hand"])
    points, presence = results[0].reshape(-1, hands.POINTS, 3)[..., :2] / graph.size, results[1][:, 0]
    return Look(points, presence, maps)


def look_at_bodies(graph: Graph, pictures: torch.Tensor, squares: torch.Tensor) -> Look:
    """Bodies, as `look_at_hands`: 33 points, before heat maps refine them."""
    results, maps = graph.with_features(_crops(graph, pictures, squares), _CELLS["body"])
    points = results[0].reshape(len(squares), -1, 5)[:, : bodies.POINTS, :2] / graph.size
    return Look(points, results[1].reshape(-1), maps)


def look_at_faces(graph: Graph, pictures: torch.Tensor, squares: torch.Tensor) -> Look:
    """Faces, as `look_at_hands`: the 468 points of the mesh."""
    results, maps = graph.with_features(_crops(graph, pictures, squares), _CELLS["face"])
    points = results[0].reshape(len(squares), faces.POINTS, 3)[..., :2] / graph.size
    return Look(points, results[1].reshape(-1).sigmoid(), maps)


def distance(made: Look, true: Look, weights: Weights = Weights()) -> torch.Tensor:  # noqa: B008 (frozen)
    """How far made things are from true ones, (n,): 0 for the true picture itself, about 1 for a hand that is gone.

    Distances of points count in sizes of the true thing; presence only where the true one is seen.
    """
    extent = (true.points.amax(1) - true.points.amin(1)).norm(dim=-1).clamp(min=1e-3)
    apart = (made.points - true.points).square().sum(-1).add(1e-10).sqrt().mean(-1) / extent
    lacking = F.relu(true.presence - made.presence)
    unlike = (made.features - true.features).square().mean((1, 2, 3))
    unlike = unlike / true.features.square().mean((1, 2, 3)).clamp(min=1e-6)
    return weights.points * apart + weights.presence * lacking + weights.features * unlike


def hand_squares(points: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around true hands (n, 21, 2) in pixels."""
    return hands.next_squares(points)


def _crops(graph: Graph, pictures: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
    low, high = graph.range
    return sample_smoothly(pictures.float(), squares, graph.size) * (high - low) + low
