"""The picture of a pose that the pose encoder sees, pixel for pixel as the original draws it."""

from __future__ import annotations

import colorsys
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..config import HAND_POINTS, LIP_POINTS
from .framing import fit_canvas
from .hand_pose import HandPose

# Keypoint groups a map may show: the released model knows hands only, models trained with APDH's pose sampling all.
GROUPS = ("body", "hands", "face", "lips")

# The original draws on a canvas whose short side is 800 pixels and shrinks it; coordinates before pixel 1 are off.
DRAWING_SHORT_SIDE = 800
BONE_THICKNESS = 2
HAND_DOT_RADIUS = 4
FACE_DOT_RADIUS = 3
BODY_DOT_RADIUS = 4
BODY_STICK_WIDTH = 4
BODY_SCORE_SHOWN = 0.3
BODY_STICK_BRIGHTNESS = 0.6

FINGERS = tuple((0, *range(first, first + 4)) for first in range(1, HAND_POINTS, 4))
HAND_BONES = tuple(bone for finger in FINGERS for bone in zip(finger, finger[1:], strict=False))
BODY_LIMBS = (
    ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10))
    + ((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))
)  # fmt: skip
# The original draws these as blue, green, red and swaps the channels in the end.
_HAND_COLOURS = np.array([colorsys.hsv_to_rgb(i / len(HAND_BONES), 1.0, 1.0)[::-1] for i in range(len(HAND_BONES))])
_BODY_COLOURS = 255 * np.array([colorsys.hsv_to_rgb(i / 18, 1.0, 1.0) for i in range(18)])
_DOT_COLOUR = np.array([255.0, 0.0, 0.0])

_COORDINATE_LIMIT = 2**20
# No stroke is seen further from its points than this, in pixels of the drawing canvas.
_STROKE_REACH = 12


