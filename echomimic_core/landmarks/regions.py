"""Turned squares on pictures: pictures sampled in them, and points taken back out of them.

A square is (x, y, side, angle): middle and side in pixels, angle in radians, clockwise as seen. Geometry and sampling
follow MediaPipe's calculators (RectTransformation, ImageToTensor on the processor): pixel i of a crop lies at
i * side / size from the square's corner, places are rounded to 1/32 pixel, and values to whole numbers.
"""

import numpy as np
import torch
import torch.nn.functional as F

_FRACTIONS = 32


def whole(height: int, width: int) -> np.ndarray:
    """The square around a whole picture, which is in its middle."""
    return np.array([width / 2, height / 2, max(height, width), 0.0])


def turn(start: np.ndarray, end: np.ndarray, target: float) -> np.ndarray:
    """Angles (...) that bring the directions from `start` to `end` (..., 2) to `target`, in [-pi, pi)."""
    along = end - start
    angle = target - np.arctan2(-along[..., 1], along[..., 0])
    return angle - 2 * np.pi * np.floor((angle + np.pi) / (2 * np.pi))


def square_of(
    middle: np.ndarray, sizes: np.ndarray, angles: np.ndarray, scale: float, shift: float = 0.0
) -> np.ndarray:
    """Squares (n, 4) of turned boxes, enlarged by `scale` and moved by `shift` of their height along their own axis.

    middle, sizes : (n, 2) in pixels, width before height. angles : (n,).
    """
    offset = sizes[:, 1] * shift
    x = middle[:, 0] - offset * np.sin(angles)
    y = middle[:, 1] + offset * np.cos(angles)
    return np.stack([x, y, sizes.max(axis=1) * scale, angles], axis=1)


