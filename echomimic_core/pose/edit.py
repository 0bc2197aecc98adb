"""Change a pose in time and place. Every edit returns a new pose, leaves the given one as it is, and changes nothing
at its neutral setting."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..choices import FIT_MODES, PIVOTS
from ..runtime import Progress
from . import clean
from .framing import fit_canvas
from .hand_pose import BODY_WRISTS, HandPose, hand_root
from .track import PAIRS, Track, present

SIDES = {"left": 0, "right": 1}

# Mirror images of the OpenPose-18 and the 68 face points.
_BODY_MIRROR = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
_FACE_MIRROR = (
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)
# Frames that are changed at once: long clips tell their progress, and a cancel is heard, after each so many.
BLOCK = 2_000


def in_blocks(pose: HandPose, change: Callable[[HandPose], HandPose], progress: Progress | None = None) -> HandPose:
    """`change` of a pose, some frames at a time; only for changes that look at each frame alone.

    progress : called with (frames done, all) after each block; what it raises ends the work.
    """
    if len(pose) <= BLOCK:
        return change(pose)
    parts = []
    for start in range(0, len(pose), BLOCK):
        end = min(start + BLOCK, len(pose))
        parts.append(change(pose.take(np.arange(start, end))))
        if progress:
            progress(end, len(pose))

    def joined(key: str):
        values = [getattr(part, key) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    return replace(parts[0], **{key: joined(key) for pair in PAIRS for key in pair})


def fit_length(pose: HandPose, frames: int, mode: str) -> HandPose:
    """The pose with exactly `frames` frames: cut if longer, else continued.

    mode : "loop" starts again, "ping-pong" runs back and forth, "hold" stays on the last frame.
    """
    if mode not in FIT_MODES:
        raise ValueError(f"the pose fit is {mode!r}, but it must be one of {', '.join(FIT_MODES)}")
    if frames < 1:
        raise ValueError(f"a pose needs at least 1 frame, not {frames}")
    count = len(pose)
    if count == 0:
        raise ValueError("the pose has no frames")
    if frames == count:
        return pose
    index = np.arange(frames)
    if mode == "loop":
        index %= count
    elif mode == "hold":
        index = np.minimum(index, count - 1)
    else:
        period = max(2 * (count - 1), 1)
        index %= period
        index = np.where(index < count, index, period - index)
    return pose.take(index)


def trim(pose: HandPose, start: int = 0, frames: int = 0) -> HandPose:
    """`frames` frames from `start` on; 0 frames takes all that follow."""
    if not 0 <= start < len(pose):
        raise ValueError(
            f"the pose has {len(pose)} frames, but the start frame is {start}: choose 0 to {len(pose) - 1}"
        )
    end = start + frames if frames else len(pose)
    if frames < 0 or end > len(pose):
        raise ValueError(
            f"the pose has {len(pose) - start} frames from frame {start} on, but {frames} were requested: set "
            "frames to 0 to use all; the sampler extends a pose that is too short"
        )
    return pose if (start, end) == (0, len(pose)) else pose.take(np.arange(start, end))


def retime(pose: HandPose, frames: int, progress: Progress | None = None) -> HandPose:
    """The whole pose played in `frames` frames, faster or slower; the first and the last frame stay what they are."""
    if frames < 1:
        raise ValueError(f"a pose needs at least 1 frame, not {frames}")
    if frames == len(pose):
        return pose
    return _at(pose, np.linspace(0, len(pose) - 1, frames), progress)


def change_rate(pose: HandPose, fps: float) -> HandPose:
    """The pose at another frame rate, at the same speed."""
    if fps <= 0:
        raise ValueError(f"the frame rate is {fps}, but must be positive")
    if fps == pose.fps:
        return pose
    frames = max(int(round(len(pose) * fps / pose.fps)), 1)
    places = np.minimum(np.arange(frames) * (pose.fps / fps), len(pose) - 1)
    return replace(_at(pose, places), fps=float(fps))


def close_loop(pose: HandPose, seam: int) -> HandPose:
    """A pose `seam` frames shorter whose end runs smoothly into its beginning, for looping."""
    if seam == 0:
        return pose
    if not 0 < seam < len(pose):
        raise ValueError(f"the seam is {seam} frames, but must be shorter than the pose ({len(pose)} frames)")
    body, tail = pose.take(np.arange(len(pose) - seam)), pose.take(np.arange(len(pose) - seam, len(pose)))
    count = min(seam, len(body))
    mixed = _mix(tail.take(np.arange(seam - count, seam)), body.take(np.arange(count)), _ramp(count))
    return concatenate(mixed, body.take(np.arange(count, len(body))))


def smooth(pose: HandPose, strength: float, progress: Progress | None = None) -> HandPose:
    """The pose with steadier points; 0 changes nothing, 1 is the strongest."""
    if strength == 0:
        return pose
    pose = pose.whole_canvas()
    aspect = np.array([pose.width / pose.height, 1.0])
    tracks = pose.tracks
    counts = [track.scores[0].size for track in tracks.values()]
    flat, there = np.empty((len(pose), sum(counts), 2)), np.empty((len(pose), sum(counts)), bool)
    for start in range(0, len(pose), BLOCK):
        part = slice(start, min(start + BLOCK, len(pose)))
        rows = [track.take(part) for track in tracks.values()]
        points = np.concatenate([row.points.reshape(len(row), -1, 2) for row in rows], axis=1)
        scores = np.concatenate([row.scores.reshape(len(row), -1) for row in rows], axis=1)
        flat[part], there[part] = points * aspect, present(points, scores)
        if progress:
            progress(1, len(pose))
    flat = clean.smooth(flat, there, pose.fps, strength, progress) / aspect
    ends = np.cumsum(counts)[:-1]
    parts = zip(tracks.items(), np.split(flat, ends, axis=1), strict=True)
    return pose.with_tracks({name: Track(part.reshape(old.points.shape), old.scores) for (name, old), part in parts})


def mirror(pose: HandPose, progress: Progress | None = None) -> HandPose:
    """The pose as in a mirror: what the left hand did, the right hand does."""
    return in_blocks(pose, _mirrored, progress)


def _mirrored(pose: HandPose) -> HandPose:

    def take(values, order):
        return None if values is None else values[:, order]

    swapped = replace(
        pose,
        hands=pose.hands[:, ::-1],
        hand_scores=pose.hand_scores[:, ::-1],
        bodies=take(pose.bodies, _BODY_MIRROR),
        body_scores=take(pose.body_scores, _BODY_MIRROR),
        faces=take(pose.faces, _FACE_MIRROR),
        face_scores=take(pose.face_scores, _FACE_MIRROR),
    )
    if pose.region is not None:
        row, row_end, column, column_end = pose.region
        swapped = replace(swapped, region=(row, row_end, pose.width - column_end, pose.width - column))
    return swapped.map_points(lambda points: points * (-1, 1) + (1, 0))


def transform(
    pose: HandPose,
    move_x: float = 0.0,
    move_y: float = 0.0,
    scale: float = 1.0,
    rotate: float = 0.0,
    pivot: str = "frame",
    progress: Progress | None = None,
) -> HandPose:
    """Move, scale and turn the pose.

    move_x, move_y : to the right and down, as parts of the canvas' width and height.
    rotate : degrees, clockwise as seen.
    pivot : what stays in place: the middle of the "frame", the "person" (neck, or middle between the hands), or
        "wrists": each hand alone is scaled and turned about its wrist (`hand_root`).
    """
    if pivot not in PIVOTS:
        raise ValueError(f"the pivot is {pivot!r}, but it must be one of {', '.join(PIVOTS)}")
    if scale <= 0:
        raise ValueError(f"the scale is {scale}, but must be positive")
    if (move_x, move_y, scale, rotate) == (0, 0, 1, 0):
        return pose
    pose = pose.whole_canvas()
    size = np.array([pose.width, pose.height], float)
    angle = np.deg2rad(rotate)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([move_x, move_y])

    def about(points: np.ndarray, middle: np.ndarray) -> np.ndarray:
        return ((points - middle) * size @ turn) / size + middle + shift

    if pivot != "wrists":
        middle = np.array([0.5, 0.5]) if pivot == "frame" else _person_middle(pose)
        return in_blocks(pose, lambda block: block.map_points(lambda points: about(points, middle)), progress)

    def about_wrists(block: HandPose) -> HandPose:
        hands = about(block.hands, hand_root(block)[:, :, None])
        moved = block.map_points(lambda points: points + shift)
        return replace(moved, hands=np.where(present(block.hands, block.hand_scores)[..., None], hands, moved.hands))

    return in_blocks(pose, about_wrists, progress)


def _person_middle(pose: HandPose) -> np.ndarray:
    if pose.bodies is not None and (pose.body_scores[:, 1] > 0).any():
        return pose.bodies[pose.body_scores[:, 1] > 0, 1].mean(axis=0)
    seen = present(pose.hands, pose.hand_scores)
    return pose.hands[seen].mean(axis=0) if seen.any() else np.array([0.5, 0.5])


def mute(pose: HandPose, side: str) -> HandPose:
    """The pose without its "left" or "right" hand, or without both ("both"); "none" changes nothing."""
    if side == "none":
        return pose
    if side not in (*SIDES, "both"):
        raise ValueError(f"the hand to mute is {side!r}, but it must be none, left, right or both")
    gone = np.array([side in (name, "both") for name in SIDES])
    return replace(
        pose,
        hands=np.where(gone[:, None, None], 0.0, pose.hands),
        hand_scores=np.where(gone[:, None], 0.0, pose.hand_scores),
    )


def limit_speed(pose: HandPose, speed: float, progress: Progress | None = None) -> HandPose:
    """The pose with hands that travel no faster than `speed` canvas heights a second; 0 sets no limit.

    A hand that is too fast keeps its shape and follows its path behind time.
    """
    if speed < 0:
        raise ValueError(f"the speed limit is {speed}, but must not be negative")
    if speed == 0:
        return pose
    pose = pose.whole_canvas()
    step = speed / pose.fps
    aspect = np.array([pose.width / pose.height, 1.0])
    ways, going_on = _hand_ways(pose)
    ways = ways * aspect
    # How far each hand is moved off its place, since it is behind time.
    shift = np.zeros((len(pose), 2, 2))
    for frame in range(1, len(pose)):
        go = ways[frame - 1] - shift[frame - 1]
        distance = np.linalg.norm(go, axis=-1, keepdims=True)
        behind = go * (step / np.maximum(distance, step)) - go
        shift[frame] = np.where(going_on[frame - 1, :, None] & (distance > step), behind, 0.0)
        if progress and frame % BLOCK == 0:
            progress(frame, len(pose))
    shift = shift / aspect
    there = present(pose.hands, pose.hand_scores)
    hands = np.where(there[..., None], pose.hands + shift[:, :, None], pose.hands)
    bodies = pose.bodies
    if bodies is not None:
        wrists = list(BODY_WRISTS)
        bodies = bodies.copy()
        bodies[:, wrists] += np.where(pose.body_scores[:, wrists, None] > 0, shift, 0.0)
    return replace(pose, hands=hands, bodies=bodies)


def _hand_ways(pose: HandPose) -> tuple[np.ndarray, np.ndarray]:
    """How far each hand's root goes from frame to frame, (F-1, 2, 2), and whether both frames show it, (F-1, 2).

    Only points of both frames count: a wrist that comes or goes must not look like a movement of the hand.
    """
    there = present(pose.hands, pose.hand_scores)
    scores = (there[1:] & there[:-1]).astype(float)
    body_scores = None if pose.bodies is None else np.minimum(pose.body_scores[1:], pose.body_scores[:-1])
    frames = np.arange(len(pose))
    before, after = (
        hand_root(replace(pose.take(index), hand_scores=scores, body_scores=body_scores))
        for index in (frames[:-1], frames[1:])
    )
    return after - before, (scores > 0).any(axis=-1)


def full_brightness(pose: HandPose) -> HandPose:
    """The pose with every present hand point at confidence 1, so that the map is drawn at full brightness."""
    return replace(pose, hand_scores=np.where(pose.hand_scores > 0, 1.0, pose.hand_scores))


def concatenate(first: HandPose, second: HandPose) -> HandPose:
    """One pose after the other; the second is brought to the canvas and frame rate of the first."""
    first, second = _alike(first, second)

    def joined(key: str):
        a, b = getattr(first, key), getattr(second, key)
        return None if a is None or b is None else np.concatenate([a, b])

    return replace(first, **{key: joined(key) for pair in PAIRS for key in pair})


def blend(first: HandPose, second: HandPose, transition: int = 12) -> HandPose:
    """The first pose passing into the second: `transition` frames of both overlap, 0 is a hard cut.

    The second is brought to the canvas and frame rate of the first.
    """
    first, second = _alike(first, second)
    if not 0 <= transition <= min(len(first), len(second)):
        raise ValueError(
            f"the transition is {transition} frames, but must not be longer than the poses "
            f"({len(first)} and {len(second)} frames)"
        )
    if transition == 0:
        return concatenate(first, second)
    keep = len(first) - transition
    mixed = _mix(first.take(np.arange(keep, len(first))), second.take(np.arange(transition)), _ramp(transition))
    out = concatenate(first.take(np.arange(keep)), mixed) if keep else mixed
    rest = second.take(np.arange(transition, len(second)))
    return concatenate(out, rest) if len(rest) else out


def _alike(first: HandPose, second: HandPose) -> tuple[HandPose, HandPose]:
    second = change_rate(second, first.fps)
    if (first.width, first.height, first.region) != (second.width, second.height, second.region):
        first, second = first.whole_canvas(), fit_canvas(second, first.height, first.width, "pad").whole_canvas()
    return first, second


def _ramp(frames: int) -> np.ndarray:
    """Weights that rise smoothly from nearly 0 to nearly 1."""
    t = (np.arange(frames) + 1) / (frames + 1)
    return t * t * (3 - 2 * t)


def _mix(first: HandPose, second: HandPose, weights: np.ndarray) -> HandPose:
    """Frame by frame between two poses of one length: weight 0 is the first, 1 the second."""
    changed = {}
    for key, score_key in PAIRS:
        points, scores = getattr(first, key), getattr(first, score_key)
        other, other_scores = getattr(second, key), getattr(second, score_key)
        if points is None or other is None:
            changed[key] = changed[score_key] = None
        else:
            changed[key], changed[score_key] = _between(points, scores, other, other_scores, weights)
    return replace(first, **changed)


def _at(pose: HandPose, places: np.ndarray, progress: Progress | None = None) -> HandPose:
    """The pose at fractional frame numbers; whole numbers give the very frames."""
    before = np.floor(places).astype(np.int64)
    after, weights = np.minimum(before + 1, len(pose) - 1), places - before
    begun = 0

    def mixed(first: HandPose) -> HandPose:
        nonlocal begun
        part = slice(begun, begun + len(first))
        begun += len(first)
        return _mix(first, pose.take(after[part]), weights[part])

    return in_blocks(pose.take(before), mixed, progress)


def _between(points, scores, other, other_scores, weights) -> tuple[np.ndarray, np.ndarray]:
    weights = weights.reshape(-1, *[1] * (scores.ndim - 1))
    here, there = present(points, scores), present(other, other_scores)
    # A point that only one of both has does not fade in from the origin: the nearer one decides.
    weights = np.where(here != there, (weights > 0.5).astype(float), weights)
    mixed = np.where((weights == 0)[..., None], points, points + (other - points) * weights[..., None])
    mixed_scores = np.where(weights == 0, scores, scores + (other_scores - scores) * weights)
    return mixed, mixed_scores
