"""The head: its frame, its outline, ears and hair."""

import numpy as np

from .canvas import Canvas, Material, Patch, shade, spline
from .character import BOB, BUN, BUZZ, CROP, CURLS, LONG, SIDE_PARTING, Character


class Head:
    """The frame of a head by its face points: at(1, 0) is its left edge, at(0, -1) its crown, at(0, 1) its chin."""

    def __init__(self, face: np.ndarray):
        across = face[16] - face[0]
        half = 0.5 * np.linalg.norm(across)
        self._across = across / (2 * half)
        self._down = np.array([-self._across[1], self._across[0]])
        chin, brows = face[8], face[17:27].mean(0)
        self.half, self.height = half, 0.78 * float(np.linalg.norm(chin - brows))
        self._middle = chin - self._down * self.height
        self.jaw = face[:17]

    def at(self, x: float, y: float) -> np.ndarray:
        return self._middle + self._across * self.half * x + self._down * self.height * y

    def outline(self) -> np.ndarray:
        """The jaw of the keypoints, closed by the skull."""
        turns = np.linspace(0, np.pi, 9)[1:-1]
        skull = [self.at(np.cos(t), -0.12 - 0.86 * np.sin(t) ** 0.9) for t in turns]
        return spline(np.concatenate([self.jaw, skull]), closed=True)


def paint_head(canvas: Canvas, who: Character, head: Head) -> Patch:
    """Ears and skull; where the skull is."""
    skin = Material(who.skin, 0.2, 0.26, 0.035, 0.9)
    for sign in (-1, 1):
        points = [(0.93, -0.2), (1.13, -0.22), (1.16, 0.0), (1.07, 0.18), (0.93, 0.22)]
        ear = canvas.area(spline([head.at(sign * x, y) for x, y in points], closed=True))
        canvas.paint(ear, Material(shade(who.skin, 0.95), 0.2, 0.4, 0.006, 0.9))
        inner = [head.at(sign * x, y) for x, y in ((1.0, -0.1), (1.08, -0.1), (1.06, 0.06))]
        canvas.darken(canvas.stroke(spline(inner), 0.006, 0.002), 0.35, 0.9)
    skull = canvas.area(head.outline())
    canvas.paint(skull, skin)
    return skull


def hair_of(who: Character) -> Material:
    return Material(who.hair, 0.3, 0.3, 0.022, 0.2)


def paint_hair_behind(canvas: Canvas, who: Character, head: Head, sway: np.ndarray) -> None:
    """What hangs behind the head; its ends trail by `sway` (2,)."""
    back = hair_of(who).shaded(0.78)
    if who.haircut in (BOB, LONG):
        low = (1.12 if who.haircut == BOB else 1.95) * who.hair_length
        wide = 1.3 if who.haircut == BOB else 1.36
        points = [(-1.0, -0.75), (-1.22, -0.1), (-wide, 0.55 * low), (-0.95 * wide, low), (0, 0.93 * low)]
        points += [(-x, y) for x, y in points[-2::-1]]
        outline = [head.at(x, y) + sway * max(0.0, y + 0.2) for x, y in points]
        patch = canvas.area(spline([*outline, head.at(0, -1.1)], closed=True))
        canvas.darken(canvas.softened(patch, 0.01, (0.003, 0.005)), 0.25)
        canvas.paint(patch, back)
        for x in np.linspace(-0.95, 0.95, 6) * wide:
            strand = [head.at(x * 0.8, 0.2), head.at(x, 0.6 * low) + sway * 0.7, head.at(x * 0.98, 0.96 * low) + sway]
            canvas.darken(canvas.stroke(spline(strand), 0.01, 0.004), 0.22)
    elif who.haircut == BUN:
        bun = head.at(0, -1.22) + 0.4 * sway
        canvas.paint(canvas.limb(bun[None], [0.5 * head.half * who.hair_length]), back.shaded(1.15))
    elif who.haircut == CURLS:
        _curls(
            canvas,
            head,
            back,
            [(np.cos(t) * 1.18, -0.35 - 0.92 * np.sin(t)) for t in np.linspace(-0.55, np.pi + 0.55, 15)],
            0.3 * who.hair_length,
            sway,
        )


