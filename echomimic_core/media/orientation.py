"""Pictures of a video as every player shows them: turned and mirrored by its display matrix, its pixels made square."""

import numpy as np

# How a matrix of 16.16 numbers is laid out: x' = a x + c y, y' = b x + d y.
_A, _B, _C, _D = 0, 1, 3, 4
_NUMBERS = 9


def display_matrix(frame) -> np.ndarray | None:
    """The display matrix (9,) of a decoded frame, None where it has none."""
    data = frame.side_data
    for index in range(len(data)):
        item = data[index]
        if getattr(item.type, "name", "") == "DISPLAYMATRIX":
            raw = bytes(item)
            return np.frombuffer(raw, np.int32) if len(raw) == 4 * _NUMBERS else None
    return None


def upright(picture: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """A picture (height, width, 3) turned and mirrored as the matrix says, to the nearest quarter turn."""
    if matrix is None:
        return picture
    a, b, c, d = (int(matrix[index]) for index in (_A, _B, _C, _D))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        picture, across, down = picture.swapaxes(0, 1), c, b
    picture = picture[:, ::-1] if across < 0 else picture
    return np.ascontiguousarray(picture[::-1] if down < 0 else picture)


def square_size(width: int, height: int, aspect) -> tuple[int, int]:
    """Width and height of a picture once its pixels are square; `aspect` is theirs, width over height, or None.

    The longer way is taken, so that no line of the picture is lost.
    """
    if not aspect or aspect <= 0 or aspect == 1:
        return width, height
    ratio = float(aspect)
    return (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))
