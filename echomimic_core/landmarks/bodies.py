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
# Of the network's results: points, presence, heat maps, and the mask if asked for; not the points in metres.
_WANTED, _WITH_MASK = (0, 1, 3), (0, 1, 3, 2)
_KERNEL = 7
_SURE = 0.5


@dataclass
class Body:
    """A person: points (33, 2) in pixels, how visible and how present each is (33,), and how sure the whole is.

    mask : logits (256, 256) of the person in `square`, if asked for; `person_masks` makes a mask of the picture's size
        of it.
    """

    points: np.ndarray
    visibility: np.ndarray
    presences: np.ndarray
    presence: float
    square: np.ndarray
    mask: torch.Tensor | None
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


def read_with_masks(pictures, owners, squares, networks) -> list[Body]:
    """As `read_bodies`, with the mask of each, which takes half as long again."""
    return read_bodies(pictures, owners, squares, networks, masks=True)


def read_bodies(pictures, owners, squares, networks, masks: bool = False) -> list[Body]:
    """The people in squares (n, 4) of pictures, however unsure, in order."""
    if not len(squares):
        return []
    graph = networks["body"]
    points, presence, heat, *logits = see(graph, pictures, owners, squares, wanted=_WITH_MASK if masks else _WANTED)
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
            logits[0][index, 0] if masks else None,
            places[index, [_MIDDLE, _REACH]],
        )
        for index, square in enumerate(squares)
    ]


def person_masks(bodies: list[Body], height: int, width: int) -> torch.Tensor:
    """(n, height, width) in [0, 1]: where each person is, soft at the edges, zero outside the square.

    Raises
    ------
    ValueError : a body was found without its mask.
    """
    if not bodies:
        return torch.zeros((0, height, width))
    if any(body.mask is None for body in bodies):
        raise ValueError("these bodies were found without masks: call find_bodies with masks=True")
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
