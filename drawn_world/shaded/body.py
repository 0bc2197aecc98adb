"""Neck, trunk and arms, and what they wear."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Material, Patch, shade, spline
from .character import CREW, ROLL_NECK, SHIRT, V_NECK, Character, Moment

# Radii of an arm, in shoulder widths: at the shoulder, above and below the elbow, at the wrist.
UPPER, ELBOW, FORE, WRIST = 0.106, 0.098, 0.09, 0.058


@dataclass(frozen=True)
class Trunk:
    """The shoulders' frame: `at(1, 0)` is the left one, `at(0, 1)` a shoulder width below the neck."""

    neck: np.ndarray
    across: np.ndarray
    down: np.ndarray

    def at(self, x: float, y: float) -> np.ndarray:
        return self.neck + 0.5 * x * self.across + y * self.down

    @property
    def width(self) -> float:
        return float(np.linalg.norm(self.across))


def trunk_of(moment: Moment) -> Trunk:
    left, right = moment.arms[:, 0]
    across = left - right
    return Trunk((left + right) / 2, across, np.array([-across[1], across[0]]))


def cloth(who: Character, reach: float = 0.03) -> Material:
    return Material(who.clothes, 0.2, 0.24, reach, 0.15)


def paint_neck(canvas: Canvas, who: Character, trunk: Trunk, chin: np.ndarray) -> None:
    """From inside the head down to the collar, with the chin's shadow on it."""
    half = 0.145 * who.build
    top = chin - 0.1 * trunk.down
    outline = spline(
        [
            top - 0.5 * 2 * half * trunk.across * 0.92,
            trunk.at(-2 * half, -0.02),
            trunk.at(-0.62, 0.05),
            trunk.at(0, 0.42),
            trunk.at(0.62, 0.05),
            trunk.at(2 * half, -0.02),
            top + 0.5 * 2 * half * trunk.across * 0.92,
        ]
    )
    neck = canvas.area(outline)
    canvas.paint(neck, Material(shade(who.skin, 0.97), 0.16, 0.3, 0.02, 0.8), outline=False)
    beneath = canvas.limb(
        np.array([chin - 0.3 * half * trunk.across, chin + 0.3 * half * trunk.across]), np.full(2, 0.14 * trunk.width)
    )
    shadow = canvas.softened(beneath, 0.014, (0.004, 0.012))
    canvas.darken(shadow.within(neck), 0.4, 1.0)
    for sign in (-1, 1):
        bone = spline([trunk.at(sign * 0.09, 0.11), trunk.at(sign * 0.28, 0.065), trunk.at(sign * 0.5, 0.07)])
        canvas.darken(canvas.stroke(bone, 0.008, 0.004), 0.22, 0.8)


def paint_trunk(canvas: Canvas, who: Character, trunk: Trunk, breath: float) -> Patch:
    """Shoulders and chest with the neckline; where they are."""
    wide = who.build * (1 + 0.012 * breath)
    collar = {CREW: (0.36, 0.08), V_NECK: (0.36, 0.34), SHIRT: (0.33, 0.2), ROLL_NECK: (0.35, -0.12)}[who.neckline]
    half, low = collar
    neckline = [
        trunk.at(-half, -0.055),
        trunk.at(-0.55 * half, low * 0.72),
        trunk.at(0, low),
        trunk.at(0.55 * half, low * 0.72),
        trunk.at(half, -0.055),
    ]
    if who.neckline == ROLL_NECK:
        neckline = [trunk.at(-half * 0.92, -0.11), trunk.at(0, -0.06), trunk.at(half * 0.92, -0.11)]
    slope = [trunk.at(0.5, -0.07), trunk.at(0.76, -0.05), trunk.at(1.02 * wide, 0.0), trunk.at(1.2 * wide, 0.13)]
    slope += [trunk.at(1.2 * wide, 0.26)]
    flank = [trunk.at(0.98 * wide, 0.6), trunk.at(0.92, 1.05), trunk.at(0.95, 1.9)]
    mirrored = [trunk.neck + _mirror(point - trunk.neck, trunk.across) for point in (*slope, *flank)]
    outline = np.concatenate(
        [
            spline(neckline) if who.neckline != V_NECK else np.array([neckline[0], neckline[2], neckline[4]]),
            spline([*slope, *flank]),
            spline(mirrored[::-1]),
        ]
    )
    patch = canvas.area(outline)
    canvas.darken(canvas.softened(patch, 0.006, (0.002, -0.002)), 0.25, 0.5)
    canvas.paint(patch, cloth(who))
    _folds(canvas, trunk, patch)
    _neckline(canvas, who, trunk, np.array(neckline))
    return patch


def _mirror(vector: np.ndarray, across: np.ndarray) -> np.ndarray:
    unit = across / np.linalg.norm(across)
    return vector - 2 * (vector @ unit) * unit


def _folds(canvas: Canvas, trunk: Trunk, patch: Patch) -> None:
    for sign in (-1, 1):
        lines = (
            ([(0.92, 0.24), (0.74, 0.34), (0.6, 0.36)], 0.012, 0.2),
            ([(0.9, 0.3), (0.72, 0.48), (0.5, 0.62)], 0.012, 0.14),
            ([(0.8, 0.75), (0.5, 0.92), (0.16, 0.98)], 0.018, 0.13),
            ([(0.72, 1.05), (0.42, 1.12), (0.1, 1.2)], 0.016, 0.1),
        )
        for points, width, strength in lines:
            line = spline([trunk.at(sign * x, y) for x, y in points])
            canvas.darken(canvas.stroke(line, width, 0.007), strength, 0.1)
            canvas.mix(canvas.stroke(line + 0.014 * trunk.down, width, 0.008), (255, 255, 255), 0.05 * canvas.relief)


