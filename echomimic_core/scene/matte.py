"""Matte: how much of each pixel is the person, sharpened along the picture's own edges."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from ..landmarks import Networks, as_pictures, person_masks
from .footage import Footage
from .people import find_bodies

# The network's mask is this coarse: its edge is moved to the nearest one in the picture within so much of the side.
_REACH = 1 / 48
_EPSILON = 1e-4


def person_matte(picture: np.ndarray, networks: Networks) -> torch.Tensor:
    """The matte (h, w) float in 0..1 of everybody in a picture (h, w, 3) uint8; zero where nobody is found."""
    height, width = picture.shape[:2]
    with torch.inference_mode():
        bodies = find_bodies(as_pictures(picture, networks), networks, 4, False)
        if not bodies:
            return torch.zeros(height, width)
        mask = person_masks(bodies, height, width).amax(dim=0).float().cpu()
        guide = torch.from_numpy(np.require(picture, requirements=("C", "W"))).float().movedim(-1, 0) / 255
        refined = guided(mask, guide, max(round(_REACH * min(height, width)), 1))
    # Softness far from any edge is the network's doubt, not the person's outline.
    return ((refined - 0.1) / 0.8).clamp(0, 1)


def matte_picture(picture: np.ndarray, networks: Networks) -> np.ndarray:
    """The matte of everybody in a picture (h, w, 3) uint8 as a grey picture (h, w) uint8."""
    return person_matte(picture, networks).mul(255).round().byte().numpy()


def matte_footage(clip: Footage, networks: Networks) -> Footage:
    """The mattes of a clip's frames, white on black, as footage of its size, rate and length."""

    def read() -> Iterator[np.ndarray]:
        for picture in clip.read():
            yield matte_picture(picture, networks)[..., None].repeat(3, axis=-1)

    return replace(clip, read=read, sparse=None)


def guided(mask: torch.Tensor, guide: torch.Tensor, radius: int) -> torch.Tensor:
    """A mask (h, w) filtered so that it follows the edges of a picture (3, h, w) in 0..1 (He et al., 2010)."""

    def mean(values: torch.Tensor) -> torch.Tensor:
        padded = F.pad(values[None], (radius,) * 4, mode="replicate")
        return F.avg_pool2d(padded, 2 * radius + 1, stride=1)[0]

    centre, level = mean(guide), mean(mask[None])
    together = mean(guide * mask) - centre * level
    spread = mean((guide[:, None] * guide[None]).flatten(0, 1)).unflatten(0, (3, 3)) - centre[:, None] * centre[None]
    spread = spread.movedim((0, 1), (-2, -1)) + _EPSILON * torch.eye(3)
    slope = torch.linalg.solve(spread, together.movedim(0, -1)[..., None])[..., 0].movedim(-1, 0)
    offset = level - (slope * centre).sum(dim=0, keepdim=True)
    return ((mean(slope) * guide).sum(dim=0) + mean(offset)[0]).clamp(0, 1)