def draw_maps(
    pose: HandPose, frames: Sequence[int] | None, height: int, width: int, groups: Sequence[str] = ("hands",)
) -> np.ndarray:
    """Draw the maps that the pose encoder sees (FACTS of the original: dots red, bones as a rainbow, black elsewhere).

    Parameters
    ----------
    frames : indices of the frames to draw, in order, repeats allowed; None draws all.
    height, width : pixels of the maps. A pose with another canvas is scaled and padded to it, never stretched;
        call `fit_canvas` first to crop instead.
    groups : keypoint groups to draw, of "hands", "body", "face" (without lips) and "lips".

    Returns
    -------
    (n, height, width, 3) uint8, RGB.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ValueError(f"no keypoint group is called {unknown[0]!r}; there are {', '.join(GROUPS)}")
    if frames is not None:
        pose = pose.take(np.asarray(frames, dtype=np.int64))
    pose = fit_canvas(pose, height, width, "pad")
    row, row_end, column, column_end = pose.region or (0, height, 0, width)
    region_height, region_width = row_end - row, column_end - column
    scale = DRAWING_SHORT_SIDE / min(region_height, region_width)
    canvas_size = (int(region_height * scale), int(region_width * scale))
    strokes = _strokes(pose, groups, canvas_size)

    maps = np.zeros((len(pose), height, width, 3), np.uint8)
    local = threading.local()

    def draw_frame(index: int) -> None:
        from ..media.opencv import cv2

        shown = [stroke.points[index][stroke.shown[index]] for stroke in strokes]
        shown = np.concatenate([points.reshape(-1, 2) for points in shown])
        if len(shown) == 0:
            return
        # Fresh memory for each frame would cost more than the drawing.
        if not hasattr(local, "canvas"):
            local.canvas = np.zeros((*canvas_size, 3), np.uint8)
            local.small = np.empty((region_height, region_width, 3), np.uint8)
        canvas, small = local.canvas, local.small
        for stroke in strokes:
            stroke.draw(canvas, index)
        if canvas.shape == small.shape:
            small = canvas
        else:
            cv2.resize(canvas, (region_width, region_height), dst=small)
        reach = (np.array([-1, 1])[:, None] * _STROKE_REACH + [shown.min(axis=0), shown.max(axis=0)]) / scale
        _paste(small, maps[index], row, column, np.floor(reach[0]), np.ceil(reach[1]))
        canvas.fill(0)

    # OpenCV lets go of the interpreter lock while it draws and scales, so threads help.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(draw_frame, range(len(pose))))
    return maps


def _paste(picture: np.ndarray, target: np.ndarray, row: int, column: int, begin: np.ndarray, end: np.ndarray) -> None:
    """Copy the part of a picture from `begin` to `end` (x, y) into a target at (row, column), cut at its edges."""
    left, top = np.maximum(begin, [max(0, -column), max(0, -row)]).astype(int)
    right, bottom = np.minimum(end, np.array(picture.shape[1::-1])).astype(int)
    right, bottom = min(right, target.shape[1] - column), min(bottom, target.shape[0] - row)
    if top < bottom and left < right:
        target[row + top : row + bottom, column + left : column + right] = picture[top:bottom, left:right]


class _Lines:
    """Bones of one hand through the clip, as coloured lines."""

    def __init__(self, points: np.ndarray, scores: np.ndarray):
        a, b = (np.array(ends) for ends in zip(*HAND_BONES, strict=True))
        on_canvas = (points > 0).all(-1)
        self.shown = on_canvas[:, a] & on_canvas[:, b]
        self.points = np.stack([points[:, a], points[:, b]], axis=2)
        self.colours = _HAND_COLOURS * np.trunc(scores[:, a] * scores[:, b] * 255)[..., None]

    def draw(self, canvas: np.ndarray, frame: int) -> None:
        from ..media.opencv import cv2

        shown = self.shown[frame]
        for (start, end), colour in zip(
            self.points[frame][shown].tolist(), self.colours[frame][shown].tolist(), strict=True
        ):
            cv2.line(canvas, start, end, colour, thickness=BONE_THICKNESS)


class _Dots:
    """Keypoints through the clip, as filled circles of a colour (..., 3) times their score."""

    def __init__(self, points: np.ndarray, scores: np.ndarray, colours: np.ndarray, radius: int):
        self.points, self.radius = points, radius
        self.shown = (points > 0).all(-1)
        self.colours = np.trunc(scores[..., None] * colours)

    def draw(self, canvas: np.ndarray, frame: int) -> None:
        from ..media.opencv import cv2

        shown = self.shown[frame]
        for point, colour in zip(self.points[frame][shown].tolist(), self.colours[frame][shown].tolist(), strict=True):
            cv2.circle(canvas, point, self.radius, colour, thickness=-1)


class _Limbs:
    """The body's limbs through the clip, as dimmed ellipses."""

    def __init__(self, points: np.ndarray, scores: np.ndarray):
        a, b = (np.array(ends) for ends in zip(*BODY_LIMBS, strict=True))
        self.shown = (scores[:, a] >= BODY_SCORE_SHOWN) & (scores[:, b] >= BODY_SCORE_SHOWN)
        self.shown &= (points[:, a] > 0).all(-1) & (points[:, b] > 0).all(-1)
        self.points = np.stack([points[:, a], points[:, b]], axis=2)
        middle = (points[:, a] + points[:, b]) / 2
        along = (points[:, a] - points[:, b]).astype(float)
        lengths = np.hypot(along[..., 0], along[..., 1]) / 2
        angles = np.degrees(np.arctan2(along[..., 1], along[..., 0]))
        self.ellipses = np.concatenate([middle, lengths[..., None], angles[..., None]], axis=-1).astype(np.int64)
        brightness = np.clip(scores[:, a] * scores[:, b], 0, 1)[..., None]
        self.colours = BODY_STICK_BRIGHTNESS * (_BODY_COLOURS[: len(BODY_LIMBS)] * brightness)

    def draw(self, canvas: np.ndarray, frame: int) -> None:
        from ..media.opencv import cv2

        shown = self.shown[frame]
        for (x, y, length, angle), colour in zip(
            self.ellipses[frame][shown].tolist(), self.colours[frame][shown].tolist(), strict=True
        ):
            polygon = cv2.ellipse2Poly((x, y), (length, BODY_STICK_WIDTH), angle, 0, 360, 5)
            cv2.fillConvexPoly(canvas, polygon, colour)


def _strokes(pose: HandPose, groups: Sequence[str], canvas_size: tuple[int, int]) -> list:
    """Everything to draw on canvases of the given (height, width), from the bottom layer to the top one."""
    height, width = canvas_size

    def pixels(points: np.ndarray) -> np.ndarray:
        scaled = np.nan_to_num(points * (width, height), nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(scaled, -_COORDINATE_LIMIT, _COORDINATE_LIMIT).astype(np.int64)

    strokes = []
    if "body" in groups and pose.bodies is not None:
        points, scores = pixels(pose.bodies), np.nan_to_num(pose.body_scores)
        shown = np.where(scores[..., None] >= BODY_SCORE_SHOWN, points, 0)
        strokes += [_Limbs(points, scores), _Dots(shown, scores, _BODY_COLOURS, BODY_DOT_RADIUS)]
    if "hands" in groups:
        points, scores = pixels(pose.hands), np.nan_to_num(pose.hand_scores)
        for hand in range(points.shape[1]):
            strokes.append(_Lines(points[:, hand], scores[:, hand]))
            strokes.append(_Dots(points[:, hand], scores[:, hand], _DOT_COLOUR, HAND_DOT_RADIUS))
    if pose.faces is not None and ("face" in groups or "lips" in groups):
        points, scores = pixels(pose.faces), np.nan_to_num(pose.face_scores)
        kept = np.zeros(points.shape[1], bool)
        kept[LIP_POINTS] = "lips" in groups
        kept[: LIP_POINTS.start] = "face" in groups
        white = np.full(3, 255.0)
        strokes.append(_Dots(points[:, kept], scores[:, kept], white, FACE_DOT_RADIUS))
    return strokes
