"""A pose moved onto another body bone by bone: upper arm, forearm and hand keep their directions, not their lengths.

A bone of the pose that has its direction from the driving person and its length from the person in the picture is, seen
from straight ahead, the driving bone times the ratio of both lengths, however far it points at the viewer. So only two
lengths per bone are needed, and a bone is as long as it looks where it lies across the view. Of a bone that never does,
no picture tells the length: a long one that points at the viewer looks like a short one. Common proportions stand in
for it, and `looks_short` says so.
"""

from dataclasses import dataclass, replace

import numpy as np

from .hand_pose import HandPose, hand_root
from .measure import ARMS, NECK, NOSE, SCORE_SEEN, SHOULDERS, measure
from .track import Track, present

MODES = ("off", "five fingers", "four fingers")
NO_BODY = "retarget needs shoulders and arms in the pose and in the picture, so the pose was only moved and scaled"

SHORT_ARM = (
    "an arm in the picture looks short; if it points at the viewer, its length is a guess by common proportions: use a "
    "picture with straight arms across the view, or connect an image_pose with a second key frame that shows them so, "
    "for example from Pose Pad"
)

# Lengths of upper arm, forearm and hand (wrist to fingertip), in distances of the shoulder joints.
_COMMON = np.array([0.82, 0.69, 0.51])
# Other bodies (a child, a chibi) differ from them by no more than this; what looks shorter points at the viewer.
_BODIES = (0.6, 1.6)
# Driving poses are of people: a bone that looks shorter than common points at the viewer.
_PEOPLE = 1.0
# An arm that is straight in the picture lies across the view or, with both bones alike, at an angle to it: the ratio of
# its bones is as it looks. Of a bent one, the bone that looks shorter may point at the viewer: it is taken to be as long
# as the other, measured by the common lengths. From a bend of 45 degrees on an arm is bent, below 20 it is straight.
_BENT, _STRAIGHT = np.cos(np.deg2rad((45, 20)))
# A bone that looks shorter than so much of the common length, or of the other bone, may point at the viewer.
_LOOKS_SHORT = 0.8
_FRAME_PERCENTILE = 98
# From the neck to the top of the face, in distances of the shoulders: usual is 0.8; above this the head is large. Then
# the frame is as high as for a person with these shoulders, and begins above the head.
_LARGE_HEAD = 1.2
_FRAME_HEIGHT, _FRAME_BELOW_NECK = 2.5, 1.31
_EYES = [14, 15]
_HEAD = [0, 14, 15, 16, 17]
_RING, _LITTLE = slice(13, 17), slice(17, 21)


@dataclass(frozen=True)
class _Bones:
    """Lengths in pixels of a person: between the shoulders; (3,) upper arm, forearm, hand; between the eyes or None.

    straight : cosine of the bend of the straightest arm.
    """

    shoulders: float
    arm: np.ndarray
    eyes: float | None
    straight: float


def can_retarget(person: HandPose, pose: HandPose) -> bool:
    """Whether both show the shoulders and at least one arm, the person in the first frame."""
    return len(person) > 0 and _seen_bones(in_picture(person)) is not None and _seen_bones(pose) is not None


def retarget(person: HandPose, pose: HandPose, mode: str) -> HandPose:
    """The pose on the body of the person, both on one canvas.

    Parameters
    ----------
    person : as found in the picture. Its first frame says where everything is; further frames only show how long its
        bones are. pose : the driving clip.
    mode : "five fingers", or "four fingers", which merges ring and little finger.

    Raises
    ------
    ValueError : what `can_retarget` refuses.
    """
    if not can_retarget(person, pose):
        raise ValueError(NO_BODY)
    them, ours = _bones(person, _BODIES[0]), _bones(pose, _PEOPLE)
    person = in_picture(person)
    size = np.array([pose.width, pose.height], float)
    scale = them.shoulders / ours.shoulders
    ratios = them.arm / ours.arm
    bodies, hands = pose.bodies * size, pose.hands * size
    there = present(pose.bodies, pose.body_scores)
    shown = present(pose.hands, pose.hand_scores)
    roots = hand_root(pose) * size
    made, made_hands = bodies.copy(), hands.copy()
    made[:, NECK] = _placed(person, pose, bodies, NECK, scale)
    for side, (shoulder, elbow, wrist) in enumerate(ARMS):
        made[:, shoulder] = _placed(person, pose, bodies, shoulder, scale)
        made[:, elbow] = made[:, shoulder] + ratios[0] * (bodies[:, elbow] - bodies[:, shoulder])
        made[:, wrist] = made[:, elbow] + ratios[1] * (bodies[:, wrist] - bodies[:, elbow])
        # A hand whose arm is not seen in a frame keeps its place relative to the shoulders.
        rooted = there[:, [shoulder, elbow, wrist]].all(axis=1)
        at = made[:, wrist] + ratios[2] * (roots[:, side] - bodies[:, wrist])
        free = _placed_points(person, pose, roots[:, side], scale)
        at = np.where(rooted[:, None], at, free)
        made_hands[:, side] = at[:, None] + ratios[2] * (hands[:, side] - roots[:, side, None])
    others = [point for point in range(made.shape[1]) if point not in {NECK, *ARMS.ravel().tolist()}]
    for point in others:
        made[:, point] = _placed_points(person, pose, bodies[:, point], scale)
    head = them.eyes / ours.eyes if them.eyes and ours.eyes else scale
    nose = _placed(person, pose, bodies, NOSE, scale)
    made[:, _HEAD] = nose[:, None] + head * (bodies[:, _HEAD] - bodies[:, NOSE, None])
    tracks = {
        "bodies": Track(np.where(there[..., None], made / size, pose.bodies), pose.body_scores),
        "hands": Track(np.where(shown[..., None], made_hands / size, pose.hands), pose.hand_scores),
    }
    if pose.faces is not None:
        seen = present(pose.faces, pose.face_scores)
        faces = nose[:, None] + head * (pose.faces * size - bodies[:, NOSE, None])
        tracks["faces"] = Track(np.where(seen[..., None], faces / size, pose.faces), pose.face_scores)
    made_pose = pose.with_tracks(tracks)
    return merged_fingers(made_pose) if mode == "four fingers" else made_pose