def paint_hair(canvas: Canvas, who: Character, head: Head, skull: Patch, sway: np.ndarray) -> None:
    """What lies on the head and throws its shadow on it."""
    hair = hair_of(who)
    if who.haircut == CURLS:
        _curls(
            canvas,
            head,
            hair,
            [(np.cos(t) * 0.86, -0.62 - 0.36 * np.sin(t)) for t in np.linspace(-0.3, np.pi + 0.3, 11)],
            0.24,
            sway,
        )
        return
    crown, temple = (1.1, 0.02) if who.haircut != BUZZ else (1.0, -0.12)
    turns = np.linspace(np.pi, 0, 13)
    cap = [head.at(1.07 * np.cos(t), temple - (crown + temple + 0.02) * np.sin(t) ** 0.85) for t in turns]
    line = {
        CROP: [(0.97, -0.2), (0.86, -0.52), (0.5, -0.7), (0.0, -0.66), (-0.5, -0.7), (-0.86, -0.52), (-0.97, -0.2)],
        SIDE_PARTING: [
            (0.97, -0.16),
            (0.84, -0.6),
            (0.55, -0.82),
            (0.0, -0.62),
            (-0.5, -0.5),
            (-0.88, -0.36),
            (-0.97, -0.1),
        ],
        BOB: [(1.0, 0.1), (0.86, -0.35), (0.45, -0.52), (0.0, -0.5), (-0.45, -0.52), (-0.86, -0.35), (-1.0, 0.1)],
        LONG: [(1.0, 0.15), (0.88, -0.3), (0.5, -0.66), (0.08, -0.9), (-0.4, -0.64), (-0.86, -0.3), (-1.0, 0.15)],
        BUN: [(0.96, -0.2), (0.84, -0.58), (0.45, -0.8), (0.0, -0.84), (-0.45, -0.8), (-0.84, -0.58), (-0.96, -0.2)],
        BUZZ: [(0.96, -0.26), (0.8, -0.6), (0.4, -0.76), (0.0, -0.78), (-0.4, -0.76), (-0.8, -0.6), (-0.96, -0.26)],
    }[who.haircut]
    fringe = spline([head.at(x, y) + 0.12 * sway for x, y in line])
    outline = np.concatenate([spline(cap), fringe])
    patch = canvas.area(outline)
    if who.haircut == BUZZ:
        canvas.mix(canvas.softened(patch, 0.006).within(skull), shade(who.hair, 0.9), 0.75)
        return
    canvas.darken(canvas.softened(patch, 0.006, (0.001, 0.006)).within(skull), 0.28, 0.8)
    canvas.paint(patch, hair)
    _strands(canvas, who, head, patch)
    if who.haircut in (BOB, LONG):
        _locks(canvas, who, head, hair, sway)


def _strands(canvas: Canvas, who: Character, head: Head, hair: Patch) -> None:
    """Lighter and darker lines along the hair's way."""
    start = {SIDE_PARTING: 0.5, LONG: 0.06}.get(who.haircut, 0.0)
    for index, x in enumerate(np.linspace(-0.9, 0.9, 7)):
        line = spline([head.at(start * 0.9, -1.06), head.at(0.75 * x + 0.25 * start, -0.98), head.at(x, -0.66)])
        patch = canvas.stroke(line, 0.01, 0.005).within(hair)
        if index % 2:
            canvas.mix(patch, shade(who.hair, 1.7), 0.16 * canvas.relief)
        else:
            canvas.darken(patch, 0.18)


def _locks(canvas: Canvas, who: Character, head: Head, hair: Material, sway: np.ndarray) -> None:
    """Before the ears, down both sides of the face."""
    low = 0.72 * who.hair_length if who.haircut == BOB else 1.3 * who.hair_length
    for sign in (-1, 1):
        outer = [(1.06, -0.45), (1.22, 0.1), (1.2, 0.6 * low), (1.08, low)]
        inner = [(0.98, 0.7 * low), (0.98, 0.2), (0.88, -0.3)]
        outline = [head.at(sign * x, y) + sway * max(0.0, 0.8 * y + 0.1) for x, y in (*outer, *inner)]
        patch = canvas.area(spline(outline, closed=True))
        canvas.darken(canvas.softened(patch, 0.005, (0.002, 0.003)), 0.22, 0.5)
        canvas.paint(patch, hair)
        strand = [
            head.at(sign * 1.06, -0.2),
            head.at(sign * 1.12, 0.3 * low) + 0.5 * sway,
            head.at(sign * 1.07, 0.85 * low) + sway,
        ]
        canvas.mix(canvas.stroke(spline(strand), 0.009, 0.004), shade(who.hair, 1.7), 0.18 * canvas.relief)


def _curls(canvas: Canvas, head: Head, hair: Material, places: list, radius: float, sway: np.ndarray) -> None:
    for index, (x, y) in enumerate(places):
        middle = head.at(x, y) + 0.15 * sway
        size = radius * head.half * (1.0 + 0.14 * (-1) ** index)
        curl = canvas.limb(middle[None], [size])
        canvas.darken(canvas.softened(curl, 0.005, (0.001, 0.004)), 0.16)
        canvas.paint(curl, Material(hair.colour, 0.28, 0.22, 0.012, 0.2))
