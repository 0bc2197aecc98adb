"""A face's features: eyes that look and blink, brows, nose, and a mouth with teeth and tongue."""

import numpy as np

from .canvas import Canvas, Material, shade, spline
from .character import Character, Moment
from .head import Head

MOUTH_INSIDE = (46, 12, 18)
TEETH, TONGUE, EYE_WHITE = (236, 230, 220), (148, 58, 66), (240, 238, 236)
# The teeth of the upper jaw show so much of the face's width, and at most so much of the open mouth.
TEETH_HEIGHT, TEETH_SHARE, TONGUE_SHARE = 0.07, 0.27, 0.26


def paint_face(canvas: Canvas, who: Character, head: Head, moment: Moment) -> None:
    """Everything on the front of the head, at the keypoints of the face."""
    face, width = moment.face, 2 * head.half
    for sign in (-1, 1):
        cheek = canvas.softened(canvas.limb(head.at(sign * 0.56, 0.34)[None], [0.13 * width]), 0.025)
        canvas.mix(cheek, (214, 84, 84), 0.5 * who.blush)
    if who.beard:
        _beard(canvas, who, head, face)
    for eye, brow in ((face[36:42], face[17:22]), (face[42:48], face[22:27])):
        _eye(canvas, who, eye, moment, width)
        # Inner ends lower than the keypoints' say: the face is friendlier
        inner = np.abs(brow[:, 0] - face[27, 0]).argmin()
        fall = np.linspace(0, 1, 5) ** 2 if inner else np.linspace(1, 0, 5) ** 2
        brow = brow + np.stack([np.zeros(5), 0.028 * width * fall], 1)
        canvas.mix(canvas.stroke(spline(brow), 0.038 * width * who.brow, 0.0015), shade(who.hair, 0.62), 0.9)
    _nose(canvas, who, face, width)
    _mouth(canvas, who, face, moment, width)


def _eye(canvas: Canvas, who: Character, eye: np.ndarray, moment: Moment, width: float) -> None:
    skin, middle = who.skin, eye.mean(0)
    eye = middle + (eye - middle) * (1.16, 1.45) * who.eye_size
    upper, lower = spline(eye[:4], each=8), spline(eye[[3, 4, 5, 0]], each=8)
    # The upper lid falls onto the lower one
    closed = upper + (lower[::-1] - upper) * (1 - moment.eyelids)
    hollow = canvas.softened(canvas.area(spline(middle + (eye - middle) * (1.25, 1.9), closed=True)), 0.006)
    canvas.darken(hollow, 0.14, 0.9)
    if moment.eyelids > 0.08:
        opened = canvas.area(np.concatenate([closed, lower]))
        canvas.mix(opened, EYE_WHITE)
        wide = 0.5 * np.linalg.norm(eye[3] - eye[0])
        iris = middle + moment.gaze * wide * (0.34, 0.14) - (0, 0.06 * wide)
        for radius, colour in ((0.56, shade(who.eyes, 0.55)), (0.48, shade(who.eyes, 1.25)), (0.23, (14, 12, 14))):
            canvas.mix(canvas.limb(iris[None], [radius * wide]).within(opened), colour)
        canvas.darken(canvas.softened(canvas.stroke(closed, 0.016 * width * 2), 0.004, (0, 0.002)).within(opened), 0.45)
        canvas.mix(
            canvas.limb((iris + np.array([-0.18, -0.2]) * wide)[None], [0.13 * wide]).within(opened), (255, 255, 255)
        )
    else:
        canvas.paint(
            canvas.area(np.concatenate([upper, lower])), Material(shade(skin, 0.95), 0.2, 0.2, 0.006, 0.9), False
        )
    canvas.mix(canvas.stroke(closed, 0.026 * width, 0.0008), shade(who.hair, 0.3), 0.9)
    crease = upper - np.array([0, 0.028 * width]) + (closed - upper) * 0.15
    canvas.darken(canvas.stroke(crease, 0.014 * width, 0.0015), 0.32, 0.9)
    canvas.darken(canvas.stroke(lower + np.array([0, 0.008 * width]), 0.01 * width, 0.0015), 0.3, 0.9)


