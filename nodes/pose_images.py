"""Between ComfyUI's IMAGE and the pictures of the pose code."""

from collections.abc import Iterator

import numpy as np
import torch


def to_images(pictures: np.ndarray) -> torch.Tensor:
    """Pictures (n, H, W, 3) uint8 as an IMAGE."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).float().div_(255)


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
