"""Paints a character's frames in one of several styles."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from echomimic_core.media.opencv import cv2

from .body import paint_forearm, paint_neck, paint_trunk, paint_upper_arm, trunk_of
from .canvas import Canvas, blur
from .character import Character, Moment
from .face import paint_face
from .hand import PALM_LENGTH, paint_hand
from .head import Head, paint_hair, paint_hair_behind, paint_head
from .wall import paint_wall

# Painted at this many times the size, then averaged down.
OVERSAMPLING = 2


@dataclass(frozen=True)
class Style:
    """How much relief the light gives, how dark outlines are (0 none), and what is done to the whole picture."""

    relief: float = 1.0
    outline: float = 0.0
    finish: Callable[[np.ndarray], np.ndarray] | None = None


def painted(picture: np.ndarray) -> np.ndarray:
    """Strokes of a brush: flat patches with edges, on canvas."""
    smooth = cv2.bilateralFilter(picture.astype(np.uint8), 9, 40, 7)
    levels = np.round(smooth.astype(np.float32) / 14) * 14
    side = len(picture)
    weave = np.sin(np.arange(side) * np.pi / 2)
    return cv2.bilateralFilter(levels, 5, 20, 3) + 3.0 * (weave[:, None] + weave[None])[..., None]


def grey(picture: np.ndarray) -> np.ndarray:
    """Without colour."""
    return np.repeat(picture @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """In squares of a 128th of the width and few colours."""
    side = len(picture)
    small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    return cv2.resize(np.round(small / 17) * 17, (side, side), interpolation=cv2.INTER_NEAREST)


def toy(picture: np.ndarray) -> np.ndarray:
    """Strong colours and shine, as of plastic."""
    mean = picture.mean(axis=2, keepdims=True)
    strong = mean + (picture - mean) * 1.45
    bright = np.clip((mean - 150) / 105, 0, 1)
    return strong + 40 * blur(bright[..., 0], 2)[..., None] * bright


STYLES = {
    "shaded": Style(),
    "flat": Style(relief=0.25),
    "outlined": Style(relief=0.45, outline=0.6),
    "painted": Style(finish=painted),
    "grey": Style(finish=grey),
    "pixelated": Style(relief=0.8, finish=pixelated),
    "toy": Style(relief=1.35, finish=toy),
}


class Painter:
    """Draws a character at a size in a style; the background is drawn once."""

    def __init__(self, character: Character, size: int, style: Style):
        self.who, self.size, self.style = character, size, style
        side = size * OVERSAMPLING
        wall = self._canvas(np.zeros((side, side, 3), np.float32))
        paint_wall(wall, character)
        self.wall = wall.picture

    def frame(self, moment: Moment) -> np.ndarray:
        """A picture (size, size, 3) uint8 RGB."""
        who, canvas = self.who, self._canvas(self.wall.copy())
        head, trunk = Head(moment.face), trunk_of(moment)
        paint_hair_behind(canvas, who, head, moment.hair)
        paint_neck(canvas, who, trunk, moment.face[8])
        paint_trunk(canvas, who, trunk, moment.breath)
        skull = paint_head(canvas, who, head)
        paint_face(canvas, who, head, moment)
        paint_hair(canvas, who, head, skull, moment.hair)
        for side in (1 - moment.nearer, moment.nearer):
            arm, hand = moment.arms[side], moment.hands[side]
            paint_upper_arm(canvas, who, trunk, arm)
            paint_forearm(canvas, who, trunk, arm, hand)
            paint_hand(canvas, who.skin, hand, moment.depth[side], side, PALM_LENGTH * trunk.width)
        picture = canvas.picture.clip(0, 255)
        if self.style.finish:
            picture = self.style.finish(picture).clip(0, 255)
        small = cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return small.round().astype(np.uint8)

    def _canvas(self, picture: np.ndarray) -> Canvas:
        return Canvas(picture, self.style.relief, self.style.outline)