def _neckline(canvas: Canvas, who: Character, trunk: Trunk, line: np.ndarray) -> None:
    edge = Material(who.collar, 0.2, 0.3, 0.006, 0.1)
    if who.neckline == SHIRT:
        canvas.darken(
            canvas.stroke(spline([trunk.at(0, 0.2), trunk.at(0.01, 0.9), trunk.at(0, 1.8)]), 0.006, 0.002), 0.35
        )
        for y in (0.36, 0.62, 0.88):
            canvas.paint(
                canvas.limb(trunk.at(0.0, y)[None], [0.011 * trunk.width]),
                Material(shade(who.clothes, 1.35), 0.3, 0.4, 0.003),
            )
        for sign in (-1, 1):
            flap = [
                trunk.at(sign * 0.3, -0.1),
                trunk.at(sign * 0.37, 0.0),
                trunk.at(sign * 0.25, 0.2),
                trunk.at(0.0, 0.205),
            ]
            flap += [trunk.at(sign * 0.17, 0.1)]
            patch = canvas.area(np.array(flap))
            canvas.darken(canvas.softened(patch, 0.005, (0.002, 0.004)), 0.3)
            canvas.paint(patch, Material(shade(who.clothes, 1.16), 0.2, 0.3, 0.01))
        return
    width = 0.1 if who.neckline == ROLL_NECK else 0.05
    rounded = line if who.neckline == V_NECK else spline(line)
    patch = canvas.limb(
        rounded if who.neckline != V_NECK else line[[0, 2, 4]],
        np.full(len(rounded) if who.neckline != V_NECK else 3, 0.5 * width * trunk.width),
    )
    canvas.darken(canvas.softened(patch, 0.005, (0.0, 0.003)), 0.25)
    canvas.paint(patch, edge)


def paint_upper_arm(canvas: Canvas, who: Character, trunk: Trunk, arm: np.ndarray) -> None:
    """From the shoulder to the elbow."""
    shoulder, elbow, _ = arm
    width = trunk.width * who.build
    inwards = trunk.neck + 0.05 * trunk.down - shoulder
    points = np.array([shoulder + 0.1 * inwards + 0.03 * trunk.down, 0.55 * shoulder + 0.45 * elbow, elbow])
    patch = canvas.limb(points, width * np.array([UPPER, 0.106, ELBOW]))
    # The shoulder goes over into the trunk
    start, end = points[0] - 0.05 * trunk.down, points[0] + 0.45 * (points[1] - points[0])
    shadow = canvas.softened(patch, 0.01, (0.0, 0.004))
    canvas.darken(shadow.fading(start, points[1], canvas.side), 0.2, 0.1)
    canvas.paint(patch.fading(start, end, canvas.side), cloth(who, 0.018))


def paint_forearm(canvas: Canvas, who: Character, trunk: Trunk, arm: np.ndarray, hand: np.ndarray) -> None:
    """From the elbow to the wrist: a wrist of skin in a sleeve that may be pushed up."""
    _, elbow, wrist = arm
    width = trunk.width * who.build
    palm = 0.75 * wrist + 0.25 * hand[9]
    skin = Material(who.skin, 0.18, 0.3, 0.012, 0.8)
    share = 0.86 if who.sleeves else 0.42
    points = np.array([elbow + (share - 0.1) * (wrist - elbow), wrist, palm])
    bare = canvas.limb(points, width * np.array([WRIST + 0.04 * (1 - share), WRIST, 0.95 * WRIST]))
    canvas.darken(canvas.softened(bare, 0.008, (0.003, 0.006)), 0.25, 0.3)
    canvas.paint(bare, skin)
    end = elbow + share * (wrist - elbow)
    sleeve = canvas.limb(np.array([elbow, end]), width * np.array([FORE, FORE - 0.02 * share]))
    canvas.darken(canvas.softened(sleeve, 0.01, (0.003, 0.008)), 0.25, 0.1)
    canvas.paint(sleeve, cloth(who, 0.016))
    _cuff(canvas, elbow, end, width * (FORE - 0.02 * share))
    across = _across(elbow, wrist)
    for place, bend in ((0.12, 0.5), (0.28, 0.3)):
        middle, radius = elbow + place * (wrist - elbow), 0.08 * width
        fold = spline(
            [
                middle - 0.8 * radius * across,
                middle + bend * radius * (end - elbow) / np.linalg.norm(end - elbow),
                middle + 0.5 * radius * across,
            ]
        )
        canvas.darken(canvas.stroke(fold, 0.008, 0.004), 0.16, 0.1)


def _cuff(canvas: Canvas, begin: np.ndarray, end: np.ndarray, radius: float) -> None:
    """The seam of a sleeve that ends."""
    across = _across(begin, end)
    along = np.array([across[1], -across[0]])
    seam = np.array([end - radius * across, end + 0.35 * radius * along, end + radius * across])
    canvas.darken(canvas.stroke(spline(seam - 0.012 * along), 0.006, 0.002), 0.3, 0.1)


def _across(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = (end - begin) / max(np.linalg.norm(end - begin), 1e-6)
    return np.array([-along[1], along[0]])
