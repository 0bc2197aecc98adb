"""POSE_KEYPOINT, the OpenPose-like format in which other packs pass poses on, in and out.

A clip is a list with one dictionary a frame: `canvas_width`, `canvas_height` and `people`, each with flat lists
`pose_keypoints_2d`, `hand_left_keypoints_2d`, `hand_right_keypoints_2d`, `face_keypoints_2d` of x, y, confidence.
"""

import numpy as np

from ..config import BODY_POINTS, FACE_POINTS, FPS, HAND_POINTS, HANDS
from .hand_pose import BODY_WRISTS, MAX_FRAMES, MAX_SIDE, MIN_SIDE, HandPose, check_points
from .measure import EYES
from .track import Track, non_empty

# Coordinates up to this are parts of the canvas and not pixels (points may lie a little outside).
_LARGEST_FRACTION = 2.0
_HAND_KEYS = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
# OpenPose-18 out of BODY_25 and out of COCO-17 (whose neck is made from the shoulders and appended).
_FROM_BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
_FROM_COCO_17 = [0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]


def from_keypoints(frames: list[dict], fps: float = FPS) -> HandPose:
    """The pose in a POSE_KEYPOINT clip. Of several people the largest in the first frame is followed.

    Points without confidence, or at (0, 0), are absent. Hands are given to the side whose wrist they hang on.

    Raises
    ------
    ValueError : the clip is empty or not in this format.
    """
    if isinstance(frames, dict):
        frames = [frames]
    if not isinstance(frames, list | tuple) or not frames:
        raise ValueError("the POSE_KEYPOINT input is empty: it should be a list with one entry per frame")
    if len(frames) > MAX_FRAMES:
        raise ValueError(f"the POSE_KEYPOINT input has {len(frames):,} frames, and {MAX_FRAMES:,} are the most")
    bodies = np.zeros((len(frames), BODY_POINTS, 3))
    hands = np.zeros((len(frames), HANDS, HAND_POINTS, 3))
    faces = np.zeros((len(frames), FACE_POINTS, 3))
    canvas = np.zeros((len(frames), 2))
    last = None
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("people") or [], list | tuple):
            raise ValueError(f"frame {index} of the POSE_KEYPOINT input has no list of 'people'")
        canvas[index] = _canvas(frame, index, canvas[index - 1] if index else None)
        people = [_person(person, index) for person in frame.get("people") or [] if person]
        people = [person for person in people if any((part[..., 2] > 0).any() for part in person)]
        if not people:
            continue
        chosen = max(people, key=_extent) if last is None else min(people, key=lambda p: _distance(p, last))
        bodies[index], hands[index], faces[index] = last = chosen

    everything = np.concatenate([bodies.reshape(len(frames), -1, 3), hands.reshape(len(frames), -1, 3), faces], axis=1)
    seen = everything[everything[..., 2] > 0]
    if len(seen) and np.abs(seen[:, :2]).max() > _LARGEST_FRACTION:
        for part in (bodies, hands, faces):
            part[..., :2] /= canvas.reshape(-1, *[1] * (part.ndim - 2), 2)
    for part in (bodies, hands, faces):
        check_points(part[..., :2], part[..., 2], "the POSE_KEYPOINT input")
    hands = _on_their_wrists(hands, bodies)
    width, height = (int(value) for value in canvas[0])
    return HandPose(
        hands=hands[..., :2], hand_scores=hands[..., 2], width=width, height=height, fps=float(fps)
    ).with_tracks(non_empty({name: Track(v[..., :2], v[..., 2]) for name, v in (("bodies", bodies), ("faces", faces))}))