def to_picture(points: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Points (n, k, 2) of squares, [0, 1] from corner to corner, in pixels of the picture."""
    centred = (points - 0.5) * squares[:, None, 2:3]
    cosine, sine = np.cos(squares[:, 3])[:, None], np.sin(squares[:, 3])[:, None]
    x = centred[..., 0] * cosine - centred[..., 1] * sine
    y = centred[..., 0] * sine + centred[..., 1] * cosine
    return np.stack([x, y], axis=-1) + squares[:, None, :2]


def to_square(points: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The other way: pixels of the picture (n, k, 2) to places in the squares, [0, 1] inside."""
    centred = points - squares[:, None, :2]
    cosine, sine = np.cos(squares[:, 3])[:, None], np.sin(squares[:, 3])[:, None]
    x = centred[..., 0] * cosine + centred[..., 1] * sine
    y = centred[..., 1] * cosine - centred[..., 0] * sine
    return np.stack([x, y], axis=-1) / squares[:, None, 2:3] + 0.5


def sample(
    pictures: torch.Tensor,
    owners: np.ndarray,
    squares: np.ndarray,
    size: int,
    values: tuple[float, float],
    outside: str = "edge",
) -> torch.Tensor:
    """What the networks see of pictures, as MediaPipe cuts it.

    Parameters
    ----------
    pictures : (frames, height, width, 3) uint8.
    owners : (n,) frame of each square.
    squares : (n, 4).
    values : what black and white become.
    outside : what lies beyond the picture: "edge" continues with its edge, "black" is black.

    Returns
    -------
    (n, 3, size, size) float32 in channels-last layout.
    """
    x, y = ((places * _FRACTIONS).round_().to(torch.int32) for places in _places(squares, size, pictures.device))
    height, width = pictures.shape[1:3]
    base = torch.as_tensor(owners, device=pictures.device, dtype=torch.int32)[:, None, None] * height
    columns, column_weights = _two_nearest(x, width, outside)
    rows, row_weights = _two_nearest(y, height, outside)
    flat = pictures.reshape(-1, 3)
    total = torch.zeros((len(squares) * size**2, 3), device=pictures.device)
    for row, down in zip(rows, row_weights, strict=True):
        line = (row + base) * width
        for column, across in zip(columns, column_weights, strict=True):
            taps = flat.index_select(0, (line + column).reshape(-1))
            total.addcmul_(taps.float(), (down * across).reshape(-1, 1))
    # Half a step goes up, as in OpenCV's whole-number arithmetic; every sum is exact in float32.
    total = total.mul_(1 / _FRACTIONS**2).add_(0.5).floor_()
    low, high = values
    return total.mul_((high - low) / 255).add_(low).view(len(squares), size, size, 3).permute(0, 3, 1, 2)


def _two_nearest(places: torch.Tensor, size: int, outside: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The two pixels around each place, in 1/32 pixel along an axis, and their weights in parts of 32."""
    first, after = places >> 5, (places & (_FRACTIONS - 1)).float()
    pixels, weights = [first, first + 1], [_FRACTIONS - after, after]
    if outside == "black":
        weights = [weight * ((pixel >= 0) & (pixel < size)) for pixel, weight in zip(pixels, weights, strict=True)]
    return [pixel.clamp(0, size - 1) for pixel in pixels], weights


def sample_smoothly(pictures: torch.Tensor, squares: torch.Tensor, size: int, outside: str = "edge") -> torch.Tensor:
    """The same as `sample` without any rounding, so that gradients reach the pictures.

    Parameters
    ----------
    pictures : (n, 3, height, width) float, one for each square.
    squares : (n, 4).

    Returns
    -------
    (n, 3, size, size) in the pictures' own values.
    """
    height, width = pictures.shape[2:]
    places = torch.broadcast_tensors(*_places(squares.detach().cpu().double().numpy(), size, pictures.device))
    sizes = torch.tensor([width, height], device=pictures.device)
    grid = (2 * torch.stack(places, dim=-1).to(pictures.dtype) + 1) / sizes - 1
    mode = "border" if outside == "edge" else "zeros"
    return F.grid_sample(pictures, grid.to(pictures.dtype), mode="bilinear", padding_mode=mode, align_corners=False)


def spread(maps: torch.Tensor, squares: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Maps (n, size, size) of squares put back on pictures: (n, height, width), zero outside the squares."""
    x, y = np.arange(width, dtype=np.float64)[None, :], np.arange(height, dtype=np.float64)[:, None]
    half_pixel = 1 / maps.shape[-1]
    grids = []
    for middle_x, middle_y, side, angle in squares:
        cosine, sine = np.cos(angle) * 2 / side, np.sin(angle) * 2 / side
        across = (x - middle_x) * cosine + (y - middle_y) * sine
        down = (y - middle_y) * cosine - (x - middle_x) * sine
        grids.append(np.stack([across, down], axis=-1) + half_pixel)
    grid = torch.from_numpy(np.stack(grids)).to(maps.device, maps.dtype)
    return F.grid_sample(maps[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]


def _places(squares: np.ndarray, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y in the picture of each pixel of the squares, in shapes that spread to (n, size, size)."""
    upright = not squares[:, 3].any()
    # Apple's devices know no float64; elsewhere it keeps places exact to the last 1/32 pixel.
    dtype = torch.float32 if device.type == "mps" else torch.float64
    squares = torch.from_numpy(np.ascontiguousarray(squares, dtype=np.float64)).to(device, dtype)
    steps = torch.arange(size, dtype=dtype, device=device) / size - 0.5
    side, angle = squares[:, 2, None], squares[:, 3, None]
    if upright:
        across = steps * side
        return squares[:, 0, None, None] + across[:, None, :], squares[:, 1, None, None] + across[:, :, None]
    across, along = steps * side * angle.cos(), steps * side * angle.sin()
    x = squares[:, 0, None, None] + across[:, None, :] - along[:, :, None]
    y = squares[:, 1, None, None] + along[:, None, :] + across[:, :, None]
    return x, y
