"""Corrections over a given clip, first of the body, then of its hands: each eases in and out, bone by bone."""

from dataclasses import replace

import numpy as np

from ..draw import HAND_BONES
from ..hand_pose import BODY_WRISTS, HandPose, hand_root
from ..measure import ARMS
from ..track import present
from .body import body_mended, elbows_mended
from .points import bone_between, eased, hand_in_picture, rotated, stacked
from .value import Pad, PadChange, check_clip

_MIDDLE_KNUCKLE = 9
# Fingers fold towards the viewer: see `bone_between`.
_FORWARD = 0.25
# An absent hand is gone where its correction counts so much, as near as numbers are exact.
_HALF = 0.5 - 1e-9
# Of an arm, the least by which its wrist is taken to be nearer to the viewer than its shoulder.
_BEFORE = 0.15


def mended(ground: HandPose, pad: Pad) -> HandPose:
    """The clip with the pad's corrections; frames and parts that none of them reaches stay as they are.

    Raises
    ------
    ValueError : the clip's canvas has another shape than what the corrections were made on, or one lies after its end.
    """
    if pad.fixes:
        check_clip(pad, ground.width, ground.height)
    ground = ground.whole_canvas()
    at, end = np.arange(len(ground)) / ground.fps, (len(ground) - 1) / ground.fps
    late = [fix.time for fix in pad.fixes if fix.time > end + 0.5 / ground.fps]
    if late:
        raise ValueError(
            f"there is a correction at {late[0]:.2f} s, but the pose ends at {end:.2f} s: remove it, or connect a "
            "longer pose"
        )
    size = np.array([pad.width, pad.height], float)
    bodies = [fix for fix in pad.fixes if fix.body] if ground.bodies is not None else []
    changes, weight = [fix.body for fix in bodies], weights(np.array([fix.time for fix in bodies]), at, pad.ease)
    if bodies:
        ground = body_mended(ground, size, changes, weight)
    gone = np.tile(pad.hidden, (len(ground), 1))
    for side in range(len(pad.hidden)):
        fixes = [(fix.time, fix.changes[side]) for fix in pad.fixes if fix.changes[side]]
        if fixes:
            times, hands = np.array([time for time, _ in fixes]), [change for _, change in fixes]
            ground = _side_mended(ground, size, side, hands, weights(times, at, pad.ease))
            gone[:, side] |= _gone(times, hands, at, pad.ease)
    if bodies:
        ground = elbows_mended(ground, size, changes, weight)
    return _without_hands(ground, gone) if gone.any() else ground


def weights(times: np.ndarray, at: np.ndarray, ease: float) -> np.ndarray:
    """How much of each correction (n) counts at times (F,): (F, n), 1 at its own time, 0 at that of its neighbours."""
    gaps = np.diff(times)
    left = np.minimum(np.concatenate([[ease], gaps]), ease)
    right = np.minimum(np.concatenate([gaps, [ease]]), ease)
    away = at[:, None] - times
    return eased(np.clip(1 - np.abs(away) / np.where(away < 0, left, right), 0, 1))


def _gone(times: np.ndarray, changes: list[PadChange], at: np.ndarray, ease: float) -> np.ndarray:
    """In which frames (F,) a hand is left out: around a correction that says so, and from one such to the next."""
    absent = np.array([change.absent for change in changes])
    gone = (weights(times, at, ease)[:, absent] >= _HALF).any(axis=1)
    for index in np.flatnonzero(absent[:-1] & absent[1:]):
        gone |= (times[index] <= at) & (at <= times[index + 1])
    return gone


def _side_mended(ground: HandPose, size, side: int, changes: list[PadChange], weight: np.ndarray) -> HandPose:
    seen = present(ground.hands[:, side], ground.hand_scores[:, side])
    root = hand_root(ground)[:, side] * size
    points = np.where(seen[..., None], ground.hands[:, side] * size, root[:, None])

    new_root = root + weight @ np.stack([change.move for change in changes])
    turn = np.deg2rad(weight @ np.array([change.turn for change in changes]))[:, None]
    scale = np.exp(weight @ np.log([change.scale for change in changes]))
    points = new_root[:, None] + scale[:, None, None] * rotated(points - root[:, None], turn)
    scores = ground.hand_scores[:, side] * seen
    for index, change in enumerate(changes):
        if change.hand is None:
            continue
        share = weight[:, index]
        redrawn = hand_in_picture(stacked([change.hand]), side)[0]
        absent = ~seen & (share[:, None] > 0)
        whole = seen.all(axis=-1)
        mixed = _bones_between(points, np.broadcast_to(redrawn, points.shape), share)
        points = np.where((whole | (share == 0))[:, None, None], mixed, redrawn)
        scores = np.where(absent, np.maximum(scores, share[:, None]), scores + (1 - scores) * share[:, None])
        seen = seen | absent
        new_root = np.where(whole[:, None] | (share == 0)[:, None], points[:, 0], redrawn[0])
    touched = (weight > 0).any(axis=-1)
    hands, hand_scores = ground.hands.copy(), ground.hand_scores.copy()
    hands[touched, side] = np.where(seen[..., None], points / size, 0.0)[touched]
    hand_scores[touched, side] = scores[touched]
    mended_hand = replace(ground, hands=hands, hand_scores=hand_scores)
    return _with_arm(mended_hand, size, side, new_root - root, touched & (seen.any(axis=-1)))


