"""Arms and hands as chains of bones, each an angle and a length: what joins of clips blend, so that no bone breaks.

A chain of one side is shoulder, elbow, wrist and the 20 bones of the hand. Points blended as points shrink a hand that
turns; angles blended by the shortest way do not, and lengths stay between those of the two clips.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..pose import HandPose
from ..pose.measure import ARMS

# For each of the 20 bones of a hand the point it begins at, the point it ends at being 1..20 in this order.
PARENTS = np.array([0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19])
BONES = 2 + len(PARENTS)
MIDDLE_TIP = 12  # The point of a hand that is the tip of its middle finger.


@dataclass(frozen=True)
class Chains:
    """Both sides of F frames, left first, in heights of the canvas.

    Attributes
    ----------
    roots : (F, 2, 2) shoulders.
    angles : (F, 2, 22) radians, free of jumps in time. lengths : (F, 2, 22).
    """

    roots: np.ndarray
    angles: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.angles)

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.roots, self.angles, self.lengths

    def at(self, frames: np.ndarray) -> "Chains":
        """Chains at frames with fractions, held beyond the ends."""
        frames = np.clip(frames, 0, len(self) - 1)
        first = np.minimum(frames.astype(int), max(len(self) - 2, 0))
        second, share = np.minimum(first + 1, len(self) - 1), (frames - first)[:, None, None]
        return Chains(*(x[first] + (x[second] - x[first]) * share for x in self.parts()))

    def part(self, first: int, end: int) -> "Chains":
        """The frames from `first` up to `end`, which is not among them."""
        return Chains(*(x[first:end] for x in self.parts()))

    def side(self, side: int) -> "Chains":
        """One side alone, as (F, 1, ...)."""
        return Chains(*(x[:, side : side + 1] for x in self.parts()))

    def tips(self) -> np.ndarray:
        """Where wrists and tips of the middle fingers are (F, sides, 2, 2)."""
        return hands_of(self)[:, :, [0, MIDDLE_TIP]]

    def mirrored(self) -> "Chains":
        """As in a mirror: sides exchanged, x turned around the middle of the canvas."""
        roots = self.roots[:, ::-1] * (-1, 1) + (1, 0)
        return Chains(roots, np.unwrap(np.pi - self.angles[:, ::-1], axis=0), self.lengths[:, ::-1])


def chains_of(pose: HandPose) -> Chains:
    """The chains of a pose with body and both hands in every frame; ValueError for any other."""
    whole = pose.whole_canvas()
    if whole.bodies is None or not (whole.body_scores[:, [p for arm in ARMS for p in arm]] > 0).all():
        raise ValueError("it has no shoulders, elbows and wrists in every frame")
    if not (whole.hand_scores > 0).all():
        raise ValueError("it does not show both hands in every frame")
    square = np.array([whole.width, whole.height]) / whole.height
    bodies, hands = whole.bodies * square, whole.hands * square
    arms = np.stack([bodies[:, arm] for arm in ARMS], axis=1)
    # The hand hangs on its own wrist point, which the forearm then leads to.
    joints = np.concatenate([arms[:, :, :2], hands[:, :, :1]], axis=2)
    bones = np.concatenate([np.diff(joints, axis=2), hands[:, :, 1:] - hands[:, :, PARENTS]], axis=2)
    angles = np.unwrap(np.arctan2(bones[..., 1], bones[..., 0]), axis=0)
    return Chains(arms[:, :, 0], angles, np.linalg.norm(bones, axis=-1))


def posed(chains: Chains, base: HandPose) -> HandPose:
    """The pose `base` of as many frames, on a square canvas, with these arms and hands."""
    elbows, points = _elbows(chains), hands_of(chains)
    bodies = base.bodies.copy()
    for side, arm in enumerate(ARMS):
        bodies[:, arm] = np.stack([chains.roots[:, side], elbows[:, side], points[:, side, 0]], axis=1)
    return replace(base, hands=points, hand_scores=np.ones(points.shape[:3]), bodies=bodies)


def _bones(chains: Chains) -> np.ndarray:
    """Each bone as a vector (F, sides, 22, 2)."""
    return chains.lengths[..., None] * np.stack([np.cos(chains.angles), np.sin(chains.angles)], axis=-1)


def _elbows(chains: Chains) -> np.ndarray:
    return chains.roots + _bones(chains)[:, :, 0]


def hands_of(chains: Chains) -> np.ndarray:
    """The points (F, sides, 21, 2) of the hands, in heights of the canvas."""
    bones = _bones(chains)
    points = np.empty((*bones.shape[:2], 21, 2))
    points[:, :, 0] = chains.roots + bones[:, :, :2].sum(2)
    for bone, parent in enumerate(PARENTS):
        points[:, :, bone + 1] = points[:, :, parent] + bones[:, :, 2 + bone]
    return points


def blend(first: Chains, second: Chains, share: np.ndarray) -> Chains:
    """From one to the other, `share` (F,) of the way; each angle goes the shortest way from where the blend begins."""
    share = share[:, None, None]
    turn = second.angles - first.angles
    turn -= 2 * np.pi * np.round(turn[:1] / (2 * np.pi))
    lengths = np.exp(np.log(first.lengths + 1e-6) * (1 - share) + np.log(second.lengths + 1e-6) * share)
    roots = first.roots + (second.roots - first.roots) * share
    return Chains(roots, first.angles + turn * share, lengths)


def ease(count: int) -> np.ndarray:
    """(count,) from just above 0 to just below 1, at rest at both ends (minimum jerk)."""
    t = np.arange(1, count + 1) / (count + 1)
    return t**3 * (10 - 15 * t + 6 * t**2)
