"""Bring a picture to the size of the video without stretching it."""

import torch
import torch.nn.functional as F


def fit_picture(image: torch.Tensor, height: int, width: int, fit: str) -> torch.Tensor:
    """A picture (n, h, w, 3 or 4) in 0..1 as (n, height, width, 3), centred and never stretched.

    Parameters
    ----------
    fit : "crop" fills the frame and cuts off what sticks out, "pad" keeps all of it on black borders.
        An alpha channel is laid on black.
    """
    image = image.movedim(-1, 1)
    if image.shape[1] == 1:
        image = image.expand(-1, 3, -1, -1)
    if image.shape[1] == 4:
        image = image[:, :3] * image[:, 3:]
    if image.shape[-2:] == (height, width):
        return image.movedim(1, -1)
    scale, _, _ = fit_scale(image.shape[-1], image.shape[-2], width, height, fit)
    scaled = (max(1, round(image.shape[-2] * scale)), max(1, round(image.shape[-1] * scale)))
    image = F.interpolate(image, size=scaled, mode="bicubic", antialias=True, align_corners=False).clamp(0.0, 1.0)
    for axis, size in ((-2, height), (-1, width)):
        spare = size - image.shape[axis]
        before = abs(spare) // 2
        if spare < 0:
            image = image.narrow(axis, before, size)
        elif spare > 0:
            pads = (before, spare - before)
            image = F.pad(image, (*pads, 0, 0) if axis == -1 else (0, 0, *pads))
    return image.movedim(1, -1)


def fit_scale(width: int, height: int, to_width: int, to_height: int, mode: str) -> tuple[float, float, float]:
    """Scale and offset (scale, dx, dy), in pixels, that fit a picture into another size without stretching.

    "crop" fills the new size and cuts what stands out; "pad" keeps everything and leaves bars. Both keep the centre.
    """
    if mode not in ("crop", "pad"):
        raise ValueError(f"the fit is {mode!r}, but it must be 'crop' or 'pad'")
    choose = max if mode == "crop" else min
    scale = choose(to_width / width, to_height / height)
    return scale, (to_width - width * scale) / 2, (to_height - height * scale) / 2
