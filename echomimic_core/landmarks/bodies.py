"""Bodies in pictures: people are found, and 33 points and a mask read in a turned square around each."""

from dataclasses import dataclass

import numpy as np
import torch

from .regions import spread, to_picture, turn
from .see import see

POINTS = 33
# Two more points of the network: the middle of the body, and how far it reaches.
_MIDDLE, _REACH = 33, 34
_ALL_POINTS = 39
_SCALE = 1.25
# Points move to the mean of the heat map around them, in so many cells, where it is at least so sure.
_KERNEL = 7
_SURE = 0.5


@dataclass
class Body:
    """A person: points (33, 2) in pixels, how visible and how present each is (33,), and how sure the whole is.

    mask : logits (256, 256) of the person in `square`; `person_masks` makes a mask of the picture's size of it.
    """

    points: np.ndarray
    visibility: np.ndarray
    presences: np.ndarray
    presence: float
    square: np.ndarray
    mask: torch.Tensor
    _follow: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """How sure each point is, (33,): it has to be both in the picture and in sight."""
        return np.minimum(self.visibility, self.presences)

    def next_square(self) -> np.ndarray:
        """Where to look for this person in the next frame, (4,)."""
        return _square(self._follow[:1], self._follow[1:])[0]


def squares_of(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around the people whose middle and reach are the first two of points (n, 4, 2)."""
    return _square(points[:, 0], points[:, 1])


def read_bodies(pictures, owners, squares, networks) -> list[Body]:
    """The people in squares (n, 4) of pictures, however unsure, in order."""
    if not len(squares):
        return []
    graph = networks["body"]
    points, presence, masks, heat, _ = see(graph, pictures, owners, squares)
    points = points.reshape(len(squares), _ALL_POINTS, 5).float()
    places = _refined(points[..., :2] / graph.size, heat.float()).cpu().numpy().astype(np.float64)
    sure = points[..., 3:].sigmoid().cpu().numpy().astype(np.float64)
    presence = presence.float().cpu().numpy()
    places = to_picture(places, squares)
    return [
        Body(
            places[index, :POINTS],
            sure[index, :POINTS, 0],
            sure[index, :POINTS, 1],
            float(presence[index, 0]),
            square,
            masks[index, 0],
            places[index, [_MIDDLE, _REACH]],
        )
        for index, square in enumerate(squares)
    ]


def person_masks(bodies: list[Body], height: int, width: int) -> torch.Tensor:
    """(n, height, width) in [0, 1]: where each person is, soft at the edges, zero outside the square."""
    if not bodies:
        return torch.zeros((0, height, width))
    maps = torch.stack([body.mask for body in bodies]).float().sigmoid()
    return spread(maps, np.stack([body.square for body in bodies]), height, width)


def _square(middle: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Squares (n, 4) around middles (n, 2) that reach as far as `reach`, which becomes the upward direction."""
    sides = 2 * _SCALE * np.linalg.norm(reach - middle, axis=1)
    return np.concatenate([middle, sides[:, None], turn(middle, reach, np.pi / 2)[:, None]], axis=1)


def _refined(places: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """Points (n, 39, 2) moved to the mean of their heat maps (n, 39, h, w) nearby, where those are sure."""
    height, width = heat.shape[2:]
    # Truncated towards zero, as whole numbers are in C: a point just beyond the edge counts as on it.
    column, row = (places[..., 0] * width).trunc(), (places[..., 1] * height).trunc()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    confidence = heat.sigmoid()
    reach = (_KERNEL - 1) // 2
    steps = torch.arange(-reach, reach + 1, device=heat.device)
    rows, columns = row.long()[..., None] + steps, column.long()[..., None] + steps
    there = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    cells = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    near = confidence.flatten(2).gather(2, cells.flatten(2)).reshape(cells.shape) * there
    total = near.sum((2, 3))
    moved_x = (near.sum(2) * columns).sum(2) / total.clamp(min=1e-12) / width
    moved_y = (near.sum(3) * rows).sum(2) / total.clamp(min=1e-12) / height
    sure = inside & (near.amax((2, 3)) >= _SURE) & (total > 0)
    return torch.where(sure[..., None], torch.stack([moved_x, moved_y], dim=-1), places)
