"""The picture of a pose that the pose encoder sees, pixel for pixel as the original draws it."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..config import HAND_POINTS, LIP_POINTS
from ..media.scaling import resize_part, source_range
from . import raster
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
# So many frames are drawn together.
_BATCH = 16


def draw_maps(
    pose: HandPose,
    frames: Sequence[int] | None,
    height: int,
    width: int,
    groups: Sequence[str] = ("hands",),
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Draw the maps that the pose encoder sees (FACTS of the original: dots red, bones as a rainbow, black elsewhere).

    Parameters
    ----------
    frames : indices of the frames to draw, in order, repeats allowed; None draws all.
    height, width : pixels of the maps. A pose with another canvas is scaled and padded to it, never stretched;
        call `fit_canvas` first to crop instead.
    groups : keypoint groups to draw, of "hands", "body", "face" (without lips) and "lips".
    device : where to draw.

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
    maps = np.zeros((len(pose), height, width, 3), np.uint8)
    for start in range(0, len(pose), _BATCH):
        part = pose.take(np.arange(start, min(start + _BATCH, len(pose))))
        _draw(part, groups, maps[start : start + _BATCH], torch.device(device))
    return maps


def _draw(pose: HandPose, groups: Sequence[str], maps: np.ndarray, device: torch.device) -> None:
    """Draw all frames of a pose into maps (n, height, width, 3), which are black."""
    height, width = maps.shape[1:3]
    row, row_end, column, column_end = pose.region or (0, height, 0, width)
    size = (row_end - row, column_end - column)
    scale = DRAWING_SHORT_SIDE / min(size)
    canvas = (int(size[0] * scale), int(size[1] * scale))
    layers = [layer for layer in _layers(pose, groups, canvas, device) if len(layer.frames)]
    if not layers:
        return
    offsets = np.cumsum([0, *(len(layer.frames) for layer in layers)])
    for layer, offset in zip(layers, offsets, strict=False):
        layer.spans.stroke += int(offset)
    spans = raster.Spans.joined([layer.spans for layer in layers])
    # Only the part with strokes in it is drawn and scaled, and of that only what lies on the map.
    rows = _touched(spans.row, spans.row, canvas[0], size[0], max(-row, 0), min(size[0], height - row))
    columns = _touched(spans.first, spans.last, canvas[1], size[1], max(-column, 0), min(size[1], width - column))
    if rows is None or columns is None:
        return
    from_rows, from_columns = source_range(canvas[0], size[0], rows), source_range(canvas[1], size[1], columns)
    spans.row -= from_rows.start
    spans.first -= from_columns.start
    spans.last -= from_columns.start
    frames, colours = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("frames", "colours"))
    window = (from_rows.stop - from_rows.start, from_columns.stop - from_columns.start)
    drawn = raster.paint(spans, frames, colours, len(pose), *window)
    drawn = resize_part(drawn, canvas, size, rows, columns)
    target = maps[:, row + rows.start : row + rows.stop, column + columns.start : column + columns.stop]
    target[...] = drawn.cpu().numpy()


def _touched(first: torch.Tensor, last: torch.Tensor, canvas: int, size: int, begin: int, end: int) -> slice | None:
    """Which pixels from `begin` to `end` of an axis scaled from `canvas` to `size` the spans can reach."""
    scale = size / canvas
    low = max(begin, int(np.floor(int(first.min()) * scale)) - 2)
    high = min(end, int(np.ceil((int(last.max()) + 1) * scale)) + 2)
    return slice(low, high) if low < high else None


@dataclass
class _Layer:
    """Strokes of one kind: their spans, the frame (n,) and the colour (n, 3) uint8 of each."""

    spans: raster.Spans
    frames: torch.Tensor
    colours: torch.Tensor


def _layer(spans: raster.Spans, shown: np.ndarray, colours: np.ndarray) -> _Layer:
    """The shown (frames, strokes) of strokes with colours (frames, strokes, 3); `spans` are theirs, in that order."""
    device = spans.row.device
    # Half a step goes to the even colour, as in OpenCV.
    rounded = np.rint(colours[shown]).clip(0, 255).astype(np.uint8)
    return _Layer(spans, torch.from_numpy(shown.nonzero()[0]).to(device), torch.from_numpy(rounded).to(device))


def _lines(points: np.ndarray, scores: np.ndarray, canvas: tuple[int, int], device) -> _Layer:
    """Bones of one hand (frames, 21, 2), as coloured lines."""
    a, b = (np.array(ends) for ends in zip(*HAND_BONES, strict=True))
    on_canvas = (points > 0).all(-1)
    shown = on_canvas[:, a] & on_canvas[:, b]
    colours = _HAND_COLOURS * np.trunc(scores[:, a] * scores[:, b] * 255)[..., None]
    starts, ends = (torch.from_numpy(points[:, index][shown]).to(device) for index in (a, b))
    return _layer(raster.line_spans(starts, ends, *canvas), shown, colours)


def _dots(points: np.ndarray, scores: np.ndarray, colours: np.ndarray, radius: int, device) -> _Layer:
    """Keypoints (frames, n, 2), as filled circles of a colour (..., 3) times their score."""
    shown = (points > 0).all(-1)
    spans = raster.dot_spans(torch.from_numpy(points[shown]).to(device), radius)
    return _layer(spans, shown, np.trunc(scores[..., None] * colours))


def _limbs(points: np.ndarray, scores: np.ndarray, canvas: tuple[int, int], device) -> _Layer:
    """The body's limbs (frames, 18, 2), as dimmed ellipses."""
    a, b = (np.array(ends) for ends in zip(*BODY_LIMBS, strict=True))
    shown = (scores[:, a] >= BODY_SCORE_SHOWN) & (scores[:, b] >= BODY_SCORE_SHOWN)
    shown &= (points[:, a] > 0).all(-1) & (points[:, b] > 0).all(-1)
    middle = (points[:, a] + points[:, b]) / 2
    along = (points[:, a] - points[:, b]).astype(float)
    lengths = np.hypot(along[..., 0], along[..., 1]) / 2
    angles = np.degrees(np.arctan2(along[..., 1], along[..., 0]))
    ellipses = np.concatenate([middle, lengths[..., None], angles[..., None]], axis=-1).astype(np.int64)
    brightness = np.clip(scores[:, a] * scores[:, b], 0, 1)[..., None]
    colours = BODY_STICK_BRIGHTNESS * (_BODY_COLOURS[: len(BODY_LIMBS)] * brightness)
    spans = raster.limb_spans(torch.from_numpy(ellipses[shown]).to(device), BODY_STICK_WIDTH, *canvas)
    return _layer(spans, shown, colours)


