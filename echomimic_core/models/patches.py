"""Squares of latents as one cell with as many times the channels: small networks then see large pictures."""

import torch
import torch.nn.functional as F


def to_patches(values: torch.Tensor, side: int, multiple: int = 1) -> torch.Tensor:
    """(n, c, h, w) as (n, c * side², h / side, w / side); sizes that do not divide are continued at their end.

    multiple : h and w are continued to multiples of `side * multiple`.
    """
    if side == 1:
        return values
    height, width = values.shape[-2:]
    below, beside = -height % (side * multiple), -width % (side * multiple)
    if below or beside:
        values = F.pad(values, (0, beside, 0, below), mode="replicate")
    return F.pixel_unshuffle(values, side)


def from_patches(cells: torch.Tensor, side: int, size: tuple[int, int]) -> torch.Tensor:
    """The reverse, cut to a size (h, w)."""
    if side == 1:
        return cells
    return F.pixel_shuffle(cells, side)[..., : size[0], : size[1]]