def _bones_between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Hands (F, 21, 2) a share (F,) of the way between two: the hand turns the shorter way, its bones with it."""
    way = [hand[:, _MIDDLE_KNUCKLE] - hand[:, 0] for hand in (first, second)]
    angles = [np.arctan2(bone[:, 1], bone[:, 0]) for bone in way]
    turn = (angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi
    points = np.empty_like(first)
    points[:, 0] = first[:, 0] + (second[:, 0] - first[:, 0]) * share[:, None]
    for parent, child in HAND_BONES:
        bones = (
            rotated(first[:, child] - first[:, parent], share * turn),
            rotated(second[:, child] - second[:, parent], (share - 1) * turn),
        )
        longest = np.maximum(*(np.linalg.norm(bone, axis=-1) for bone in bones))
        points[:, child] = points[:, parent] + bone_between(*bones, longest, share, _FORWARD)
    return points


def _with_arm(pose: HandPose, size, side: int, shift: np.ndarray, frames: np.ndarray) -> HandPose:
    """The wrist of the body moved with the hand, and the elbow as the bones of the arm allow."""
    if pose.bodies is None:
        return pose
    arm = list(ARMS[side])
    frames = frames & (pose.body_scores[:, arm] > 0).all(axis=-1)
    bodies = pose.bodies.copy()
    shoulder, elbow, wrist = np.moveaxis(bodies[frames][:, arm] * size, 1, 0)
    moved = wrist + shift[frames]
    bodies[frames, arm[1]] = bent_elbow(shoulder, elbow, wrist, moved) / size
    bodies[frames, arm[2]] = moved / size
    return replace(pose, bodies=bodies)


def bent_elbow(shoulder: np.ndarray, elbow: np.ndarray, wrist: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Elbows (n, 2) of arms whose wrist has moved in the picture, from (n, 2) to (n, 2).

    The arm is taken to be bent in depth: the wrist as far before the shoulder as makes the forearm no shorter than the
    upper arm, and a little more. Its bones keep their length in depth, and its plane turns with the wrist by the
    shortest way, so that the elbow never jumps, however the arm looks. An arm that cannot reach is stretched, one that
    cannot fold that far is shortened.
    """
    upper, fore = np.linalg.norm(elbow - shoulder, axis=-1), np.linalg.norm(wrist - elbow, axis=-1)
    depth = np.sqrt(np.maximum(upper**2 - fore**2, 0) + (_BEFORE * (upper + fore)) ** 2)
    depth = np.maximum(depth, 1e-6)
    fore = np.hypot(fore, depth)
    bone = np.concatenate([elbow - shoulder, np.zeros_like(depth)[:, None]], axis=-1)
    old, new = (np.concatenate([end - shoulder, depth[:, None]], axis=-1) for end in (wrist, moved))
    distance = np.linalg.norm(new, axis=-1)
    old, new = (way / np.linalg.norm(way, axis=-1, keepdims=True) for way in (old, new))

    fit = np.maximum(distance / (upper + fore), 1) * np.minimum(distance / np.maximum(fore - upper, 1e-9), 1)
    upper, fore = fit * upper, fit * fore
    along = np.clip((upper**2 - fore**2 + distance**2) / (2 * distance), -upper, upper)
    across = np.sqrt(np.maximum(upper**2 - along**2, 0))
    aside = bone - (bone * old).sum(axis=-1, keepdims=True) * old
    aside = aside / np.maximum(np.linalg.norm(aside, axis=-1, keepdims=True), 1e-9)
    # Both ways have depth, so they are never opposite.
    share = (aside * new).sum(axis=-1) / (1 + (old * new).sum(axis=-1))
    aside = aside - share[:, None] * (old + new)
    return shoulder + (along[:, None] * new + across[:, None] * aside)[:, :2]


def _without_hands(pose: HandPose, gone: np.ndarray) -> HandPose:
    """The pose without the hands, and the wrists of the body, that are gone: (F, 2)."""
    hand_scores = np.where(gone[..., None], 0.0, pose.hand_scores)
    body_scores = None if pose.bodies is None else pose.body_scores.copy()
    if body_scores is not None:
        body_scores[:, BODY_WRISTS] = np.where(gone, 0.0, body_scores[:, BODY_WRISTS])
    hidden = replace(pose, hand_scores=hand_scores, body_scores=body_scores)
    return hidden.map_points(lambda points: points)