def _layers(pose: HandPose, groups: Sequence[str], canvas: tuple[int, int], device) -> list[_Layer]:
    """Everything to draw on canvases of the given (height, width), from the bottom layer to the top one."""
    height, width = canvas

    def pixels(points: np.ndarray) -> np.ndarray:
        scaled = np.nan_to_num(points * (width, height), nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(scaled, -_COORDINATE_LIMIT, _COORDINATE_LIMIT).astype(np.int64)

    layers = []
    if "body" in groups and pose.bodies is not None:
        points, scores = pixels(pose.bodies), np.nan_to_num(pose.body_scores)
        seen = np.where(scores[..., None] >= BODY_SCORE_SHOWN, points, 0)
        layers += [_limbs(points, scores, canvas, device), _dots(seen, scores, _BODY_COLOURS, BODY_DOT_RADIUS, device)]
    if "hands" in groups:
        points, scores = pixels(pose.hands), np.nan_to_num(pose.hand_scores)
        for hand in range(points.shape[1]):
            layers.append(_lines(points[:, hand], scores[:, hand], canvas, device))
            layers.append(_dots(points[:, hand], scores[:, hand], _DOT_COLOUR, HAND_DOT_RADIUS, device))
    if pose.faces is not None and ("face" in groups or "lips" in groups):
        points, scores = pixels(pose.faces), np.nan_to_num(pose.face_scores)
        kept = np.zeros(points.shape[1], bool)
        kept[LIP_POINTS] = "lips" in groups
        kept[: LIP_POINTS.start] = "face" in groups
        layers.append(_dots(points[:, kept], scores[:, kept], np.full(3, 255.0), FACE_DOT_RADIUS, device))
    return layers