def _nose(canvas: Canvas, who: Character, face: np.ndarray, width: float) -> None:
    tip, wing = face[33], 0.5 * (face[35] - face[31]) * 1.5 * who.nose
    bridge = spline([face[27] + 0.12 * wing, face[29] + 0.55 * wing, tip + 0.95 * wing])
    canvas.darken(canvas.stroke(bridge, 0.05 * width, 0.006), 0.2, 0.9)
    ridge = spline([face[27], face[29], face[30]])
    canvas.mix(canvas.stroke(ridge, 0.04 * width, 0.005), (255, 250, 240), 0.16 * canvas.relief)
    ball = canvas.softened(canvas.limb(face[30][None] + (0, 0.012 * width), [0.035 * width]), 0.005)
    canvas.mix(ball, (255, 248, 240), 0.2 * canvas.relief)
    under = spline(
        [
            tip - 1.15 * wing - (0, 0.02 * width),
            tip - 0.7 * wing + (0, 0.01 * width),
            tip + (0, 0.022 * width),
            tip + 0.7 * wing + (0, 0.01 * width),
            tip + 1.15 * wing - (0, 0.02 * width),
        ]
    )
    canvas.darken(canvas.stroke(under, 0.028 * width, 0.0025), 0.4, 0.9)
    for sign in (-1, 1):
        nostril = canvas.softened(canvas.limb((tip + sign * 0.55 * wing)[None], [0.014 * width]), 0.0012)
        canvas.darken(nostril, 0.5, 0.7)


def _mouth(canvas: Canvas, who: Character, face: np.ndarray, moment: Moment, width: float) -> None:
    outer, inner = face[48:60], face[60:68]
    shadow = canvas.softened(canvas.limb(face[57][None] + (0, 0.05 * width), [0.05 * width]), 0.008)
    canvas.darken(shadow, 0.16, 0.9)
    upper = canvas.area(np.concatenate([spline(outer[:7]), spline(inner[4::-1])]))
    lower = canvas.area(np.concatenate([spline(outer[[6, 7, 8, 9, 10, 11, 0]]), spline(inner[[0, 7, 6, 5, 4]])]))
    lips = Material(who.lips, 0.2, 0.2, 0.006, 0.6)
    canvas.paint(lower, lips.shaded(1.05))
    canvas.paint(upper, lips.shaded(0.88))
    gap = float(inner[6, 1] - inner[2, 1])
    if moment.opening > 0.03:
        hole = canvas.area(spline(inner, closed=True))
        canvas.mix(hole, MOUTH_INSIDE)
        height = min(TEETH_HEIGHT * width, TEETH_SHARE * gap)
        top = spline(inner[:5])
        middle = np.interp(np.linspace(-1, 1, len(top)), (-1, -0.6, 0.6, 1), (0.3, 1, 1, 0.3))[:, None]
        teeth = canvas.area(np.concatenate([top - (0, 0.004), (top + np.array([0, height]) * middle)[::-1]]))
        canvas.mix(canvas.softened(teeth, 0.0008).within(hole), TEETH, 0.95)
        reach = 0.5 * np.linalg.norm(inner[4] - inner[0])
        tongue = canvas.area(_oval(inner[6] + (0, 0.12 * gap), 0.62 * reach, (TONGUE_SHARE + 0.12) * gap))
        canvas.mix(canvas.softened(tongue, 0.0015).within(hole), TONGUE, 0.9)
        canvas.darken(canvas.softened(canvas.stroke(top, 0.02 * width), 0.002, (0, 0.002)).within(hole), 0.3)
    else:
        canvas.darken(canvas.stroke(spline(inner[:5]), 0.02 * width, 0.0012), 0.55, 0.6)
    shine = spline(outer[8:11] * 0.5 + inner[[5, 6, 7]] * 0.5)
    canvas.mix(canvas.stroke(shine, 0.018 * width, 0.003), (255, 236, 230), 0.22 * canvas.relief)
    for corner, sign in ((outer[0], -1), (outer[6], 1)):
        canvas.darken(
            canvas.softened(canvas.limb((corner + (sign * 0.004, 0))[None], [0.016 * width]), 0.004), 0.25, 0.9
        )


def _oval(middle: np.ndarray, wide: float, high: float) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return middle + np.stack([wide * np.cos(turns), high * np.sin(turns)], 1)


def _beard(canvas: Canvas, who: Character, head: Head, face: np.ndarray) -> None:
    mouth = face[[48, 51, 54]].mean(0)
    jaw = face[1:16]
    inside = [
        0.5 * face[14] + 0.5 * face[54],
        0.42 * face[12] + 0.58 * face[54],
        face[54] * 0.8 + face[35] * 0.2,
        face[33] * 0.45 + face[51] * 0.55,
        face[48] * 0.8 + face[31] * 0.2,
        0.42 * face[4] + 0.58 * face[48],
        0.5 * face[2] + 0.5 * face[48],
    ]
    outline = np.concatenate([mouth + (jaw - mouth) * 1.005, spline(inside)])
    canvas.mix(canvas.softened(canvas.area(outline), 0.007), shade(who.hair, 0.8), who.beard)
