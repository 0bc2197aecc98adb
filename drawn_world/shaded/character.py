"""Characters: what is random about a person, and what moves in a frame of them."""

import colorsys
from dataclasses import dataclass

import numpy as np

FINGERS = [[0, *range(4 * finger + 1, 4 * finger + 5)] for finger in range(5)]
PALM = [0, 1, 5, 9, 13, 17]
CROP, SIDE_PARTING, BOB, LONG, BUN, CURLS, BUZZ = HAIRCUTS = range(7)
CREW, V_NECK, SHIRT, ROLL_NECK = NECKLINES = range(4)


@dataclass(frozen=True)
class Character:
    """Colours are RGB 0..255; sizes are factors about 1.

    The fields up to `brow` are all that the simple look knows.
    """

    skin: tuple
    lips: tuple
    hair: tuple
    eyes: tuple
    clothes: tuple
    collar: tuple
    walls: tuple  # Colours of the background at its top and bottom
    things: tuple  # Of the background: (x, y, w, h, colour) in 0..1
    hair_style: int
    sleeves: bool  # Down to the wrists, or to the elbows
    face_width: float
    face_height: float
    mouth_width: float
    brow: float
    haircut: int
    hair_length: float
    neckline: int
    eye_size: float
    nose: float
    lip_thickness: float
    blush: float
    beard: float  # 0 none to 1 full
    build: float  # Width of shoulders and arms
    daylight: float  # Where the wall is brightest, 0 left to 1 right


def random_character(rng: np.random.Generator) -> Character:
    """Someone who was not there before."""

    def colour(hue, saturation, value):
        hue, saturation, value = (rng.uniform(*v) if isinstance(v, tuple) else v for v in (hue, saturation, value))
        return tuple(round(255 * v) for v in colorsys.hsv_to_rgb(hue % 1, saturation, value))

    depth = rng.uniform(0, 1)
    skin = tuple(np.array([250, 216, 190]) * (1 - depth) + np.array([110, 70, 48]) * depth + rng.uniform(-8, 8, 3))
    hair = colour((0.03, 0.12), (0.3, 0.8), (0.08, 0.85)) if rng.random() < 0.8 else colour((0, 1), 0.5, (0.4, 0.8))
    hue = rng.uniform(0, 1)
    things = tuple(
        (rng.uniform(0, 0.9), rng.uniform(0, 0.6), rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.4))
        + (colour((hue - 0.1, hue + 0.1), (0.1, 0.5), (0.4, 0.9)),)
        for _ in range(rng.integers(0, 3))
    )
    return Character(
        skin=skin,
        lips=tuple((np.array(skin) + (205, 90, 95)) / 2),
        hair=hair,
        eyes=colour((0.05, 0.6), (0.4, 0.8), (0.2, 0.55)),
        clothes=colour((0, 1), (0.2, 0.85), (0.2, 0.9)),
        collar=colour((0, 1), (0.0, 0.6), (0.3, 0.95)),
        walls=(colour(hue, (0.05, 0.4), (0.55, 0.95)), colour(hue, (0.05, 0.5), (0.35, 0.8))),
        things=things,
        hair_style=int(rng.integers(0, 4)),
        sleeves=bool(rng.random() < 0.6),
        face_width=rng.uniform(0.92, 1.1),
        face_height=rng.uniform(0.94, 1.08),
        mouth_width=rng.uniform(0.9, 1.15),
        brow=rng.uniform(0.7, 1.4),
        **_details(rng.spawn(1)[0]),
    )


def _details(rng: np.random.Generator) -> dict:
    """The fields that the simple look does not know, from numbers of their own."""
    haircut = int(rng.choice(HAIRCUTS, p=(0.2, 0.2, 0.16, 0.16, 0.1, 0.1, 0.08)))
    bearded = haircut in (CROP, SIDE_PARTING, BUZZ) and rng.random() < 0.35
    return {
        "haircut": haircut,
        "hair_length": rng.uniform(0.85, 1.2),
        "neckline": int(rng.choice(NECKLINES)),
        "eye_size": rng.uniform(0.92, 1.12),
        "nose": rng.uniform(0.85, 1.15),
        "lip_thickness": rng.uniform(0.8, 1.2),
        "blush": rng.uniform(0.0, 0.3),
        "beard": rng.uniform(0.25, 0.8) if bearded else 0.0,
        "build": rng.uniform(0.92, 1.1),
        "daylight": rng.uniform(0.15, 0.85),
    }


@dataclass(frozen=True)
class Moment:
    """Everything of one frame that moves; points in 0..1 of the frame.

    Attributes
    ----------
    hands (2, 21, 2), depth (2, 21) larger is nearer, arms (2, 3, 2) shoulder, elbow, wrist; face (68, 2); neck (2,);
    eyelids 0 closed to 1 open; mouth opening 0..1; gaze (2,) in -1..1; hair (2,) how far its ends trail the head;
    breath 0..1; nearer 0 or 1: the side whose arm passes in front.
    """

    hands: np.ndarray
    depth: np.ndarray
    arms: np.ndarray
    face: np.ndarray
    neck: np.ndarray
    eyelids: float
    opening: float
    gaze: np.ndarray
    hair: np.ndarray
    breath: float
    nearer: int
