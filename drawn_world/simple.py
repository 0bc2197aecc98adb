"""The simple look: flat characters with outlines, whose hands are hardly found. The shipped 128² model learned it.

Kept for that model's own measure and tests; `shaded` is what training learns now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from echomimic_core.config import FPS
from echomimic_core.media.opencv import cv2
from echomimic_core.pose.hand_pose import HandPose

from .shaded.character import FINGERS, PALM, Character, Moment, random_character
from .shaded.clip import (
    MOUTH_HALF_WIDTH,
    MOUTH_OPENING,
    TRAINED_GESTURES,
    blinks,
    gestured,
    heard,
    place,
    talking,
)
from .speech import Speech

LOOK = "simple"
MOUTH_INSIDE = (50, 8, 16)
# A pixel this far from it, in RGB, counts as outside.
MOUTH_COLOUR_REACH = 90.0
LIP = 0.06  # Height of a lip in face widths
# Drawn at this many times the size, then averaged down.
OVERSAMPLING = 2
_FRACTION = 4  # Bits of OpenCV's sub-pixel places


@dataclass(frozen=True)
class SimpleClip:
    """Keypoints of a clip and what else moves in it; `frames` draws."""

    who: Character
    pose: HandPose
    depth: np.ndarray
    mouth: np.ndarray
    eyelids: np.ndarray
    gaze: np.ndarray
    sound: np.ndarray

    def __len__(self) -> int:
        return len(self.pose)

    def frames(self, size: int) -> Iterator[np.ndarray]:
        """Pictures (size, size, 3) uint8 RGB, one after the other."""
        painter, pose = Painter(self.who, size), self.pose
        arms = np.stack([pose.bodies[:, [5, 6, 7]], pose.bodies[:, [2, 3, 4]]], axis=1)
        for f in range(len(self)):
            yield painter.frame(
                Moment(
                    pose.hands[f], self.depth[f], arms[f], pose.faces[f], pose.bodies[f, 1],
                    self.eyelids[f], self.mouth[f, 0], self.gaze[f], np.zeros(2), 0.0, 0,
                )
            )  # fmt: skip


def make_clip(
    seed: int, speech: Speech, frames: int, begin: float = 0.0, gesture: str | None = None, energy: float | None = None
) -> SimpleClip:
    """A clip of `frames` at 24 fps from `begin` seconds of a speech on; character and movements follow the seed.

    gesture : of the pose library; FROM_VOICE lets the hands follow the speech by rule (strokes before its accents, rest
        in its pauses); None draws one of `TRAINED_GESTURES`. energy : of the gesture, 0..1.5.
    """
    rng = np.random.default_rng([seed, 1])
    who = random_character(rng)
    name = gesture or str(rng.choice(TRAINED_GESTURES))
    pose, depth = gestured(name, speech, round(begin * FPS), frames, energy, rng)
    sound, mouth, stress = heard(speech, frames, begin)
    pose = place(talking(pose, who, mouth, stress, rng, lips), rng)
    gaze = np.repeat(rng.uniform(-0.6, 0.6, (1, 2)), frames, axis=0)
    return SimpleClip(who, pose, depth, mouth, blinks(frames, rng), gaze, sound)


def lips(middle: np.ndarray, width: np.ndarray, mouth: np.ndarray, broad: float = 1.0) -> np.ndarray:
    """Lip points (F, 20, 2), 12 outer and 8 inner, of mouths (F, 2) around middles (F, 1, 2) in faces of width (F,)."""
    half = MOUTH_HALF_WIDTH * width * mouth[:, 1] * broad
    gap = 0.5 * MOUTH_OPENING * width * mouth[:, 0]
    outer, inner = (np.pi - np.arange(n) * 2 * np.pi / n for n in (12, 8))
    rings = []
    for turns, wide, high in ((outer, half, gap + LIP * width), (inner, 0.82 * half, gap)):
        circle = np.stack([np.cos(turns), -np.sin(turns)], 1)
        rings.append(circle * np.stack([wide, high], 1)[:, None])
    # The jaw falls: an open mouth grows downwards
    return middle + np.concatenate(rings, 1) + np.stack([np.zeros_like(gap), 0.6 * gap], 1)[:, None]


def mouth_opening(frames: np.ndarray, pose: HandPose) -> np.ndarray:
    """(F,): height of what has the colour of the inside of a mouth, in the middle of where the mouth should be."""
    size = frames.shape[1]
    openings = []
    for frame, face in zip(frames, pose.faces, strict=True):
        half = 0.06 * np.linalg.norm(face[16] - face[0])
        low, high = np.array([face[51, 0] - half, face[33, 1]]), np.array([face[51, 0] + half, face[8, 1] + 0.03])
        (left, top), (right, bottom) = (np.clip(v * size, 0, size).round().astype(int) for v in (low, high))
        area = frame[top:bottom, left : max(right, left + 1)].astype(float)
        distance = np.linalg.norm(area - MOUTH_INSIDE, axis=-1)
        openings.append(np.clip(1 - distance / MOUTH_COLOUR_REACH, 0, 1).sum(0).mean() / size)
    return np.array(openings)


class Painter:
    """Draws a character at a size; the background is drawn once."""

    def __init__(self, character: Character, size: int):
        self.who, self.size = character, size
        self.side = size * OVERSAMPLING
        self.wall = self._background()

    def frame(self, moment: Moment) -> np.ndarray:
        """A picture (size, size, 3) uint8 RGB."""
        picture = self.wall.copy()
        head = _Head(self.who, moment.face)
        self._hair_behind(picture, head)
        self._body(picture, moment)
        self._head(picture, head, moment)
        order = np.argsort(moment.depth.mean(axis=1))
        for side in order:
            self._arm(picture, moment.arms[side])
        for side in order:
            self._hand(picture, moment.hands[side], moment.depth[side])
        return cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def _background(self) -> np.ndarray:
        share = np.linspace(0, 1, self.side)[:, None, None]
        top, bottom = (np.array(colour, float) for colour in self.who.walls)
        picture = np.ascontiguousarray(
            (top + (bottom - top) * share).repeat(self.side, axis=1).round().astype(np.uint8)
        )
        for x, y, w, h, colour in self.who.things:
            a, b = self._places(np.array([(x, y), (x + w, y + h)]))
            cv2.rectangle(picture, a.tolist(), b.tolist(), colour, -1, cv2.LINE_AA, _FRACTION)
            cv2.rectangle(picture, a.tolist(), b.tolist(), _shade(colour, 0.7), OVERSAMPLING, cv2.LINE_AA, _FRACTION)
        return picture

    def _places(self, points: np.ndarray) -> np.ndarray:
        return np.round((points * self.side - 0.5) * 2**_FRACTION).astype(int)

    def _fill(self, picture, points, colour, outline: float = 0.0) -> None:
        places = [self._places(np.asarray(points))]
        cv2.fillPoly(picture, places, colour, cv2.LINE_AA, _FRACTION)
        if outline:
            cv2.polylines(picture, places, True, _shade(colour, outline), self._width(0.004), cv2.LINE_AA, _FRACTION)

    def _line(self, picture, points, colour, width: float) -> None:
        cv2.polylines(
            picture, [self._places(np.asarray(points))], False, colour, self._width(width), cv2.LINE_AA, _FRACTION
        )

    def _oval(self, picture, middle, radii, colour, angle: float = 0.0) -> None:
        turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        turned = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
        self._fill(picture, middle + (np.stack([np.cos(turns), np.sin(turns)], 1) * radii) @ turned.T, colour)

    def _width(self, width: float) -> int:
        return max(1, round(width * self.side))

    def _body(self, picture, moment: Moment) -> None:
        (left, right), neck = moment.arms[:, 0], moment.neck
        across = left - right
        down = np.array([-across[1], across[0]])
        skin, cloth = self.who.skin, self.who.clothes
        top = moment.face[8]
        half = 0.13 * across
        self._fill(picture, [top - half, top + half, neck + 1.3 * half, neck - 1.3 * half], _shade(skin, 0.86))
        wide = 0.1 * across
        shape = [neck + 0.22 * across - 0.06 * down, left + 0.5 * wide, left + wide + 0.2 * down]
        shape += [left - wide + 1.8 * down, right + wide + 1.8 * down, right - wide + 0.2 * down]
        shape += [right - 0.5 * wide, neck - 0.22 * across - 0.06 * down]
        self._fill(picture, shape, cloth, 0.75)
        self._fill(
            picture,
            [neck + 0.2 * across - 0.07 * down, neck + 0.3 * down, neck - 0.2 * across - 0.07 * down],
            self.who.collar,
            0.8,
        )
        self._fill(picture, [neck + 1.1 * half, neck + 0.16 * down, neck - 1.1 * half], _shade(skin, 0.9))

    def _hair_behind(self, picture, head: "_Head") -> None:
        if self.who.hair_style in (1, 2):
            long = 1.9 if self.who.hair_style == 1 else 1.35
            self._oval(
                picture, head.at(0, 0.15), head.radii * (1.22, long * 0.72), _shade(self.who.hair, 0.8), head.angle
            )

    def _head(self, picture, head: "_Head", moment: Moment) -> None:
        who = self.who
        for sign in (-1, 1):
            self._oval(picture, head.at(sign * 1.0, 0.05), head.radii * (0.14, 0.2), _shade(who.skin, 0.88), head.angle)
        self._oval(picture, head.at(0, 0), head.radii, who.skin, head.angle)
        self._hair(picture, head)
        face = moment.face
        for eye, brow in ((face[36:42], face[17:22]), (face[42:48], face[22:27])):
            middle, wide = eye.mean(0), 0.5 * np.linalg.norm(eye[3] - eye[0])
            self._oval(
                picture, middle, np.array([wide, wide * 0.62 * moment.eyelids + 1e-4]), (250, 250, 250), head.angle
            )
            if moment.eyelids > 0.35:
                iris = middle + moment.gaze * wide * 0.3
                self._oval(picture, iris, np.full(2, wide * 0.48), who.eyes)
                self._oval(picture, iris, np.full(2, wide * 0.22), (15, 15, 15))
            else:
                self._line(picture, [eye[0], eye[3]], _shade(who.skin, 0.5), 0.004)
            self._line(picture, brow, _shade(who.hair, 0.7), 0.006 * who.brow)
        self._line(picture, [face[28], face[30], face[33]], _shade(who.skin, 0.72), 0.005)
        lips = face[48:60], face[60:68]
        self._fill(picture, lips[0], who.lips)
        if moment.opening > 0.04:
            self._fill(picture, lips[1], MOUTH_INSIDE)
        else:
            self._line(picture, [lips[1][0], lips[1][2], lips[1][4]], _shade(who.lips, 0.6), 0.003)

    def _hair(self, picture, head: "_Head") -> None:
        turns = np.linspace(np.pi, 2 * np.pi, 24)
        cap = np.stack([1.06 * np.cos(turns), 1.1 * np.sin(turns) - 0.02], 1)
        fringe = {0: (0.55, 0.6, 0.55), 1: (0.3, 0.75, 0.3), 2: (0.35, 0.4, 0.75), 3: (0.75, 0.85, 0.75)}
        right, middle, left = fringe[self.who.hair_style]
        line = [(1.0, 0.05), (0.8, -left), (0.0, -middle), (-0.8, -right), (-1.0, 0.05)]
        points = np.concatenate([cap, line])
        self._fill(picture, [head.at(*point) for point in points], self.who.hair, 0.8)

    def _arm(self, picture, arm: np.ndarray) -> None:
        shoulder, elbow, wrist = arm
        cloth, skin = self.who.clothes, self.who.skin
        fore = cloth if self.who.sleeves else skin
        for shade, more in ((0.72, 0.008), (0.95, 0.0)):
            self._line(picture, [elbow, wrist], _shade(fore, shade), 0.068 + more)
            self._line(picture, [shoulder, elbow], _shade(cloth, shade), 0.095 + more)

    def _hand(self, picture, hand: np.ndarray, depth: np.ndarray) -> None:
        """Palm and bones from far to near, each with a darker rim, so that fingers can be counted."""
        skin = self.who.skin
        thick = 0.115 * max(np.linalg.norm(hand[9] - hand[0]), 0.6 * np.linalg.norm(hand[5] - hand[17]))
        hull = cv2.convexHull(hand[PALM].astype(np.float32))[:, 0]
        parts = [(depth[PALM].mean(), None)]
        parts += [(depth[a] + depth[b], (a, b)) for f in FINGERS for a, b in pairwise(f[1:])]
        parts = [(d if part is None else d / 2, part) for d, part in parts]
        for _, part in sorted(parts, key=lambda item: item[0]):
            for shade, more in ((0.62, 0.006), (1.0, 0.0)):
                colour = _shade(skin, shade)
                points = np.concatenate([hull, hull[:1]]) if part is None else hand[list(part)]
                if part is None:
                    self._fill(picture, hull, colour)
                self._line(picture, points, colour, thick * 2 + more)


class _Head:
    """The head's oval from its face points: `at(1, 0)` is its left edge, `at(0, -1)` its crown."""

    def __init__(self, who: Character, face: np.ndarray):
        across = face[16] - face[0]
        self.angle = float(np.arctan2(across[1], across[0]))
        half = 0.5 * np.linalg.norm(across)
        chin, brows = face[8], face[17:27].mean(0)
        height = np.linalg.norm(chin - brows)
        self.radii = np.array([half * 1.02, height * 0.78])
        self._across = across / (2 * half)
        self._down = np.array([-self._across[1], self._across[0]])
        self._middle = chin - self._down * self.radii[1]

    def at(self, x: float, y: float) -> np.ndarray:
        return self._middle + self._across * self.radii[0] * x + self._down * self.radii[1] * y


def _shade(colour, factor: float) -> tuple:
    return tuple(float(min(255.0, channel * factor)) for channel in colour)
