"""How long a person's bones are, by what a pose shows of them: as long as they look where they lie across the view.

Of a bone that never does, no picture tells the length: a long one that points at the viewer looks like a short one.
Common proportions stand in for it, and `looks_short` says so.
"""

from dataclasses import dataclass, replace

import numpy as np

from .hand_pose import HandPose
from .measure import ARMS, EYES, SCORE_SEEN, SHOULDERS, measure
from .track import present

# Lengths of upper arm, forearm and hand (wrist to fingertip), in distances of the shoulder joints.
_COMMON = np.array([0.82, 0.69, 0.51])
# Bodies (a child, a chibi) differ from them by no more than this; what looks shorter points at the viewer.
_LEAST, _MOST = 0.6, 1.6
# An arm that is straight in the picture lies across the view or, with both bones alike, at an angle to it: the ratio of
# its bones is as it looks. Of a bent one, the bone that looks shorter may point at the viewer: it is taken to be as
# long as the other, measured by the common lengths. From a bend of 45 degrees on it is bent, below 20 straight.
_BENT, _STRAIGHT = np.cos(np.deg2rad((45, 20)))
# A bone that looks shorter than so much of the common length, or of the other bone, may point at the viewer.
_LOOKS_SHORT = 0.8
# Key frames that show an arm as long as each other, to so much, show its length.
_AGREE = 0.1
# Points that lie so near to each other, in pixels, are one: they show no bone.
_ONE_POINT = 1.0
_FRAME_PERCENTILE = 98


@dataclass(frozen=True)
class Bones:
    """Lengths in pixels of a person: between the shoulders; (3,) upper arm, forearm, hand; between the eyes or None.

    straight : cosine of the bend of the straightest arm.
    """

    shoulders: float
    arm: np.ndarray
    eyes: float | None
    straight: float


def bones_of(pose: HandPose) -> Bones:
    """Bones of whom a pose shows, each between `_LEAST` and `_MOST` of the common length; `seen_bones` finds some."""
    found = seen_bones(pose)
    common = _COMMON * found.shoulders
    share = np.where(np.isnan(found.arm), 1.0, found.arm / common)
    alike = np.interp(found.straight, (_BENT, _STRAIGHT), (1.0, 0.0))
    share[:2] = np.maximum(share[:2], alike * share[:2].max())
    return replace(found, arm=common * np.clip(share, _LEAST, _MOST))


def looks_short(person: HandPose) -> bool:
    """Whether an arm looks so short, by itself or beside its other bone, that it may point at the viewer.

    A straight arm shows its length, and so does one that the first and the last of several frames show equally long.
    """
    found = seen_bones(person)
    if found is None or found.straight >= _STRAIGHT or _agree(person):
        return False
    shares = found.arm[:2] / (_COMMON[:2] * found.shoulders)
    return bool(shares.min() < _LOOKS_SHORT * max(shares.max(), 1.0))


def _agree(person: HandPose) -> bool:
    if len(person) < 2:
        return False
    ends = [seen_bones(person.take(np.array([frame]))) for frame in (0, len(person) - 1)]
    return None not in ends and bool(np.allclose(ends[0].arm[:2], ends[1].arm[:2], rtol=_AGREE))


def seen_bones(pose: HandPose) -> Bones | None:
    """Lengths as they look at their longest, NaN for a hand that is not seen; None without shoulders or an arm."""
    if pose.bodies is None:
        return None
    points = pose.bodies * (pose.width, pose.height)
    seen = present(pose.bodies, pose.body_scores) & (pose.body_scores >= SCORE_SEEN)
    shoulders = _longest(points, seen, [SHOULDERS])
    arm = [_longest(points, seen, ARMS[:, bone : bone + 2]) for bone in (0, 1)]
    if shoulders is None or None in arm:
        return None
    hand = measure(pose).hand or np.nan
    return Bones(shoulders, np.array([*arm, hand]), _longest(points, seen, [EYES]), _straightest(points, seen))


def _straightest(points: np.ndarray, seen: np.ndarray) -> float:
    """Cosine of the least bend of an elbow; -1 where no arm is whole."""
    bones = np.diff(points[:, ARMS], axis=2)
    sizes = np.maximum(np.linalg.norm(bones, axis=-1), 1e-9)
    straight = (bones[:, :, 0] * bones[:, :, 1]).sum(axis=-1) / sizes.prod(axis=-1)
    whole = straight[seen[:, ARMS].all(axis=-1)]
    return float(np.percentile(whole, _FRAME_PERCENTILE)) if len(whole) else -1.0


def _longest(points: np.ndarray, seen: np.ndarray, bones) -> float | None:
    lengths = [np.linalg.norm(points[:, b] - points[:, a], axis=-1)[seen[:, a] & seen[:, b]] for a, b in bones]
    known = np.concatenate(lengths)
    known = known[known > _ONE_POINT]
    return float(np.percentile(known, _FRAME_PERCENTILE)) if len(known) else None