def in_picture(person: HandPose) -> HandPose:
    """The person as the picture shows it: the first frame."""
    return person.take(np.zeros(1, int))


def looks_short(person: HandPose) -> bool:
    """Whether an arm of the person looks so short, by itself or beside its other bone, that it may point at the viewer."""
    found = _seen_bones(person)
    if found is None:
        return False
    shares = found.arm[:2] / (_COMMON[:2] * found.shoulders)
    return bool(shares.min() < _LOOKS_SHORT * max(shares.max(), 1.0))


def large_head_rows(person: HandPose, top: float, bottom: float) -> tuple[float, float]:
    """Rows (top, bottom), 0..1 of the picture, by the shoulders where the head is large, else as they are."""
    found, neck = _seen_bones(person), _mean_point(person, NECK)
    if found is None or neck is None:
        return top, bottom
    if neck[1] - top * person.height < _LARGE_HEAD * found.shoulders:
        return top, bottom
    below = (neck[1] + _FRAME_BELOW_NECK * found.shoulders) / person.height
    above = (neck[1] - (_FRAME_HEIGHT - _FRAME_BELOW_NECK) * found.shoulders) / person.height
    return max(min(top, above), 0.0), min(max(bottom, below), 1.0)


def merged_fingers(pose: HandPose) -> HandPose:
    """The pose with ring and little finger as one, between both: hands of cartoons have four fingers."""
    hands, scores = pose.hands.copy(), pose.hand_scores.copy()
    both = (scores[:, :, _RING] > 0) & (scores[:, :, _LITTLE] > 0)
    middle = (hands[:, :, _RING] + hands[:, :, _LITTLE]) / 2
    for finger in (_RING, _LITTLE):
        hands[:, :, finger] = np.where(both[..., None], middle, hands[:, :, finger])
    return replace(pose, hands=hands)


def _placed(person: HandPose, pose: HandPose, bodies: np.ndarray, point: int, scale: float) -> np.ndarray:
    """A steady body point (F, 2) in pixels: where the person has it, and moving as in the pose."""
    theirs, ours = _mean_point(person, point), _mean_point(pose, point)
    if theirs is None or ours is None:
        return _placed_points(person, pose, bodies[:, point], scale)
    return theirs + scale * (bodies[:, point] - ours)


def _placed_points(person: HandPose, pose: HandPose, points: np.ndarray, scale: float) -> np.ndarray:
    """Points (F, 2) in pixels moved as the middle of the shoulders is."""
    theirs, ours = (np.mean([_mean_point(one, point) for point in SHOULDERS], axis=0) for one in (person, pose))
    return theirs + scale * (points - ours)


def _mean_point(pose: HandPose, point: int) -> np.ndarray | None:
    seen = present(pose.bodies, pose.body_scores)[:, point] & (pose.body_scores[:, point] >= SCORE_SEEN)
    return pose.bodies[seen, point].mean(axis=0) * (pose.width, pose.height) if seen.any() else None


def _bones(pose: HandPose, least: float) -> _Bones:
    """Lengths of the bones of somebody whose shoulders and arm are seen, each at least a part of the common length."""
    found = _seen_bones(pose)
    common = _COMMON * found.shoulders
    share = np.where(np.isnan(found.arm), 1.0, found.arm / common)
    alike = np.interp(found.straight, (_BENT, _STRAIGHT), (1.0, 0.0))
    share[:2] = np.maximum(share[:2], alike * share[:2].max())
    return replace(found, arm=common * np.clip(share, least, _BODIES[1]))


def _seen_bones(pose: HandPose) -> _Bones | None:
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
    return _Bones(shoulders, np.array([*arm, hand]), _longest(points, seen, [_EYES]), _straightest(points, seen))


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
    return float(np.percentile(known, _FRAME_PERCENTILE)) if len(known) and known.max() > 0 else None
