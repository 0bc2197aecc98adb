"""Pictures: read from files, and brought to the size of the video without stretching them."""

import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..choices import COLOURS


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


# What takes the place of a picture's background.
_BLUR = 1 / 40


def fill_background(
    image: torch.Tensor, mask: torch.Tensor | None, fill: str, picture: torch.Tensor | None = None
) -> torch.Tensor:
    """A picture (1, h, w, 3 or 4) in 0..1 with another background, (1, h, w, 3).

    Parameters
    ----------
    mask : (1, h, w) in 0..1, any size, 1 is the person; None takes the picture's alpha channel.
    fill : "keep" (as it is), the name of a colour, "blur", or "picture".
    picture : the new background for "picture", cropped to size.

    Raises
    ------
    ValueError : no mask and no alpha channel, or no picture to fill with.
    """
    if fill == "keep":
        return image
    if mask is None and image.shape[-1] != 4:
        raise ValueError(f"fill is {fill}, but nothing says what is the background: connect a mask of the person")
    height, width = image.shape[1:3]
    colours = image[..., :3].expand(-1, -1, -1, 3)
    mask = image[..., 3] if mask is None else mask[:1]
    mask = F.interpolate(mask[None].float(), size=(height, width), mode="bilinear", align_corners=False)[0, ..., None]
    if fill == "picture":
        if picture is None:
            raise ValueError("fill is picture, but fill_picture is not connected: connect the new background")
        ground = fit_picture(picture[:1].float(), height, width, "crop")
    elif fill == "blur":
        ground = _blurred(colours, mask, max(round(_BLUR * max(height, width)), 1))
    else:
        ground = torch.tensor(COLOURS[fill], dtype=image.dtype, device=image.device)
    return colours * mask + ground * (1 - mask)


def _blurred(colours: torch.Tensor, mask: torch.Tensor, radius: int) -> torch.Tensor:
    """The background under a wide blur, of which the person is no part."""
    planes = torch.cat([colours * (1 - mask), 1 - mask], dim=-1).movedim(-1, 1)
    for _ in range(3):
        planes = F.avg_pool2d(F.pad(planes, (radius,) * 4, mode="replicate"), 2 * radius + 1, stride=1)
    weight = planes[:, 3:].clamp(min=1e-3)
    mean = (colours * (1 - mask)).sum((1, 2)) / (1 - mask).sum((1, 2)).clamp(min=1e-3)
    return torch.where(planes[:, 3:] > 1e-3, planes[:, :3] / weight, mean[..., None, None]).movedim(1, -1)


def fit_scale(width: int, height: int, to_width: int, to_height: int, mode: str) -> tuple[float, float, float]:
    """Scale and offset (scale, dx, dy), in pixels, that fit a picture into another size without stretching.

    "crop" fills the new size and cuts what stands out; "pad" keeps everything and leaves bars. Both keep the centre.
    """
    if mode not in ("crop", "pad"):
        raise ValueError(f"the fit is {mode!r}, but it must be 'crop' or 'pad'")
    choose = max if mode == "crop" else min
    scale = choose(to_width / width, to_height / height)
    return scale, (to_width - width * scale) / 2, (to_height - height * scale) / 2


def read_picture(path: Path) -> np.ndarray:
    """A picture (H, W, 3) uint8, upright, transparency on black; ValueError if it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise ValueError(f"{path} cannot be read as a picture") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} has more pixels than a picture may have: make it smaller") from error
    ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(ground, picture).convert("RGB"))
