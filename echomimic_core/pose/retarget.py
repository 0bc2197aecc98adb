"""A pose moved onto another body bone by bone: upper arm, forearm and hand keep their directions, not their lengths.

A bone of the driving pose has the ratio of both persons' bones to become theirs, however far it points at the viewer.
What is nearer also looks larger. So each forearm is lifted out of the picture as far as its length tells, stretched
there, and seen again from where the viewer stands.
"""

from dataclasses import replace

import numpy as np

from ..config import HEAD_POINTS
from .hand_pose import HandPose, hand_root
from .measure import ARMS, NECK, NOSE, SCORE_SEEN, SHOULDERS
from .proportions import Bones, bones_of, seen_bones
from .track import Track, present

NO_BODY = "retarget needs shoulders and arms in the pose and in the picture, so the pose was fitted as without retarget"

SHORT_ARM = (
    "an arm in the picture looks short; if it points at the viewer, its length is a guess by common proportions: use a "
    "picture with straight arms across the view (not pointing at the viewer), or connect an image_pose with a second "
    "key frame that shows them so, for example from Pose Pad"
)

# How far away the viewer stands, in distances of the shoulder joints: some 4 metres, as in the library's gestures.
_VIEWER = 10.0
# From the neck to the top of the face, in distances of the shoulders: usual is 0.8; above this the head is large. Then
# the frame is as high as for a person with these shoulders, and begins above the head.
_LARGE_HEAD = 1.2
_FRAME_HEIGHT, _FRAME_BELOW_NECK = 2.5, 1.31
# A pose whose shoulders lie where the person's do, to so much of their distance, and whose bones look as long, to so
# much of their length, is on this body already. A forearm or upper arm may look shorter; what is nearer looks longer.
_SAME_PLACE, _SAME_LENGTH, _NEARER = 0.005, 0.08, 1.15
_RING, _LITTLE = slice(13, 17), slice(17, 21)


def can_retarget(person: HandPose, pose: HandPose) -> bool:
    """Whether both show the shoulders and at least one arm, the person in the first frame."""
    return len(person) > 0 and seen_bones(in_picture(person)) is not None and seen_bones(pose) is not None


def is_on_body(person: HandPose, pose: HandPose) -> bool:
    """Whether a pose already lies on the body of the person, both on one canvas and with shoulders and arms.

    Its own picture, or an alignment before, then tells the bones that the pose itself never shows across the view.
    """
    them = bones_of(person)
    offsets = [_mean_point(pose, point) - _mean_point(in_picture(person), point) for point in SHOULDERS]
    shares = np.nan_to_num(seen_bones(pose).arm / them.arm, nan=1.0)
    same = np.abs(shares - 1) < _SAME_LENGTH
    there = np.linalg.norm(offsets, axis=-1).max() < _SAME_PLACE * them.shoulders
    return bool(there and same[2] and same[:2].any() and shares.max() < _NEARER)


