"""From the parameters of the Pose Pad to points: one frame, or a clip whose bones keep their length."""

from dataclasses import replace

import numpy as np

from ..hand_pose import MAX_FRAMES, HandPose
from ..hand_skeleton import Shape, hand_points
from ..landmarks import TYPICAL_FACE
from .value import ANGLES, Pad, PadHand, PadKey

# Of every bone's length, the least by which it is taken to point at the viewer: a bone that turns half around between
# two keys turns over the front.
FORWARD = 1e-3
# Shoulder, elbow and wrist, eye and ear of the left and the right side, in OpenPose-18.
_BODY_SIDES = ((5, 6, 7, 15, 17), (2, 3, 4, 14, 16))
_EARS = (16, 0)
_NOSE_POINT = 30


def hand_in_picture(hands: PadHand, side: int) -> np.ndarray:
    """The 21 points (F, 21, 2) of hands of one side (0 left, 1 right) in pixels; fields carry a leading axis F.

    Seen from straight ahead, without perspective: all bones of a frame share one scale.
    """
    columns = np.cumsum([0, *(count for _, count in ANGLES)])
    parts = [hands.angles[:, begin:end] for begin, end in zip(columns, columns[1:], strict=False)]
    angles = {name: part if count > 1 else part[:, 0] for (name, count), part in zip(ANGLES, parts, strict=True)}
    thumbwards, fingerwards, palmwards = np.moveaxis(hand_points(Shape(**angles)), -1, 0)
    turn, roll, tilt = (np.deg2rad(angle)[:, None] for angle in (hands.turn, hands.roll, hands.tilt))
    across = thumbwards * np.cos(roll) + palmwards * np.sin(roll)
    towards = palmwards * np.cos(roll) - thumbwards * np.sin(roll)
    along = fingerwards * np.cos(tilt) - towards * np.sin(tilt)
    upright = np.stack([-across if side == 0 else across, -along], axis=-1)
    return hands.wrist[:, None] + hands.size[:, None, None] * rotated(upright, turn)


