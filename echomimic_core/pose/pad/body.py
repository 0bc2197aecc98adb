"""Corrections of neck, shoulders, elbows and head over a given clip: what hangs on them goes along."""

import numpy as np

from ...config import HEAD_POINTS
from ..hand_pose import HandPose
from ..measure import ARMS, EYES, NECK
from ..track import Track
from .points import FORWARD, bone_between, rotated
from .value import PadBody


def moved_bone(bone: np.ndarray, by: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A bone (F, 2) whose end is moved by (2,) pixels, to a share (F,): it turns in depth, and so keeps its length."""
    end = bone + by
    longest = np.maximum(np.linalg.norm(bone, axis=-1), np.linalg.norm(end, axis=-1))
    return bone_between(bone, end, longest, share, FORWARD)


def body_mended(ground: HandPose, size: np.ndarray, changes: list[PadBody], weight: np.ndarray) -> HandPose:
    """The clip with all but the corrections of elbows; `weight` (F, n) is how much of each counts."""
    bodies, hands = ground.bodies * size, ground.hands * size
    faces = np.zeros((len(ground), 0, 2)) if ground.faces is None else ground.faces * size
    seen = ground.tracks["bodies"].present()
    for share, change in zip(weight.T, changes, strict=True):
        for points in (bodies, faces, hands):
            points += share.reshape(-1, *[1] * (points.ndim - 1)) * change.neck
        for side, arm in enumerate(ARMS):
            bone = bodies[:, arm[0]] - bodies[:, NECK]
            shift = (moved_bone(bone, change.shoulders[side], share) - bone)[:, None]
            shift = np.where(seen[:, [NECK, arm[0]]].all(axis=1)[:, None, None], shift, 0.0)
            bodies[:, arm] += shift
            hands[:, side] += shift
        _move_head(bodies, faces, seen, change.head, share)
    points = {"bodies": bodies, "hands": hands, "faces": faces}
    touched = (weight > 0).any(axis=1)
    return ground.with_tracks(
        {name: _where(track, touched, points[name] / size) for name, track in ground.tracks.items()}
    )


def elbows_mended(pose: HandPose, size: np.ndarray, changes: list[PadBody], weight: np.ndarray) -> HandPose:
    """The clip with the corrections of elbows; wrists stay where they are."""
    bodies = pose.bodies * size
    for share, change in zip(weight.T, changes, strict=True):
        for side, (shoulder, elbow, _) in enumerate(ARMS):
            root = bodies[:, shoulder]
            bodies[:, elbow] = root + moved_bone(bodies[:, elbow] - root, change.elbows[side], share)
    track = pose.tracks["bodies"]
    with_arm = track.present()
    for shoulder, elbow, _ in ARMS:
        with_arm[:, elbow] &= with_arm[:, shoulder]
    mended = np.where(with_arm[..., None], bodies / size, track.points)
    return pose.with_tracks({"bodies": _where(track, (weight > 0).any(axis=1), mended)})


def _move_head(bodies: np.ndarray, faces: np.ndarray, seen: np.ndarray, change: np.ndarray, share: np.ndarray) -> None:
    """Moves the head in place, where neck and eyes are seen."""
    there = seen[:, [NECK, *EYES]].all(axis=1)[:, None, None]
    eyes, neck = bodies[:, EYES].mean(axis=1), bodies[:, NECK]
    at = neck + moved_bone(eyes - neck, change[:2], share)
    scale = np.exp(share * np.log(change[2]))[:, None, None]
    tilt = (share * np.deg2rad(change[3]))[:, None]

    def placed(points: np.ndarray) -> np.ndarray:
        moved = at[:, None] + scale * rotated(points - eyes[:, None], tilt)
        return np.where(there, moved, points)

    bodies[:, HEAD_POINTS], faces[:] = placed(bodies[:, HEAD_POINTS]), placed(faces)


def _where(track: Track, frames: np.ndarray, points: np.ndarray) -> Track:
    """The track with other points in some frames, where it has some."""
    there = track.present() & frames.reshape(-1, *[1] * (track.scores.ndim - 1))
    return Track(np.where(there[..., None], points, track.points), track.scores)