def retarget(person: HandPose, pose: HandPose, on_body: bool | None = None) -> HandPose:
    """The pose on the body of the person, both on one canvas.

    Parameters
    ----------
    person : as found in the picture. Its first frame says where everything is; further frames only show how long its
        bones are. pose : the driving clip.
    on_body : whether the pose has the person's bones, so that none is stretched; None asks `is_on_body`.

    Raises
    ------
    ValueError : for what `can_retarget` refuses, and for two canvases.
    """
    if not can_retarget(person, pose):
        raise ValueError(NO_BODY)
    if (person.width, person.height) != (pose.width, pose.height):
        raise ValueError(
            f"the person is on a canvas of {person.width}x{person.height}, but the pose on one of "
            f"{pose.width}x{pose.height}: bring both to one size"
        )
    if on_body is None:
        on_body = is_on_body(person, pose)
    them, ours = bones_of(person), bones_of(pose)
    scale = them.shoulders / ours.shoulders
    if on_body:
        # The pose may lie elsewhere by now, and be larger or smaller as a whole.
        ours = replace(ours, arm=them.arm / scale)
    person = in_picture(person)
    size = np.array([pose.width, pose.height], float)
    ratios = them.arm / ours.arm
    bodies, hands = pose.bodies * size, pose.hands * size
    there = present(pose.bodies, pose.body_scores)
    shown = present(pose.hands, pose.hand_scores)
    roots = hand_root(pose) * size
    made, made_hands = bodies.copy(), hands.copy()
    made[:, NECK] = _placed(person, pose, bodies, NECK, scale)
    for side, arm in enumerate(ARMS):
        shoulder, elbow, wrist = arm
        made[:, shoulder] = _placed(person, pose, bodies, shoulder, scale)
        made[:, elbow] = made[:, shoulder] + ratios[0] * (bodies[:, elbow] - bodies[:, shoulder])
        made[:, wrist], nearer = _wrist(bodies[:, arm], made[:, elbow], size / 2, them, ours)
        larger = ratios[2] * nearer
        at = made[:, wrist] + larger * (roots[:, side] - bodies[:, wrist])
        # Where a joint of the arm is not seen, all lies as far from where the shoulders alone would put it as in the
        # frames around.
        rooted = there[:, arm].all(axis=1)
        for point in (elbow, wrist):
            made[:, point] = _bridged(made[:, point], rooted, _placed_points(person, pose, bodies[:, point], scale))
        at = _bridged(at, rooted, _placed_points(person, pose, roots[:, side], scale))
        larger = _bridged(larger, rooted, np.broadcast_to(ratios[2], larger.shape))
        made_hands[:, side] = at[:, None] + larger[:, None] * (hands[:, side] - roots[:, side, None])
    others = [point for point in range(made.shape[1]) if point not in {NECK, *ARMS.ravel().tolist()}]
    for point in others:
        made[:, point] = _placed_points(person, pose, bodies[:, point], scale)
    head = them.eyes / ours.eyes if them.eyes and ours.eyes else scale
    nose = _placed(person, pose, bodies, NOSE, scale)
    made[:, HEAD_POINTS] = nose[:, None] + head * (bodies[:, HEAD_POINTS] - bodies[:, NOSE, None])
    tracks = {
        "bodies": Track(np.where(there[..., None], made / size, pose.bodies), pose.body_scores),
        "hands": Track(np.where(shown[..., None], made_hands / size, pose.hands), pose.hand_scores),
    }
    if pose.faces is not None:
        seen = present(pose.faces, pose.face_scores)
        faces = nose[:, None] + head * (pose.faces * size - bodies[:, NOSE, None])
        tracks["faces"] = Track(np.where(seen[..., None], faces / size, pose.faces), pose.face_scores)
    return pose.with_tracks(tracks)


def in_picture(person: HandPose) -> HandPose:
    """The person as the picture shows it: the first frame."""
    return person.take(np.zeros(1, int))


def large_head_rows(person: HandPose, top: float, bottom: float) -> tuple[float, float]:
    """Rows (top, bottom), 0..1 of the picture, by the shoulders where the head is large, else as they are."""
    found, neck = seen_bones(person), _mean_point(person, NECK)
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


def _wrist(arm: np.ndarray, elbow: np.ndarray, middle: np.ndarray, them: Bones, ours: Bones):
    """The wrist (F, 2) of the stretched arm, and how much larger (F, 1) a hand there looks for being nearer.

    arm : (F, 3, 2) shoulder, elbow and wrist of the driving pose. elbow : (F, 2), already stretched; elbows are about
    as far away as the shoulders. middle : (2,) of the picture, at which the viewer looks. All in pixels.
    """
    far, our_far = _VIEWER * them.shoulders, _VIEWER * ours.shoulders
    ratio = them.arm[1] / ours.arm[1]
    root, tip = arm[:, 1] - middle, arm[:, 2] - middle
    # As seen, the wrist is at tip; at depth z it is really at tip * (1 - z / far), one forearm from the elbow.
    square = (tip**2).sum(axis=-1) / our_far**2 + 1
    half = (tip * (tip - root)).sum(axis=-1) / our_far
    rest = ((tip - root) ** 2).sum(axis=-1) - ours.arm[1] ** 2
    depth = np.maximum((half + np.sqrt(np.maximum(half**2 - square * rest, 0))) / square, 0)[:, None]
    shrunk = 1 - depth / our_far
    grown = 1 / (1 - ratio * depth / far)
    wrist = grown * (elbow - middle + ratio * (tip * shrunk - root))
    return middle + wrist, grown * shrunk


def _bridged(values: np.ndarray, known: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Values (F, N), where they are not known (F,) as far from the plain ones as in the frames around."""
    if not known.any():
        return plain
    frames = np.arange(len(values))
    away = [np.interp(frames, frames[known], one[known]) for one in (values - plain).T]
    return np.where(known[:, None], values, plain + np.stack(away, axis=-1))


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
