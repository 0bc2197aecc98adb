"""The little things of a frame that count more than others, hands and mouth: which cells show them, where to look."""

import numpy as np
import torch

from ...apdh.steering import box_mask
from ...config import HANDS, LIP_POINTS
from ...pose import HandPose


def hand_cells(pose: HandPose, height: int, width: int) -> torch.Tensor:
    """(F, 1, height, width) of 0 and 1: cells that the box of a hand reaches, frame by frame."""
    pose, room = pose.whole_canvas(), 0.5 / np.array([width, height])
    masks = torch.zeros(len(pose), 1, height, width)
    for frame in range(len(pose)):
        for hand in range(HANDS):
            seen = pose.hands[frame, hand][pose.hand_scores[frame, hand] > 0]
            if len(seen):
                low, high = seen.min(0) - room, seen.max(0) + room
                masks[frame] = torch.maximum(masks[frame], box_mask((*low, *high), height, width))
    return masks


def crop_corner(pose: HandPose, size: int, cells: tuple[int, int], rng: np.random.Generator) -> torch.Tensor:
    """Left and top (2,) int64, in cells, of a crop of `size` cells around the mouth or a hand of the middle frame.

    cells : height and width of the frame.
    """
    pose = pose.take(np.array([len(pose) // 2])).whole_canvas()
    places = [pose.hands[0, hand].mean(0) for hand in range(HANDS) if (pose.hand_scores[0, hand] > 0).any()]
    if pose.faces is not None and (pose.face_scores is None or (pose.face_scores[0, LIP_POINTS] > 0).any()):
        places.append(pose.faces[0, LIP_POINTS].mean(0))
    place = places[rng.integers(len(places))] if places else rng.random(2)
    whole = np.array(cells[::-1])
    corner = np.round(place * whole - size / 2).clip(0, whole - size)
    return torch.from_numpy(corner.astype(np.int64))
