"""Where a person sits in the square frame: the original's framing rule, and fitting a pose to any canvas."""

from dataclasses import dataclass, replace

import numpy as np

from ..config import FRAME_SIZE
from ..media.picture import fit_scale
from .hand_pose import HandPose

# Room added above and below, as parts of the height from the top of the face to the lowest upper-body point.
MARGIN = 0.25
ABOVE, BELOW = 0.65, 0.05
MARGIN_ABOVE, MARGIN_BELOW = MARGIN * ABOVE, MARGIN * BELOW
UPPER_BODY_POINTS = slice(0, 7)
NECK = 1


@dataclass(frozen=True)
class Framing:
    """The part of a picture that becomes the square frame.

    Attributes
    ----------
    width, height : the picture, in pixels.
    size : side of the square frame in pixels.
    pose_params : (x min, x max, y min, y max) of the part, 0..1 of the picture; x max may lie beyond the picture.
    video_params : (row from, row to, column from, column to) of the part, in pixels of the picture.
    draw_pose_params : (height, width, row begin, row end, column begin, column end) that the part gets in the frame.
    """

    width: int
    height: int
    size: int
    pose_params: tuple[float, float, float, float]
    video_params: tuple[int, int, int, int]
    draw_pose_params: tuple[int, int, int, int, int, int]

    @property
    def region(self) -> tuple[int, int, int, int]:
        """Rows and columns of the frame that the part fills."""
        return self.draw_pose_params[2:]


def framing(bodies: np.ndarray, faces: np.ndarray, width: int, height: int, size: int = FRAME_SIZE) -> Framing:
    """Derive the framing of a clip as the original does ("alignment" in its notebook).

    Parameters
    ----------
    bodies : (F, 18, 2) OpenPose-18 points, 0..1 of the picture; NaN marks a point to leave out.
    faces : (F, 68, 2), likewise.
    width, height : pixels of the picture.

    Raises
    ------
    ValueError : if no frame shows both a face and the upper body.
    """
    bodies, faces = np.asarray(bodies, float), np.asarray(faces, float)
    upper = bodies[:, UPPER_BODY_POINTS, 1]
    if np.isnan(faces[..., 1]).all() or np.isnan(upper).all() or np.isnan(bodies[:, NECK, 0]).all():
        raise ValueError(
            "the framing needs a face and the upper body, but the pose shows none: use a picture or video "
            "where the head, the shoulders and both arms can be seen"
        )
    top, bottom = np.nanmin(faces[..., 1]), np.nanmax(upper)
    middle = np.nanmean(bodies[:, NECK, 0])
    # In the original's order of operations, since the last bit may decide about a pixel.
    margin = (bottom - top) * MARGIN
    top, bottom = max(top - margin * ABOVE, 0), min(bottom + margin * BELOW, 1)

    first_row, last_row = int(top * height), int(bottom * height)
    middle_column = int(middle * width)
    part_height = last_row - first_row + 1
    part_width = part_height
    first_column = middle_column - part_width // 2
    if first_column < 0:
        first_column, part_width = 0, middle_column * 2
    if part_height < 1 or part_width < 1:
        raise ValueError(
            f"the framing is empty (rows {first_row} to {last_row}, {part_width} columns of a {width}x{height} "
            "picture): the person is outside the picture"
        )
    last_column = first_column + part_width
    return Framing(
        width=width,
        height=height,
        size=size,
        pose_params=(first_column / width, last_column / width, float(top), float(bottom)),
        video_params=(first_row, last_row, first_column, last_column),
        draw_pose_params=_placed(part_height, part_width, size),
    )


def _placed(height: int, width: int, size: int) -> tuple[int, int, int, int, int, int]:
    """Size and place of a (height, width) part, scaled to fill the square frame on its longer side."""
    half = size // 2
    if height > width:
        placed_width = int(round(width / height * size))
        begin = half - placed_width // 2
        return size, placed_width, 0, size, begin, begin + placed_width
    # The original fills all rows here even when the part is wider than high.
    begin = half - size // 2
    return size, size, begin, begin + size, 0, size


def frame_pose(pose: HandPose, frame: Framing) -> HandPose:
    """The pose, whose coordinates span the whole picture of `frame`, moved into the square frame."""
    x_min, x_max, y_min, y_max = frame.pose_params
    moved = pose.whole_canvas().map_points(lambda points: (points - (x_min, y_min)) / (x_max - x_min, y_max - y_min))
    region = None if frame.region == (0, frame.size, 0, frame.size) else frame.region
    return replace(moved, width=frame.size, height=frame.size, region=region)


def fit_canvas(pose: HandPose, height: int, width: int, mode: str) -> HandPose:
    """The pose on a canvas of another size, scaled and centred as the reference picture is, never stretched.

    mode : "crop" fills the new canvas, "pad" keeps all of the old one in it.
    """
    if (height, width) == (pose.height, pose.width):
        return pose
    scale, dx, dy = fit_scale(pose.width, pose.height, width, height, mode)
    factor = np.array([pose.width * scale / width, pose.height * scale / height])
    offset = np.array([dx / width, dy / height])
    moved = pose.whole_canvas().map_points(lambda points: points * factor + offset)
    return replace(moved, width=width, height=height)
