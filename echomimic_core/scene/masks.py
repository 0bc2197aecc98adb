"""Masks of people: those of a segmenter in place of ours, and ours for other nodes."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from .people import People, Person

_SIDE = 256
_EDGE = 0.5


def first_masks(people: People) -> torch.Tensor:
    """Everybody's mask in the first frame: (people, height, width) in 0..1."""
    size = people.footage.height, people.footage.width
    return torch.stack([person.mask(0, np.eye(2, 3), *size) for person in people.people])


def with_masks(people: People, masks: torch.Tensor) -> People:
    """People whose masks are those of a segmenter, (n, height, width) in 0..1 of the picture's own shape.

    In a picture each mask goes to the person it covers best; several masks of one person are one. In a video of one
    person there is a mask for each frame.

    Raises
    ------
    ValueError : masks of another shape, or that cannot be given to people.
    """
    height, width = people.footage.height, people.footage.width
    if abs(masks.shape[2] / masks.shape[1] - width / height) > 0.02:
        raise ValueError(
            f"the mask is {masks.shape[2]}x{masks.shape[1]}, but the picture is {width}x{height}: connect the mask of "
            "this picture"
        )
    factor = width / masks.shape[2]
    if not people.footage.still:
        if len(people) != 1 or len(masks) not in (1, len(people.people[0])):
            raise ValueError(
                f"there are {len(masks)} masks for {len(people)} people in a video of "
                f"{len(people.people[0])} frames: masks of a video need one person, and one mask per frame"
            )
        return replace(people, people=(_masked(people.people[0], masks, factor),))
    chosen: dict[int, torch.Tensor] = {}
    for mask in masks:
        covers = [_covered(person, mask, factor) for person in people.people]
        best = int(np.argmax(covers))
        if covers[best] > 0:
            chosen[best] = torch.maximum(chosen[best], mask) if best in chosen else mask
    kept = [
        _masked(person, chosen[index][None], factor) if index in chosen else person
        for index, person in enumerate(people.people)
    ]
    return replace(people, people=tuple(kept))


def _masked(person: Person, masks: torch.Tensor, factor: float) -> Person:
    """A person with masks (n, h, w), each pixel of which is `factor` pixels of the canvas."""
    there = (masks > _EDGE).any(dim=0)
    if not there.any():
        return person
    rows, columns = there.any(dim=1).nonzero()[:, 0], there.any(dim=0).nonzero()[:, 0]
    low = np.array([float(columns[0]), float(rows[0])])
    high = np.array([float(columns[-1]), float(rows[-1])]) + 1
    middle, side = (low + high) / 2, float((high - low).max()) * 1.1
    crop = (side / _SIDE, middle - side / 2)
    steps = (torch.arange(_SIDE) + 0.5) * crop[0]
    grid = (
        torch.stack(torch.meshgrid(steps + float(crop[1][0]), steps + float(crop[1][1]), indexing="xy"), dim=-1)
        / torch.tensor([masks.shape[2], masks.shape[1]])
        * 2
        - 1
    )
    maps = torch.cat([F.grid_sample(mask[None, None], grid[None].float(), align_corners=False)[0] for mask in masks])
    maps = maps.mul(255).round().clamp(0, 255).byte()
    square = np.array([*(middle * factor), side * factor, 0.0])
    count = len(person)
    return replace(
        person,
        box=np.repeat(np.concatenate([low, high])[None] * factor, count, axis=0) if len(masks) == 1 else person.box,
        squares=np.repeat(square[None], count, axis=0),
        maps=maps if len(maps) == count else maps.expand(count, -1, -1),
    )


def _covered(person: Person, mask: torch.Tensor, factor: float) -> float:
    """How much of a person a mask covers, less how much of the mask lies elsewhere: over 0 where it may be theirs."""
    height, width = mask.shape
    theirs = person.mask(0, np.eye(2, 3), height, width, 1 / factor)
    return float((theirs * mask).sum() / torch.maximum(theirs, mask).sum().clamp(min=1e-6))
