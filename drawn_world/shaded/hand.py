"""A hand: a palm and five fingers, each one tapered shape with a soft rim."""

import numpy as np

from echomimic_core.media.opencv import cv2

from .canvas import Canvas, Material
from .character import FINGERS, PALM

THUMB = FINGERS[0]
# Radii along a finger, from knuckle to tip, and how thick each finger is.
_TAPER = np.array([1.04, 0.98, 0.9, 0.76])
_THICK = (1.16, 1.0, 1.02, 0.98, 0.86)
# A finger's radius in lengths of the palm, and the palm's in shoulder widths.
RADIUS, PALM_LENGTH = 0.122, 0.24
# So much of a finger's first bone fades over into the palm.
_ROOT = 0.42


def skin_of_hand(skin: tuple) -> Material:
    return Material(skin, light=0.2, rim=0.42, reach=0.0055, warm=0.8)


def palm_shows(hand: np.ndarray, side: int) -> bool:
    """Whether the viewer looks at the palm of a hand (21, 2), not at its back; side 0 is the person's left."""
    index, little = hand[5] - hand[0], hand[17] - hand[0]
    turn = index[0] * little[1] - index[1] * little[0]
    return bool(turn > 0) == (side == 0)


def paint_hand(canvas: Canvas, skin: tuple, hand: np.ndarray, depth: np.ndarray, side: int, length: float) -> None:
    """Paint a hand (21, 2) whose points are as near as `depth` (21,) says.

    length : of the palm, in frame widths, whichever way the hand points: fingers stay as thick.
    """
    material = skin_of_hand(skin)
    facing = palm_shows(hand, side)
    # The skin between thumb and index belongs to the palm
    web = 0.75 * hand[2] + 0.25 * hand[5]
    hull = cv2.convexHull(np.concatenate([hand[PALM], web[None]]).astype(np.float32))[:, 0]
    # Curled fingers and the thumb lie before the palm that shows, and behind the back of a hand
    fingers = sorted(FINGERS[1:], key=lambda finger: depth[finger[1:]].mean())
    order = [None, *fingers, THUMB] if facing else [THUMB, *fingers, None]
    ring = np.concatenate([hull, hull[:1]])
    whole = canvas.limb(ring, np.full(len(ring), 0.8 * RADIUS * length), hull)
    canvas.darken(canvas.softened(whole, 0.007, (0.003, 0.005)), 0.35, 0.5)
    for finger in order:
        if finger is None:
            canvas.paint(whole, Material(skin, 0.16, 0.3, 0.012, 0.8))
            if facing:
                _heel(canvas, hand, length)
        else:
            _finger(canvas, material, hand, finger, length, facing)


def _finger(canvas: Canvas, material: Material, hand: np.ndarray, finger: list[int], length: float, facing: bool):
    points = hand[finger[1:]].astype(float)
    radii = RADIUS * length * _TAPER * _THICK[FINGERS.index(finger)]
    if finger is THUMB:
        # Its ball belongs to the palm
        radii = radii * (1.25, 1.05, 1.0, 0.95)
    patch = canvas.limb(points, radii)
    seam = canvas.softened(patch, 0.003, (0.0015, 0.002))
    straight = np.linalg.norm(points[3] - points[0]) / max(np.linalg.norm(np.diff(points, axis=0), axis=1).sum(), 1e-6)
    if straight > 0.75 or not facing:
        bone = points[1] - points[0]
        start, end = points[0] - 0.06 * bone, points[0] + _ROOT * bone
        patch, seam = (part.fading(start, end, canvas.side) for part in (patch, seam))
    canvas.darken(seam, 0.32, 0.8)
    canvas.paint(patch, material)


def _heel(canvas: Canvas, hand: np.ndarray, length: float) -> None:
    """The line around the ball of the thumb."""
    line = np.array([hand[1] * 0.4 + hand[0] * 0.6, hand[[0, 1, 9]].mean(0), hand[2] * 0.45 + hand[5] * 0.55])
    canvas.darken(canvas.stroke(line, 0.05 * length, 0.0025), 0.3, 0.8)