def to_keypoints(pose: HandPose, keep_scores: bool = False, min_score: float = 0.3) -> list[dict]:
    """The pose as POSE_KEYPOINT, in pixels of the canvas.

    Every person has 18 body, 21 + 21 hand and 70 face points (68 and the eyes), as core's SDPose nodes demand; absent
    points are 0, 0, 0. A frame without any point has no people.

    keep_scores : pass the true confidences on. Many readers drop every point below 1, so by default each point with at
        least `min_score` gets 1, and the others are absent.
    """
    pose = pose.whole_canvas()
    frames = len(pose)

    def part(points: np.ndarray | None, scores: np.ndarray | None, count: int) -> np.ndarray:
        if points is None:
            return np.zeros((frames, count, 3))
        shown = scores > 0 if keep_scores else (scores >= min_score) & (scores > 0)
        confidence = scores if keep_scores else np.ones_like(scores)
        values = np.concatenate([points * (pose.width, pose.height), confidence[..., None]], axis=-1)
        return np.where(shown[..., None], values, 0.0)

    bodies = part(pose.bodies, pose.body_scores, BODY_POINTS)
    faces = part(pose.faces, pose.face_scores, FACE_POINTS)
    hands = [part(pose.hands[:, side], pose.hand_scores[:, side], HAND_POINTS) for side in range(HANDS)]
    has_face = (faces[..., 2] > 0).any(axis=1)[:, None, None]
    faces = np.concatenate([faces, np.where(has_face, bodies[:, EYES], 0.0)], axis=1)
    parts = {"pose_keypoints_2d": bodies, **dict(zip(_HAND_KEYS, hands, strict=True)), "face_keypoints_2d": faces}
    somebody = np.concatenate(list(parts.values()), axis=1)[..., 2].any(axis=1)

    def person(frame: int) -> dict:
        return {key: values[frame].reshape(-1).tolist() for key, values in parts.items()}

    canvas = {"canvas_width": pose.width, "canvas_height": pose.height}
    return [{**canvas, "people": [person(frame)] if somebody[frame] else []} for frame in range(frames)]


def _canvas(frame: dict, index: int, before: np.ndarray | None) -> tuple[float, float]:
    try:
        width, height = float(frame["canvas_width"]), float(frame["canvas_height"])
    except (KeyError, TypeError, ValueError, OverflowError):
        if before is None:
            raise ValueError(f"frame {index} of the POSE_KEYPOINT input lacks canvas_width or canvas_height") from None
        return tuple(before)
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
        raise ValueError(
            f"frame {index} of the POSE_KEYPOINT input has a canvas of {width:g} x {height:g}, but sides should have "
            f"{MIN_SIDE} to {MAX_SIDE} pixels"
        )
    return width, height


def _person(person: dict, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    body = _points(person, "pose_keypoints_2d", index)
    if len(body) == 25:
        body = body[_FROM_BODY_25]
    elif len(body) == 17:
        shoulders = body[[5, 6]]
        neck = shoulders.mean(axis=0) if (shoulders[:, 2] > 0).all() else np.zeros(3)
        body = np.vstack([body, neck])[_FROM_COCO_17]
    hands = [_fitted(_points(person, key, index), HAND_POINTS) for key in _HAND_KEYS]
    face = _points(person, "face_keypoints_2d", index)
    return _fitted(body, BODY_POINTS), np.stack(hands), _fitted(face, FACE_POINTS)


def _points(person: dict, key: str, index: int) -> np.ndarray:
    values = person.get(key) if isinstance(person, dict) else None
    if values is None or (isinstance(values, list | tuple | np.ndarray) and len(values) == 0):
        return np.zeros((0, 3))
    try:
        points = np.asarray(values, dtype=np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{key!r} of frame {index} of the POSE_KEYPOINT input is not a list of x, y, confidence"
        ) from error
    absent = ~np.isfinite(points).all(axis=1) | (points[:, 2] <= 0) | (points[:, :2] == 0).all(axis=1)
    return np.where(absent[:, None], 0.0, points)


def _fitted(points: np.ndarray, count: int) -> np.ndarray:
    """Exactly `count` points: what comes after (toes, pupils) is left out, a shorter list counts as absent."""
    return points[:count] if len(points) >= count else np.zeros((count, 3))


def _seen(person: tuple[np.ndarray, ...]) -> np.ndarray:
    points = np.concatenate([part.reshape(-1, 3) for part in person])
    return points[points[:, 2] > 0, :2]


def _extent(person: tuple[np.ndarray, ...]) -> float:
    return float(np.prod(np.ptp(_seen(person), axis=0) + 1e-6))


def _distance(person: tuple[np.ndarray, ...], last: tuple[np.ndarray, ...]) -> float:
    return float(np.linalg.norm(_seen(person).mean(axis=0) - _seen(last).mean(axis=0)))


def _on_their_wrists(hands: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """Hands with left and right exchanged in frames where they clearly hang on each other's wrists.

    Detectors do not agree on whose left is meant; a single hand changes sides as well.
    """
    ends, wrists = hands[:, :, 0, :2], bodies[:, list(BODY_WRISTS), :2]
    there = hands[:, :, 0, 2] > 0
    known = there.any(axis=1) & (bodies[:, list(BODY_WRISTS), 2] > 0).all(axis=1)
    straight = (np.linalg.norm(ends - wrists, axis=-1) * there).sum(axis=1)
    crossed = (np.linalg.norm(ends - wrists[:, ::-1], axis=-1) * there).sum(axis=1)
    swap = known & (crossed < 0.5 * straight)
    return np.where(swap[:, None, None, None], hands[:, ::-1], hands)