def rotated(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points (..., 2) turned clockwise in the picture by an angle in radians that fits (...)."""
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=-1)


def stacked(hands: list[PadHand]) -> PadHand:
    """Hands as one whose fields carry a leading axis."""
    names = ("wrist", "size", "turn", "roll", "tilt", "angles")
    return PadHand(*(np.stack([np.asarray(getattr(hand, name), float) for hand in hands]) for name in names))


def times(pad: Pad) -> np.ndarray:
    """Seconds (F,) of the frames that the keys make: one for a single key, else from 0 to the last key."""
    if len(pad.keys) < 2:
        return np.zeros(1)
    frames = int(round(pad.keys[-1].time * pad.fps)) + 1
    if frames > MAX_FRAMES:
        raise ValueError(f"the key frames make {frames:,} frames, but {MAX_FRAMES:,} are the most")
    return np.arange(frames) / pad.fps


def eased(share: np.ndarray) -> np.ndarray:
    """Minimum-jerk easing of 0..1, as people move."""
    return share**3 * (10 - 15 * share + 6 * share * share)


def pose(pad: Pad, width: int | None = None, height: int | None = None) -> HandPose:
    """The pose that the keys of a pad make, on a canvas of the picture's size or of one of the same shape.

    Raises
    ------
    ValueError : the pad has no keys.
    """
    if not pad.keys:
        raise ValueError("nothing has been placed on the pad: open the node, place the hands, and run again")
    at = times(pad)
    bodies, faces, hands = figure(pad.keys, at)
    frames, size = len(at), np.array([pad.width, pad.height], float)
    body_scores = np.zeros((frames, 18))
    body_scores[:, [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17]] = 1
    hand_scores = np.ones((frames, 2, 21))
    for side, hidden in enumerate(pad.hidden):
        if hidden:
            hand_scores[:, side] = body_scores[:, _BODY_SIDES[side][2]] = 0
    made = HandPose(
        hands=hands / size,
        hand_scores=hand_scores,
        bodies=bodies / size,
        body_scores=body_scores,
        faces=faces / size,
        face_scores=np.ones((frames, 68)),
        width=width or pad.width,
        height=height or pad.height,
        fps=pad.fps,
    )
    return made.map_points(lambda points: points)


def figure(keys: tuple[PadKey, ...], at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bodies (F, 18, 2), faces (F, 68, 2) and hands (F, 2, 21, 2) in pixels at times (F,) in seconds."""
    before, after, share = _between(np.array([key.time for key in keys]), at)
    necks = np.stack([key.neck for key in keys])
    neck = _mixed(necks, before, after, share)
    bodies = np.zeros((len(at), 18, 2))
    bodies[:, 1] = neck
    hands = np.zeros((len(at), 2, 21, 2))
    for side, (shoulder, elbow, wrist, _, _) in enumerate(_BODY_SIDES):
        joint, joints = neck, necks
        ends = ([key.shoulders[side] for key in keys], [key.elbows[side] for key in keys])
        for point, values in zip(
            (shoulder, elbow, wrist), (*ends, [key.hands[side].wrist for key in keys]), strict=True
        ):
            values = np.stack(values)
            joint = bodies[:, point] = joint + _turned(values - joints, before, after, share)
            joints = values
        hands[:, side] = hand_in_picture(_hands_between(keys, side, joint, before, after, share), side)
    heads = np.stack([key.head for key in keys])
    eyes = neck + _turned(heads[:, :2] - necks, before, after, share)
    size = np.exp(_mixed(np.log(heads[:, 2]), before, after, share))
    tilt = np.deg2rad(_mixed_angles(heads[:, 3], before, after, share))[:, None]
    faces = eyes[:, None] + size[:, None, None] * rotated(TYPICAL_FACE, tilt)
    bodies[:, 0] = faces[:, _NOSE_POINT]
    right = np.concatenate([np.cos(tilt), np.sin(tilt)], axis=-1) * size[:, None]
    for side, sign in enumerate((1, -1)):
        bodies[:, _BODY_SIDES[side][3]] = eyes + sign * right
        bodies[:, _BODY_SIDES[side][4]] = faces[:, _EARS[side]]
    return bodies, faces, hands


def _hands_between(keys, side: int, wrist, before, after, share) -> PadHand:
    hands = stacked([key.hands[side] for key in keys])
    between = replace(hands, wrist=wrist, size=np.exp(_mixed(np.log(hands.size), before, after, share)))
    turns = {name: _mixed_angles(getattr(hands, name), before, after, share) for name in ("turn", "roll", "tilt")}
    return replace(between, angles=_mixed(hands.angles, before, after, share), **turns)


def _between(times: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each time the key before, the key after, and the eased share of the way; the outer keys hold."""
    after = np.clip(np.searchsorted(times, at, side="right"), 0, len(times) - 1)
    before = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    span = np.where(after > before, times[after] - times[before], 1.0)
    return before, after, eased(np.clip((at - times[before]) / span, 0, 1) * (after > before))


def _mixed(values: np.ndarray, before, after, share) -> np.ndarray:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[before] + (values[after] - values[before]) * share


def _mixed_angles(degrees: np.ndarray, before, after, share) -> np.ndarray:
    """Degrees on the shorter way around."""
    return degrees[before] + ((degrees[after] - degrees[before] + 180) % 360 - 180) * share


def _turned(bones: np.ndarray, before, after, share) -> np.ndarray:
    """Bones (F, 2) between those of the keys (n, 2), as long in depth as the longest of them looks."""
    longest = np.linalg.norm(bones, axis=-1).max()
    return bone_between(bones[before], bones[after], np.full(len(before), longest), share, FORWARD)


def bone_between(first: np.ndarray, second: np.ndarray, length: np.ndarray, share: np.ndarray, forward: float):
    """A bone (F, 2) a share (F,) of the way between two, turned in depth so that it keeps its length (F,).

    Where it looks shorter it points partly at the viewer; `forward` of its length is added to that, so that a bone that
    turns half around turns over the front.
    """
    wholes = []
    for bone in (first, second):
        depth = np.sqrt(np.maximum(length**2 - (bone**2).sum(axis=-1), 0)) + forward * length
        wholes.append(np.concatenate([bone, depth[:, None]], axis=-1))
    sizes = [np.maximum(np.linalg.norm(whole, axis=-1), 1e-9) for whole in wholes]
    units = [whole / size[:, None] for whole, size in zip(wholes, sizes, strict=True)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(axis=-1), -1, 1))
    straight = angle < 1e-6
    sine = np.where(straight, 1.0, np.sin(angle))
    parts = np.where(straight, [1 - share, share], [np.sin((1 - share) * angle) / sine, np.sin(share * angle) / sine])
    turned = units[0] * parts[0][:, None] + units[1] * parts[1][:, None]
    return turned[:, :2] * (sizes[0] + (sizes[1] - sizes[0]) * share)[:, None]
