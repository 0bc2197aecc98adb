"""Rendered hands: pictures whose keypoints are known, to train the keypoint network of L_pose on.

A hand is a chain of bones with random bends, turned in space, drawn as shaded capsules of a random skin colour in
front of a random background.
"""

from itertools import pairwise

import numpy as np

from ...config import HAND_POINTS

# Lengths of the bones of a finger from the wrist outwards, and directions of the fingers in the palm in degrees, for
# thumb, index, middle, ring and little; the palm of an outstretched hand is about 1 long.
BONES = np.array(
    [(0.38, 0.36, 0.30, 0.26), (0.92, 0.42, 0.27, 0.21), (0.90, 0.46, 0.31, 0.22), (0.84, 0.42, 0.29, 0.22)]
    + [(0.80, 0.33, 0.21, 0.19)]
)
SPREAD = np.deg2rad([-52.0, -19.0, -2.0, 14.0, 30.0])
FINGER_WIDTH = (0.13, 0.115, 0.115, 0.11, 0.095)
HAND_LENGTH = 1.85
PALM = (0, 1, 5, 9, 13, 17)


def random_hand(rng: np.random.Generator) -> np.ndarray:
    """Keypoints (21, 3) of a hand with its wrist at the origin, about 1.85 long, randomly bent and turned."""
    points = np.zeros((HAND_POINTS, 3))
    fist = rng.uniform(0.0, 1.0) ** 2
    for finger in range(5):
        angle = SPREAD[finger] * rng.uniform(0.6, 1.2)
        forward = np.array([np.sin(angle), np.cos(angle), 0.0])
        bends = np.clip(rng.normal((0.1, 0.8, 0.9, 0.6) * np.array(fist), 0.15), -0.1, 1.6)
        bends[0] *= 0.2
        place, bend = np.zeros(3), 0.0
        for bone in range(4):
            bend += bends[bone] * (0.5 if finger == 0 else 1.0)
            direction = forward * np.cos(bend) + np.array([0.0, 0.0, np.sin(bend)])
            place = place + BONES[finger, bone] * direction
            points[1 + 4 * finger + bone] = place
    if rng.random() < 0.5:
        points[:, 0] *= -1
    return points @ _turn(rng).T


def _turn(rng: np.random.Generator) -> np.ndarray:
    roll, pitch, yaw = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.5), rng.normal(0, 0.7)
    (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a), np.cos(a)) for a in (roll, pitch, yaw))
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return about_z @ about_x @ about_y


def render(rng: np.random.Generator, size: int, hands: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A picture (size, size, 3) float32 in 0..1 with `hands` hands, and their keypoints (hands, 21, 2) in pixels."""
    from ...media.opencv import cv2

    picture = _background(rng, size)
    everything = []
    for _ in range(hands):
        points = random_hand(rng)
        scale = size * rng.uniform(0.25, 0.7) / HAND_LENGTH
        flat = points[:, :2] * scale
        low, high = flat.min(0), flat.max(0)
        flat += rng.uniform(np.minimum(-low, size - high), np.maximum(-low, size - high) + 1e-6)
        skin = np.array(cv2.cvtColor(np.uint8([[_skin(rng)]]), cv2.COLOR_HSV2RGB)[0, 0]) / 255
        _draw(picture, flat, points[:, 2], scale, skin)
        everything.append(flat)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4))
    picture = picture * rng.uniform(0.6, 1.2) + rng.normal(0, rng.uniform(0, 0.04), picture.shape)
    return picture.clip(0, 1).astype(np.float32), np.array(everything)


def _skin(rng: np.random.Generator) -> tuple[int, int, int]:
    return int(rng.uniform(2, 16)), int(rng.uniform(40, 170)), int(rng.uniform(70, 250))


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft colour fields and a few shapes."""
    from ...media.opencv import cv2

    coarse = rng.uniform(0, 1, (int(rng.integers(2, 7)),) * 2 + (3,)).astype(np.float32)
    picture = np.ascontiguousarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1))
    for _ in range(int(rng.integers(0, 6))):
        colour = rng.uniform(0, 1, 3).tolist()
        a, b = (tuple(int(v) for v in rng.integers(0, size, 2)) for _ in range(2))
        if rng.random() < 0.5:
            cv2.line(picture, a, b, colour, int(rng.integers(1, size // 6)), cv2.LINE_AA)
        else:
            cv2.circle(picture, a, int(rng.integers(2, size // 4)), colour, -1, cv2.LINE_AA)
    return picture


def _draw(picture: np.ndarray, flat: np.ndarray, depth: np.ndarray, scale: float, skin: np.ndarray) -> None:
    """Palm, then bones from far to near; nearer ones are lighter, and each has a darker rim."""
    from ...media.opencv import cv2

    def place(point):
        return tuple(int(round(v * 16)) for v in point)

    palm = cv2.convexHull(flat[list(PALM)].astype(np.float32))[:, 0]
    corners = np.array([place(p) for p in palm])
    for shade, width in ((0.75, 0.3), (1.0, 0.24)):
        colour = (skin * shade).tolist()
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, 4)
        cv2.polylines(picture, [corners], True, colour, max(1, int(width * scale)), cv2.LINE_AA, 4)
    bones = [(f, a, b) for f in range(5) for a, b in pairwise(range(4 * f + 1, 4 * f + 5))]
    bones += [(0, 0, 1)]
    for finger, a, b in sorted(bones, key=lambda bone: depth[bone[1]] + depth[bone[2]]):
        light = float(np.clip(0.95 + 0.12 * (depth[a] + depth[b]), 0.7, 1.1))
        for shade, width in ((0.7, 2.0), (1.0, 1.5)):
            thickness = max(1, int(FINGER_WIDTH[finger] * scale * width))
            cv2.line(
                picture, place(flat[a]), place(flat[b]), (skin * light * shade).tolist(), thickness, cv2.LINE_AA, 4
            )
