"""Pictures made smaller, larger, or moved by a matrix, in torch: OpenCV's numbers without OpenCV, on any device.

`resize_linear` equals `cv2.resize(..., INTER_LINEAR)` in every pixel, the others are within one step of 255 of their
counterparts in OpenCV 4.
"""

import numpy as np
import torch

# Weights are whole numbers: parts of 2048.
_WEIGHT_BITS = 11
# OpenCV looks cubic weights up for places rounded to 1/32 pixel.
_FRACTIONS, _FINE = 32, 1024
_CUBIC = -0.75


def resize_linear(pictures: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Pictures (..., h, w, c) uint8 at another size, by the two nearest pixels along each axis."""
    full, rows, columns = pictures.shape[-3:-1], slice(0, height), slice(0, width)
    down, across = source_range(full[0], height, rows), source_range(full[1], width, columns)
    return resize_part(pictures[..., down, across, :], full, (height, width), rows, columns)


def resize_part(
    part: torch.Tensor, full: tuple[int, int], target: tuple[int, int], rows: slice, columns: slice
) -> torch.Tensor:
    """The given rows and columns of what `resize_linear` makes of pictures, from no more of them than that needs.

    part : (..., h, w, c) uint8, the `source_range` of the rows and columns of pictures of size `full`.
    target : height and width of the whole result.
    """
    if tuple(full) == tuple(target):
        return part
    if tuple(full) == (2 * target[0], 2 * target[1]):
        return _halved(part)
    low, high, before, after = _two_nearest(full[1], target[1], columns, part.device, clamp=True)
    before, after = before[:, None], after[:, None]
    lines = part.index_select(-2, low).int() * before + part.index_select(-2, high).int() * after
    low, high, before, after = _two_nearest(full[0], target[0], rows, part.device, clamp=False)
    # OpenCV drops four bits of the sums and 16 of the products, and rounds the last two.
    lines = lines >> 4
    first = lines.index_select(-3, low).mul_(before[:, None, None]) >> 16
    second = lines.index_select(-3, high).mul_(after[:, None, None]) >> 16
    return ((first + second + 2) >> 2).clamp_(0, 255).to(torch.uint8)


def source_range(size: int, target: int, wanted: slice) -> slice:
    """Which of `size` pixels along an axis the wanted ones of `target` are made of."""
    if size == target:
        return wanted
    low, high, _, _ = _nearest_places(size, target)
    return slice(int(low[wanted.start]), int(high[wanted.stop - 1]) + 1)


def resize_area(pictures: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Pictures (..., h, w, c) uint8 made smaller, each pixel the mean of what it covers; an axis never grows."""
    if height > pictures.shape[-3] or width > pictures.shape[-2]:
        raise ValueError(f"pictures of {pictures.shape[-2]}x{pictures.shape[-3]} cannot shrink to {width}x{height}")
    if (pictures.shape[-3], pictures.shape[-2]) == (2 * height, 2 * width):
        return _halved(pictures)
    mean = _averaged(_averaged(pictures, -3, height), -2, width)
    return mean.round_().clamp_(0, 255).to(torch.uint8)


def shrink(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """`resize_area` of an array (h, w, c) uint8."""
    return resize_area(torch.from_numpy(np.require(picture, requirements=("C", "W"))), height, width).numpy()


def warp_cubic(
    picture: torch.Tensor, matrix: np.ndarray, height: int, width: int, outside: str = "edge"
) -> torch.Tensor:
    """A picture (h, w, c) uint8 moved by a matrix, by the sixteen nearest pixels.

    Parameters
    ----------
    matrix : (2, 3) from places in the picture to places in the result, in pixels.
    outside : "edge" continues with the picture's edge, "black" is black.

    Returns
    -------
    (height, width, c) uint8.
    """
    back = np.linalg.inv(np.concatenate([matrix, [[0, 0, 1]]]))[:2]
    x = torch.arange(width, dtype=torch.float64, device=picture.device)
    y = torch.arange(height, dtype=torch.float64, device=picture.device)[:, None]
    total = None
    columns, column_weights = _four_nearest(_fine_places(back[0], x, y), picture.shape[1], outside)
    rows, row_weights = _four_nearest(_fine_places(back[1], x, y), picture.shape[0], outside)
    flat = picture.reshape(-1, picture.shape[-1])
    for row, down in zip(rows, row_weights, strict=True):
        for column, across in zip(columns, column_weights, strict=True):
            taps = flat[(row * picture.shape[1] + column).reshape(-1)] * (down * across).reshape(-1, 1)
            total = taps if total is None else total.add_(taps)
    return total.round_().clamp_(0, 255).to(torch.uint8).reshape(height, width, -1)


def _halved(pictures: torch.Tensor) -> torch.Tensor:
    """Exactly half the size: the rounded mean of two by two pixels, which is how OpenCV treats this one case."""
    values = pictures.int()
    pairs = values[..., 0::2, :, :] + values[..., 1::2, :, :]
    return ((pairs[..., 0::2, :] + pairs[..., 1::2, :] + 2) >> 2).to(torch.uint8)


def _nearest_places(size: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each of `target` pixels the two of `size` around it, how far it is past the first, and whether both exist."""
    places = ((np.arange(target) + 0.5) * (size / target) - 0.5).astype(np.float32)
    low = np.floor(places).astype(np.int64)
    return (
        low.clip(0, size - 1),
        (low + 1).clip(0, size - 1),
        places - low.astype(np.float32),
        (low >= 0) & (low < size - 1),
    )


def _two_nearest(size: int, target: int, wanted: slice, device, clamp: bool):
    """For the wanted of `target` pixels the two around each and their weights in parts of 2048.

    Pixels are counted from the first one that is needed.
    clamp : what would lie before the first or behind the last pixel counts as that pixel, with full weight.
    """
    low, high, fraction, both = (values[wanted] for values in _nearest_places(size, target))
    if clamp:
        fraction = np.where(both, fraction, np.float32(0))
    after = np.rint(fraction * np.float32(1 << _WEIGHT_BITS)).astype(np.int32)
    before = np.rint((np.float32(1) - fraction) * np.float32(1 << _WEIGHT_BITS)).astype(np.int32)
    return tuple(torch.from_numpy(value).to(device) for value in (low - low[0], high - low[0], before, after))


def _averaged(pictures: torch.Tensor, axis: int, target: int) -> torch.Tensor:
    """Pictures as float with `target` pixels along an axis (-3 or -2), each the mean of what it covers there."""
    size = pictures.shape[axis]
    edges = torch.arange(target + 1, dtype=torch.float64) * (size / target)
    # What ends a hair beyond a pixel's edge through rounding ends there.
    first = (edges[:-1] + 1e-9).floor().long()
    total = None
    for step in range(int((edges[1:] - first).sub(1e-9).ceil().max())):
        pixel = first + step
        shared = torch.minimum(edges[1:], pixel + 1.0) - torch.maximum(edges[:-1], pixel.double())
        weights = (shared.clamp(min=0) * (target / size)).float().to(pictures.device)
        rows = pictures.index_select(axis, pixel.clamp(max=size - 1).to(pictures.device)).float()
        rows *= weights.reshape(-1, *[1] * (-axis - 1))
        total = rows if total is None else total.add_(rows)
    return total


def _fine_places(row: np.ndarray, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Places in 1/32 pixel, rounded as OpenCV does: the parts of x and of y each to 1/1024 before."""
    along = (row[0] * x * _FINE).round().long()
    down = ((row[1] * y + row[2]) * _FINE).round().long()
    return (along + down + _FINE // _FRACTIONS // 2) // (_FINE // _FRACTIONS)


def _four_nearest(steps: torch.Tensor, size: int, outside: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """For each place, in 1/32 pixel, the four pixels around it along an axis and their cubic weights.

    Pixels that are not seen weigh nothing.
    """
    first, t = (steps >> 5) - 1, (steps & (_FRACTIONS - 1)).float() / _FRACTIONS
    a = _CUBIC
    weights = [
        ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1,
    ]
    weights.append(1 - weights[0] - weights[1] - weights[2])
    pixels = [first + index for index in range(4)]
    if outside == "black":
        weights = [weight * ((pixel >= 0) & (pixel < size)) for weight, pixel in zip(weights, pixels, strict=True)]
    return [pixel.clamp(0, size - 1) for pixel in pixels], weights
