"""Pin: what of a clip's latents is held while the rest is sampled, so that a background neither drifts nor flickers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from ..media.picture import fit_picture
from ..pose.hand_pose import HandPose
from ..pose.measure import ARMS
from ..pose.track import present
from .crop import Crop

CELL = 8  # Pixels of a latent's cell.
# Cells in which less than this may change are held.
_LEAST_FREE = 0.02
# The person may move by so many cells around the mask of where they are, and the next cells are almost held: what is
# sampled would end in a step there.
_ROOM = 1
_RIM = 0.25
# Points along a bone, and the room around an arm and a hand as a part of the shoulders' distance.
_ALONG, _AROUND = 12, 0.18


@dataclass(frozen=True)
class Pin:
    """Latents that a clip keeps, or starts from.

    Attributes
    ----------
    latents : (1 or F, 4, h, w), unscaled, of one picture or of each frame.
    mask : (1 or F, 1, h, w) float in 0..1: 1 where the clip is sampled, 0 where the latents are held; None is 1.
    """

    latents: torch.Tensor
    mask: torch.Tensor | None = None

    def part(self, frames: list[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Latents (n, 4, h, w) and mask (n, 1, h, w) of some frames; after the end the last ones."""
        return tuple(
            None if values is None else values[torch.tensor(frames).clamp(max=len(values) - 1)]
            for values in (self.latents, self.mask)
        )


def mask_of_crop(crop: Crop, pose: HandPose | None, height: int, width: int) -> torch.Tensor:
    """Which cells (1 or F, 1, height, width) of a crop may change: its masks, and where arms and hands will be.

    pose : of the clip, on the crop's canvas; ignored where the crop says frame by frame what may change.
    """
    if crop.masks is None:
        return torch.ones(1, 1, height, width)
    masks = at_cells(crop.at_size(width * CELL, height * CELL).masks.float() / 255, height, width, "crop")
    if len(masks) == 1 and pose is not None:
        masks = torch.maximum(masks, _reached(pose, height, width))
    free = _grown(masks, _ROOM)
    return torch.maximum(free, _RIM * _grown(free, 1))


def _grown(masks: torch.Tensor, cells: int) -> torch.Tensor:
    return F.max_pool2d(masks, 2 * cells + 1, 1, cells)


def at_cells(masks: torch.Tensor, height: int, width: int, fit: str) -> torch.Tensor:
    """Masks (n, H, W) in 0..1 as cells (n, 1, height, width), fitted as the picture was; wholly held or free at least.

    fit : "crop" or "pad".
    """
    cells = torch.stack([fit_picture(mask[None, ..., None], height, width, fit)[0, ..., 0] for mask in masks])
    return torch.where(cells < _LEAST_FREE, 0.0, torch.where(cells > 0.5, 1.0, cells * 2))[:, None]


def _reached(pose: HandPose, height: int, width: int) -> torch.Tensor:
    """(1, 1, height, width): cells that arms and hands come near in any frame."""
    pose = pose.whole_canvas()
    size = np.array([width, height], float)
    hands = pose.hands[present(pose.hands, pose.hand_scores)] * size
    points, room = [hands], 2.0
    if pose.bodies is not None:
        bodies, there = pose.bodies * size, present(pose.bodies, pose.body_scores)
        for start, end in (bone for arm in ARMS for bone in pairwise(arm)):
            seen = there[:, start] & there[:, end]
            steps = np.linspace(0, 1, _ALONG)[:, None, None]
            points.append((bodies[seen, start] * (1 - steps) + bodies[seen, end] * steps).reshape(-1, 2))
        shoulders = there[:, 2] & there[:, 5]
        if shoulders.any():
            room = max(
                _AROUND * float(np.median(np.linalg.norm(bodies[shoulders, 2] - bodies[shoulders, 5], axis=1))), 1
            )
    places = np.concatenate(points)
    places = places[((places >= 0) & (places < size)).all(axis=1)].astype(int)
    cells = torch.zeros(1, 1, height, width)
    cells[0, 0, places[:, 1], places[:, 0]] = 1.0
    reach = int(np.ceil(room))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = torch.from_numpy((np.hypot(x, y) <= room).astype(np.float32))[None, None]
    return (F.conv2d(cells, disc, padding=reach) > 0).float()
