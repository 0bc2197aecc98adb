"""Crop: where a person's square lies in the first canvas, for one frame or for each, and what of it is the person."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..choices import MASKS
from ..media.picture import fit_scale
from ..pose.align import framed_rows
from ..pose.hand_pose import HandPose
from ..pose.measure import ARMS, SHOULDERS
from ..pose.track import present
from ..runtime import Progress
from .people import Person
from .resample import product, resample

# A mask has a quarter of the crop's resolution: its edge is widened and softened by more than that.
MASK_SCALE = 4

# A crop that follows a person does so smoothly: standard deviations of what evens out place and size, in seconds.
_PLACE_SECONDS, _SIZE_SECONDS = 0.1, 1.0
_HAND = 0.7  # Of the forearm.
# A crop is no wider than this many of its heights on each side of the neck; masks are looked at in this resolution.
_WIDEST, _LOOKED_HEIGHT, _LOOKED_FRAMES, _EDGE = 1.0, 256, 24, 0.5
# Masks lose fingertips and hair: a person's is widened by this part of the crop.
_WIDENED = 0.02
_NOSE_TIP = 30  # Of the 68 points.
# A hand that was found wrongly in some frames decides nothing.
_EXTENT_PERCENTILES = (2, 98)
_SEEN = 0.3


@dataclass(frozen=True)
class Crop:
    """A part of the first canvas as a picture of its own.

    Attributes
    ----------
    matrices : (1 or F, 2, 3), from pixels of the canvas to pixels of the crop; they move and scale, no more.
    canvas : width and height of the first canvas, in pixels.
    width, height : of the crop, in pixels.
    masks : (1 or F, h, w) uint8, 255 where the crop may change, over the whole crop in any resolution; None is all.
    frames : (F,) which frame of the video belongs to each frame of the crop; None for a still picture.
    fps : frames per second of `frames`.
    """

    matrices: np.ndarray
    canvas: tuple[int, int]
    width: int
    height: int
    masks: torch.Tensor | None = None
    frames: np.ndarray | None = None
    fps: float = 0.0

    def __len__(self) -> int:
        return 1 if self.frames is None else len(self.frames)

    @property
    def moves(self) -> bool:
        """Whether its place differs from frame to frame."""
        return len(self.matrices) > 1

    def matrix(self, index: int) -> np.ndarray:
        """(2, 3) of a frame; the last one's after the end."""
        return self.matrices[min(index, len(self.matrices) - 1)]

    def place(self, index: int) -> tuple[int, int]:
        """Which of its matrices and masks a frame has: the same for frames that are pasted alike."""
        masks = 1 if self.masks is None else len(self.masks)
        return min(index, len(self.matrices) - 1), min(index, masks - 1)

    def mask(self, index: int) -> torch.Tensor | None:
        """(h, w) float in 0..1 of a frame, or None."""
        return None if self.masks is None else self.masks[min(index, len(self.masks) - 1)].float() / 255

    def then(self, matrix: np.ndarray, width: int, height: int) -> "Crop":
        """The crop of this crop that a matrix (2, 3) and a size describe; its place is still that in the first canvas.

        The part of it that lies beyond this crop cannot change.
        """
        masks = self.masks
        if masks is not None:
            small = (max(height // MASK_SCALE, 1), max(width // MASK_SCALE, 1))
            to_crop = np.diag([self.width / masks.shape[2], self.height / masks.shape[1]]) @ np.eye(2, 3)
            to_small = np.diag([small[1] / width, small[0] / height]) @ np.eye(2, 3)
            way = product(to_small, product(matrix, to_crop))
            masks = torch.stack([_moved(mask, way, *small) for mask in masks])
        return replace(self, matrices=product(matrix, self.matrices), width=width, height=height, masks=masks)

    def at_size(self, width: int, height: int) -> "Crop":
        """The crop as a clip of another size shows it, fitted as Reference Encode crops; itself where that is its size.

        A clip of another shape shows the middle.
        """
        if (width, height) == (self.width, self.height):
            return self
        scale, dx, dy = fit_scale(self.width, self.height, width, height, "crop")
        return self.then(np.array([[scale, 0, dx], [0, scale, dy]]), width, height)


def whole_picture(width: int, height: int) -> Crop:
    """The crop that is the canvas itself."""
    return Crop(np.eye(2, 3)[None], (width, height), width, height)


def crop_person(
    person: Person,
    size: int,
    margin: float = 0.15,
    camera: str = "still",
    mask: str = "person",
    frames: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Crop:
    """The square around a person, from above the head to below the elbows as the model was trained.

    Parameters
    ----------
    size : side of the crop in pixels.
    margin : room added on each side, as a part of the square.
    camera : "still" is one square for the whole video, "follow" goes smoothly with the shoulders.
    mask : what may change: the "person" over the whole clip, or in each frame only the "face" or the "lower face", from
        the tip of the nose down.
    frames : (n,) which frames of the person, in which order; None takes all. A still picture is repeated for free.
    """
    pose = person.pose
    still = len(pose) == 1
    moves = np.eye(2, 3)[None]
    steady = pose
    if camera == "follow" and not still:
        moves, steady = _steadied(pose)
    left, top, side = _square(steady, person, moves, margin)
    scale = size / side
    to_crop = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    matrices = product(to_crop, moves)
    crop = Crop(matrices, (pose.width, pose.height), size, size)
    if not still:
        frames = np.arange(len(pose)) if frames is None else frames
        crop = replace(crop, frames=frames, fps=pose.fps)
    if mask not in MASKS:
        raise ValueError(f"the mask is {mask!r}, but it must be one of {', '.join(MASKS)}")
    if mask == "person":
        masks = _person_mask(person, crop, progress)
    elif pose.faces is None:
        raise ValueError(
            f"mask is {mask}, but no face was found: choose person, or a picture in which the face is seen"
        )
    else:
        masks = _face_masks(pose, crop, mask == "lower face", progress)
    if not still:
        crop = replace(crop, matrices=matrices[frames] if len(matrices) > 1 else matrices)
        masks = masks[frames] if len(masks) > 1 else masks
    return replace(crop, masks=masks)


def cropped_pose(pose: HandPose, crop: Crop) -> HandPose:
    """A pose of the first canvas as the crop shows it, each frame by its own matrix."""
    if crop.frames is not None and len(pose) > 1:
        pose = pose.take(crop.frames)
    matrices = crop.matrices if len(pose) > 1 else crop.matrices[:1]
    scale, offset = matrices[:, [0, 1], [0, 1]], matrices[:, :, 2]
    size, new_size = np.array(crop.canvas), np.array([crop.width, crop.height])

    def move(points: np.ndarray) -> np.ndarray:
        lead = (slice(None), *(None,) * (points.ndim - 2))
        return (points * size * scale[lead] + offset[lead]) / new_size

    return replace(pose.whole_canvas().map_points(move), width=crop.width, height=crop.height)


def cut(picture: np.ndarray, crop: Crop, index: int = 0) -> np.ndarray:
    """The crop of a picture (H, W, 3) uint8 at a frame: (height, width, 3) uint8."""
    moved = resample(
        torch.from_numpy(np.require(picture, requirements=("C", "W"))).float(),
        crop.matrix(index),
        crop.height,
        crop.width,
    )
    return moved.round_().clamp_(0, 255).byte().numpy()


def _moved(mask: torch.Tensor, matrix: np.ndarray, height: int, width: int) -> torch.Tensor:
    moved = resample(mask.float()[..., None], matrix, height, width)[..., 0]
    # Beyond the crop nothing is known: its edge must not be repeated.
    for axis, size, target in ((0, mask.shape[1], width), (1, mask.shape[0], height)):
        places = (np.arange(target) + 0.5 - matrix[axis, 2]) / matrix[axis, axis]
        inside = torch.from_numpy((places >= 0) & (places <= size)).float()
        moved = moved * (inside[None] if axis == 0 else inside[:, None])
    return moved.round().clamp(0, 255).byte()


def _square(pose: HandPose, person: Person, moves: np.ndarray, margin: float) -> tuple[float, float, float]:
    """Left, top and side in pixels of the square around a person, inside the canvas as far as it can be."""
    rows = framed_rows(pose)
    if rows is None:
        low, high = person.box[:, :2].min(axis=0), person.box[:, 2:].max(axis=0)
        side = float((high - low).max())
        left, top = (low + high - side) / 2
    else:
        top, bottom = rows[0] * pose.height, rows[1] * pose.height
        middle = rows[2] * pose.width
        # Half a hand left in the picture would be seen beside the generated one.
        low, high = _hands_reach(pose)
        bottom = max(bottom, high[1])
        first, last = _columns(person, moves, top, bottom)
        half = max(middle - min(low[0], first), max(high[0], last) - middle)
        side = max(bottom - top, 2 * min(half, _WIDEST * (bottom - top)))
        left = middle - side / 2
    left, top, side = left - margin * side, top - margin * side, side * (1 + 2 * margin)
    # Beyond the canvas there is nothing to see.
    side = min(side, max(pose.width, pose.height))
    return (*(_inside(at, side, room) for at, room in ((left, pose.width), (top, pose.height))), side)


def _columns(person: Person, moves: np.ndarray, top: float, bottom: float) -> tuple[float, float]:
    """First and last column, in pixels, that a person's masks cover between two rows in some frames, with some room."""
    scale = _LOOKED_HEIGHT / person.pose.height
    size = _LOOKED_HEIGHT, max(round(person.pose.width * scale), 1)
    rows = slice(int(top * scale), max(int(np.ceil(bottom * scale)), int(top * scale) + 1))
    covered = torch.zeros(size[1], dtype=torch.bool)
    for index in np.linspace(0, len(person) - 1, min(len(person), _LOOKED_FRAMES)).astype(int):
        matrix = moves[min(index, len(moves) - 1)]
        covered |= (person.mask(index, matrix, *size, scale)[rows] > _EDGE).any(dim=0)
    columns = covered.nonzero()[:, 0] / scale
    room = _WIDENED * (bottom - top)
    return (float(columns[0]) - room, float(columns[-1]) + 1 / scale + room) if len(columns) else (np.inf, -np.inf)


def _hands_reach(pose: HandPose) -> tuple[np.ndarray, np.ndarray]:
    """Left and top, right and bottom, in pixels, of the hands; where they were not found, of where wrists lead to."""
    size = np.array([pose.width, pose.height], float)
    points = [pose.hands[present(pose.hands, pose.hand_scores)] * size]
    for side, (_, elbow, wrist) in enumerate(ARMS):
        seen = (pose.body_scores[:, [elbow, wrist]] >= _SEEN).all(axis=1) & (pose.hand_scores[:, side].max(axis=1) == 0)
        points.append((pose.bodies[seen, wrist] + _HAND * (pose.bodies[seen, wrist] - pose.bodies[seen, elbow])) * size)
    points = np.concatenate(points)
    # Nobody's hands reach further than they can be seen.
    points = points.clip(0, size) if len(points) else np.full((1, 2), np.nan)
    low, high = np.percentile(points, _EXTENT_PERCENTILES, axis=0)
    return np.nan_to_num(low, nan=np.inf), np.nan_to_num(high, nan=-np.inf)


def _inside(start: float, length: float, room: int) -> float:
    return min(max(start, 0.0), room - length) if length <= room else (room - length) / 2


def _steadied(pose: HandPose) -> tuple[np.ndarray, HandPose]:
    """Matrices (F, 2, 3) that hold the shoulders still, smoothly, in pixels, and the pose moved by them."""
    size = np.array([pose.width, pose.height], float)
    shoulders = pose.bodies[:, list(SHOULDERS)] * size
    seen = (pose.body_scores[:, list(SHOULDERS)] >= _SEEN).all(axis=1)
    if not seen.any():
        return np.eye(2, 3)[None], pose
    frames = np.flatnonzero(seen)
    places = np.stack(
        [np.interp(np.arange(len(pose)), frames, shoulders[seen].mean(axis=1)[:, axis]) for axis in range(2)], axis=1
    )
    widths = np.interp(np.arange(len(pose)), frames, np.linalg.norm(np.diff(shoulders[seen], axis=1)[:, 0], axis=1))
    places = _evened(places, _PLACE_SECONDS * pose.fps)
    scales = np.median(widths) / _evened(widths[:, None], _SIZE_SECONDS * pose.fps)[:, 0]
    anchor = places.mean(axis=0)
    matrices = np.zeros((len(pose), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scales
    matrices[:, :, 2] = anchor - places * scales[:, None]

    def move(points: np.ndarray) -> np.ndarray:
        lead = (slice(None), *(None,) * (points.ndim - 2))
        return (points * size * scales[:, None][lead] + matrices[:, :, 2][lead]) / size

    return matrices, pose.map_points(move)


def _evened(values: np.ndarray, frames: float) -> np.ndarray:
    """Values (F, n) under a Gaussian of so many frames; beyond the ends they are mirrored through the end."""
    reach = min(int(np.ceil(3 * frames)), len(values) - 1)
    if reach < 1:
        return values
    before = 2 * values[:1] - values[1 : reach + 1][::-1]
    after = 2 * values[-1:] - values[-reach - 1 : -1][::-1]
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    padded = np.concatenate([before, values, after])
    return np.stack([np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T], axis=1)


def _small(crop: Crop) -> tuple[int, int]:
    return max(crop.height // MASK_SCALE, 1), max(crop.width // MASK_SCALE, 1)


def _person_mask(person: Person, crop: Crop, progress: Progress | None) -> torch.Tensor:
    """(1, h, w) uint8: where the person is in any frame of the clip, with some room."""
    total = None
    for index in range(len(person)):
        if progress is not None:
            progress(index, len(person))
        mask = person.mask(index, crop.matrix(index), *_small(crop), 1 / MASK_SCALE)
        total = mask if total is None else torch.maximum(total, mask)
    reach = max(round(_WIDENED * total.shape[1]), 1)
    total = F.max_pool2d(total[None], 2 * reach + 1, 1, reach)
    return total.mul(255).round().clamp(0, 255).byte()


def _face_masks(pose: HandPose, crop: Crop, lower: bool, progress: Progress | None) -> torch.Tensor:
    """(F, h, w) uint8: in each frame a soft ellipse from the brows, or the tip of the nose, to below the chin."""
    height, width = _small(crop)
    faces = cropped_pose(pose, replace(crop, frames=None)).faces
    masks = np.zeros((len(pose), height, width), np.uint8)
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height)[:, None] + 0.5) / height
    for index, (points, scores) in enumerate(zip(faces, pose.face_scores, strict=True)):
        if progress is not None:
            progress(index, len(pose))
        if not (scores > 0).any():
            continue
        low, high = points[scores > 0].min(axis=0), points[scores > 0].max(axis=0)
        middle, half = (low + high) / 2 + [0, 0.08 * (high - low)[1]], np.maximum((high - low) / 2, 1e-6) * [1.08, 1.12]
        away = np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1])
        mask = np.clip((1.1 - away) / 0.2, 0, 1)
        if lower:
            mask = mask * np.clip((y - points[_NOSE_TIP, 1]) / (0.1 * half[1]), 0, 1)
        masks[index] = mask * 255
    return torch.from_numpy(masks)
