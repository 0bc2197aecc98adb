"""A parametric hand and arm: joint angles to the 21 points by forward kinematics, bone lengths fixed.

Everything is vectorised over a leading axis of F frames. Lengths are in hand lengths (wrist to the tip of the middle
finger); angles are in degrees. In the hand's own frame a point is (thumbwards, fingerwards, palmwards).
"""

from dataclasses import dataclass, fields

import numpy as np

# Where index, middle, ring and little finger begin, and the lengths of their three bones.
KNUCKLES = np.array([(0.13, 0.475, 0.0), (0.02, 0.48, -0.01), (-0.085, 0.455, 0.0), (-0.185, 0.41, 0.015)])
PHALANGES = np.array([(0.225, 0.135, 0.105), (0.25, 0.155, 0.11), (0.23, 0.145, 0.11), (0.175, 0.105, 0.095)])
THUMB_ROOT = np.array([0.12, 0.115, 0.03])
THUMB_BONES = np.array([0.235, 0.175, 0.135])
# Where the thumb's joints bend to.
THUMB_INWARDS = np.array([-0.85, 0.1, 0.5])

# Anatomical limits: (least, most) of each angle.
LIMITS = {
    "knuckle": (-20.0, 88.0),
    "spread": (-16.0, 16.0),
    "middle": (0.0, 105.0),
    "thumb_out": (-5.0, 65.0),
    "thumb_up": (-5.0, 60.0),
    "thumb_knuckle": (-5.0, 55.0),
    "thumb_tip": (-15.0, 80.0),
}
# The last joint of a finger cannot bend alone: it follows the middle one.
LAST_PER_MIDDLE = 0.65
# How far the hand can bend away from the line of the forearm.
MAX_WRIST_BEND = 65.0


@dataclass(frozen=True)
class Shape:
    """Joint angles of a hand, each (F, 4) for index, middle, ring, little finger, or (F,) for the thumb.

    Attributes
    ----------
    knuckle, middle : bend towards the palm at the knuckle and at the middle joint. spread : towards the thumb.
    thumb_out : of the thumb away from the index finger, in the plane of the palm. thumb_up : out of that plane.
    thumb_knuckle, thumb_tip : bend of the thumb's two joints, towards the little finger.
    """

    knuckle: np.ndarray
    spread: np.ndarray
    middle: np.ndarray
    thumb_out: np.ndarray
    thumb_up: np.ndarray
    thumb_knuckle: np.ndarray
    thumb_tip: np.ndarray

    def within_limits(self) -> "Shape":
        """The shape with every angle inside its anatomical limits."""
        return Shape(**{field.name: np.clip(getattr(self, field.name), *LIMITS[field.name]) for field in fields(self)})


def hand_points(shape: Shape) -> np.ndarray:
    """The 21 points (F, 21, 3) of a hand in its own frame, wrist at the origin."""
    shape = shape.within_limits()
    frames = len(shape.thumb_out)
    points = np.zeros((frames, 21, 3))
    spread = np.deg2rad(shape.spread)
    along = np.stack([np.sin(spread), np.cos(spread), np.zeros_like(spread)], axis=-1)
    palm = np.array([0.0, 0.0, 1.0])
    bends = np.cumsum(np.stack([shape.knuckle, shape.middle, LAST_PER_MIDDLE * shape.middle]), axis=0)
    position = np.broadcast_to(KNUCKLES, (frames, 4, 3))
    points[:, 5::4] = position
    for bone in range(3):
        bend = np.deg2rad(bends[bone])[..., None]
        position = position + PHALANGES[:, bone, None] * (np.cos(bend) * along + np.sin(bend) * palm)
        points[:, 6 + bone :: 4] = position

    out, up = np.deg2rad(shape.thumb_out), np.deg2rad(shape.thumb_up)
    direction = np.stack([np.sin(out) * np.cos(up), np.cos(out) * np.cos(up), np.sin(up)], axis=-1)
    inwards = _unit(THUMB_INWARDS - direction * (direction @ THUMB_INWARDS)[:, None])
    thumb = np.broadcast_to(THUMB_ROOT, (frames, 3))
    points[:, 1] = thumb
    bend = np.zeros(frames)
    for bone, angle in enumerate((np.zeros(frames), shape.thumb_knuckle, shape.thumb_tip)):
        bend = bend + np.deg2rad(angle)
        thumb = thumb + THUMB_BONES[bone] * (np.cos(bend)[:, None] * direction + np.sin(bend)[:, None] * inwards)
        points[:, 2 + bone] = thumb
    return points


def bone_lengths(bones: np.ndarray) -> np.ndarray:
    """Lengths (n,) of bones (n, 2), pairs of point numbers, in hand lengths."""
    four, one = np.zeros((1, 4)), np.zeros(1)
    points = hand_points(Shape(four, four, four, one, one, one, one))[0]
    return np.linalg.norm(points[bones[:, 1]] - points[bones[:, 0]], axis=-1)


def hand_axes(fingers: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) of a left hand: rows are where the thumb's side, the fingers and the palm look.

    fingers, palm : (F, 3) in the world (x right, y down, z towards the viewer); the palm yields where both disagree.
    """
    fingers = _unit(fingers)
    palm = _unit(palm - fingers * (palm * fingers).sum(axis=-1, keepdims=True))
    return np.stack([np.cross(fingers, palm), fingers, palm], axis=-2)


def turn_between(first: np.ndarray, second: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) on the shortest way from `first` to `second`, `amount` (F,) of it, at an even pace."""
    turn = np.swapaxes(first, -1, -2) @ second
    cosine = np.clip((np.trace(turn, axis1=-2, axis2=-1) - 1) / 2, -1, 1)
    angle = np.arccos(cosine)
    axis = np.stack(
        [turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]], -1
    )
    axis = _unit(axis)
    cross = np.zeros_like(turn)
    cross[..., [2, 0, 1], [1, 2, 0]] = axis
    cross[..., [1, 2, 0], [2, 0, 1]] = -axis
    part = (angle * amount)[..., None, None]
    return first @ (np.eye(3) + np.sin(part) * cross + (1 - np.cos(part)) * (cross @ cross))


def elbow(shoulder: np.ndarray, wrist: np.ndarray, upper: float, fore: float, pole: np.ndarray) -> tuple:
    """Elbow (F, 3) of an arm of the given bone lengths, bent towards `pole`, and the wrist brought within reach."""
    reach = wrist - shoulder
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    direction = reach / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper - fore) * 1.05, (upper + fore) * 0.995)
    along = (upper**2 - fore**2 + distance**2) / (2 * distance)
    across = np.sqrt(np.maximum(upper**2 - along**2, 0))
    side = _unit(pole - direction * (pole * direction).sum(axis=-1, keepdims=True))
    return shoulder + along * direction + across * side, shoulder + distance * direction


def limit_wrist(fingers: np.ndarray, forearm: np.ndarray) -> np.ndarray:
    """Finger directions (F, 3) bent away from the forearm (F, 3) by no more than a wrist can."""
    fingers, forearm = _unit(fingers), _unit(forearm)
    cosine = (fingers * forearm).sum(axis=-1, keepdims=True)
    sideways = _unit(fingers - forearm * cosine)
    bend = np.minimum(np.arccos(np.clip(cosine, -1, 1)), np.deg2rad(MAX_WRIST_BEND))
    return np.cos(bend) * forearm + np.sin(bend) * sideways


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
