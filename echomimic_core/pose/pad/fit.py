"""From detected points back to the parameters of the Pose Pad, so that what was found can be dragged."""

import numpy as np
from scipy.optimize import least_squares

from ..draw import HAND_BONES
from ..hand_pose import HandPose
from ..hand_skeleton import LIMITS, bone_lengths
from ..track import present
from .points import hand_in_picture
from .presets import PRESETS, start_key
from .value import ANGLES, HAND_SIZES, SIDES, PadHand, PadKey

PARTS = ("body", "head", "left elbow", "right elbow", *SIDES)
# Least score of a body point to be believed.
_SEEN = 0.3
_BONES = np.array(HAND_BONES)
# Views from which the search begins: roll and tilt in degrees.
_VIEWS = ((0, 0), (180, 0), (70, 0), (-70, 0), (0, 45), (180, 45))
_KNUCKLES = [5, 9, 13, 17]
# How far a parameter may go from the usual before it costs as much as a point that is off by a hand length.
_USUAL_ANGLE, _USUAL_VIEW = 3000.0, 5000.0
_LEAST, _MOST = np.array([LIMITS[name] for name, count in ANGLES for _ in range(count)]).T


def key_of_pose(found: HandPose) -> tuple[PadKey, tuple[str, ...]]:
    """The key that lies nearest to the first frame of a pose, and the names of what was not found.

    Names are those of `PARTS`; without the body, head and elbows are not named as well. Parts that were not found stand
    where the first figure has them, or hang on the body as they do there.
    """
    found = found.take(np.array([0])).whole_canvas()
    size = np.array([found.width, found.height], float)
    key, missing = start_key(found.width, found.height), []
    bodies = None
    if found.bodies is not None:
        seen = present(found.bodies, found.body_scores)[0] & (found.body_scores[0] >= _SEEN)
        bodies = np.where(seen[:, None], found.bodies[0] * size, np.nan)
    places = {"neck": [1], "shoulders": [5, 2], "elbows": [6, 3]}
    body = {"neck": key.neck[None], "shoulders": key.shoulders, "elbows": key.elbows}
    wrists, head = np.stack([hand.wrist for hand in key.hands]), key.head
    if bodies is None or np.isnan(bodies[[1, 2, 5]]).any():
        missing.append("body")
    else:
        # What is missing hangs on what was found as it does on the first figure.
        scale = np.linalg.norm(bodies[5] - bodies[2]) / np.linalg.norm(key.shoulders[0] - key.shoulders[1])

        def kept(points, index):
            return np.where(np.isnan(bodies[index]), bodies[1] + (points - key.neck) * scale, bodies[index])

        body = {name: kept(body[name], index) for name, index in places.items()}
        wrists = kept(wrists, [7, 4])
        unseen = np.isnan(bodies).any(axis=1)
        absent = (unseen[[15, 14]].any(), unseen[6], unseen[3])
        missing += [part for part, gone in zip(PARTS[1:4], absent, strict=True) if gone]
        eyes = bodies[[15, 14]]
        if np.isnan(eyes).any():
            head = np.array([*(bodies[1] + (head[:2] - key.neck) * scale), head[2] * scale, 0.0])
        else:
            across = (eyes[0] - eyes[1]) / 2
            tilt = np.degrees(np.arctan2(across[1], across[0]))
            head = np.array([*eyes.mean(axis=0), max(np.linalg.norm(across), HAND_SIZES[0] * size.max()), tilt])
    hands = []
    for side, name in enumerate(SIDES):
        shown = present(found.hands, found.hand_scores)[0, side]
        if shown.all():
            hands.append(hand_of_points(found.hands[0, side] * size, side))
        else:
            missing.append(name)
            usual = key.hands[side]
            shoulder_width = np.linalg.norm(body["shoulders"][0] - body["shoulders"][1])
            hand_size = usual.size * shoulder_width / np.linalg.norm(key.shoulders[0] - key.shoulders[1])
            hands.append(PadHand(wrists[side], hand_size, usual.turn, usual.roll, usual.tilt, usual.angles))
    return PadKey(0.0, body["neck"][0], body["shoulders"], body["elbows"], head, tuple(hands)), tuple(missing)


def hand_of_points(points: np.ndarray, side: int) -> PadHand:
    """The hand of a side (0 left, 1 right) whose 21 points lie nearest to the given ones (21, 2) in pixels."""
    points = np.asarray(points, float)
    lengths = np.linalg.norm(points[_BONES[:, 1]] - points[_BONES[:, 0]], axis=-1)
    size = max(float(np.percentile(lengths / bone_lengths(_BONES), 80)), 1.0)
    middle = points[_KNUCKLES].mean(axis=0) - points[0]
    turn = np.degrees(np.arctan2(middle[0], -middle[1]))
    usual = PRESETS["relaxed"].astype(float)

    def hands(values: np.ndarray) -> PadHand:
        wrists = points[0] + size * values[:, :2]
        return PadHand(wrists, size * np.exp(values[:, 2]), *values[:, 3:6].T, values[:, 6:])

    def misses(values: np.ndarray) -> np.ndarray:
        off = (hand_in_picture(hands(values), side) - points) / size
        unusual = [(values[:, 6:] - usual) / _USUAL_ANGLE, values[:, 2:3] / 10, values[:, 5:6] / _USUAL_VIEW]
        return np.concatenate([off.reshape(len(values), -1), *unusual], axis=1)

    def slopes(values: np.ndarray) -> np.ndarray:
        steps = 1e-4 * np.diag(scale)
        return (misses(values + steps) - misses(values - steps)).T / (2e-4 * scale)

    low = np.concatenate([[-1, -1, -1, turn - 200, -360, -80], _LEAST])
    high = np.concatenate([[1, 1, 1, turn + 200, 360, 80], _MOST])
    scale = np.concatenate([[0.1, 0.1, 0.1, 20, 40, 20], np.full(len(usual), 20)])
    starts = [np.concatenate([[0, 0, 0, turn, roll, tilt], usual]) for roll, tilt in _VIEWS]
    tried = [
        least_squares(
            lambda values: misses(values[None])[0],
            np.clip(start, low, high),
            slopes,
            bounds=(low, high),
            x_scale=scale,
            max_nfev=60,
        )
        for start in starts
    ]
    best = min(tried, key=lambda one: one.cost).x
    turns = [float((angle + 180) % 360 - 180) for angle in best[3:6]]
    return PadHand(points[0] + size * best[:2], float(size * np.exp(best[2])), *turns, best[6:])
