"""Between ComfyUI's IMAGE and the pictures of the pose code."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch


def to_images(pictures: np.ndarray) -> torch.Tensor:
    """Pictures (..., H, W, 3) uint8 as an IMAGE."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).float().div_(255)


def one_by_one(pictures: Iterable[np.ndarray], count: int) -> torch.Tensor:
    """An IMAGE of `count` pictures (H, W, 3) uint8 that come one at a time; no more than it is held in memory."""
    images = None
    for index, picture in enumerate(pictures):
        image = to_images(picture)
        if images is None:
            images = torch.empty(count, *image.shape)
        images[index] = image
    return images


def uint8_frames(images: torch.Tensor) -> Iterator[np.ndarray]:
    """The pictures of an IMAGE (grey, RGB, or RGBA on black) as (H, W, 3) uint8, one at a time."""
    for image in images:
        image = image.float().cpu()
        if image.shape[-1] == 4:
            image = image[..., :3] * image[..., 3:]
        yield image[..., :3].expand(-1, -1, 3).clamp(0, 1).mul(255).round().byte().numpy()


def first_picture(images: torch.Tensor) -> np.ndarray:
    """The first picture of an IMAGE as (H, W, 3) uint8."""
    return next(uint8_frames(images))
