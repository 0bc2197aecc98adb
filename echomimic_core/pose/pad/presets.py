"""Hands to begin with, and the figure that stands on the pad before anything has been moved."""

import numpy as np

from .. import gestures
from .value import ANGLES, PadHand, PadKey

# Thumb and index finger meet at their tips.
_PINCH = {
    "knuckle": np.array([52.0, 14, 18, 24]),
    "spread": np.array([2.0, 0, -6, -11]),
    "middle": np.array([52.0, 20, 24, 28]),
    "thumb_out": np.array(21.0),
    "thumb_up": np.array(34.0),
    "thumb_knuckle": np.array(21.0),
    "thumb_tip": np.array(23.0),
}
_SHAPES = {
    "open": gestures.OPEN,
    "relaxed": gestures.RELAXED,
    "fist": gestures.FIST,
    "point": gestures.POINT,
    "pinch": _PINCH,
    "thumb up": gestures.THUMB_UP,
    "two": gestures.TWO,
    "three": gestures.THREE,
    "four": gestures.FOUR,
}


def _angles(shape: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(shape[name]) for name, _ in ANGLES])


# Joint angles (16,) by name, in the order in which the page shows them.
PRESETS = {name: _angles(shape) for name, shape in _SHAPES.items()}

# Where wrists and elbows of the first figure are: outwards from and down from the neck, in frame heights.
_ELBOW, _WRIST = (0.265, 0.315), (0.36, 0.085)
_TURN, _HAND = 14.0, 0.19


def start_key(width: int, height: int) -> PadKey:
    """The first figure, both hands raised and open, in pixels of a picture of that size."""
    side = min(width, height)
    corner = np.array([(width - side) / 2, height - side])

    def place(sign: int, outwards: float, down: float) -> np.ndarray:
        return corner + side * (gestures.NECK + (sign * outwards, down))

    shoulder = (gestures.SHOULDER_HALF_WIDTH, gestures.SHOULDER_DROP)
    ends = [np.stack([place(sign, *at) for sign in (1, -1)]) for at in (shoulder, _ELBOW)]
    hands = tuple(
        PadHand(place(sign, *_WRIST), side * _HAND, sign * _TURN, 0.0, 0.0, PRESETS["relaxed"]) for sign in (1, -1)
    )
    eyes = place(1, 0.0, -gestures.EYES_ABOVE_NECK)
    head = np.array([*eyes, side * gestures.EYE_HALF_DISTANCE, 0.0])
    return PadKey(0.0, place(1, 0.0, 0.0), *ends, head, hands)
