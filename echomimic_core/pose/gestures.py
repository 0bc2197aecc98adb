"""Built-in gestures: clips of a synthetic speaker, made of a parametric skeleton, of any length and without a seam."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..config import FPS, FRAME_SIZE, HANDS
from ..runtime import Progress
from .hand_pose import HandPose
from .hand_skeleton import Shape, elbow, hand_axes, hand_points, limit_wrist, turn_between
from .landmarks import TYPICAL_FACE

# The speaker, in heights of the square frame, placed as the original's framing places people.
NECK = np.array([0.5, 0.475])
SHOULDER_HALF_WIDTH, SHOULDER_DROP = 0.2, 0.012
UPPER_ARM, FOREARM, HAND = 0.33, 0.275, 0.205
EYES_ABOVE_NECK, EYE_HALF_DISTANCE = 0.29, 0.043
# Elbows point outwards, down and a little back.
ELBOW_POLE = np.array([0.75, 1.0, -0.35])
HIP_HALF_WIDTH, HIP_DROP = 0.13, 0.58
# Distance of the viewer; nearer things look a little larger.
VIEWER = 4.0

# Sizes of the never-ending small movements: of the wrist in frame heights, of fingers in degrees, of directions.
SWAY, FINGER_TREMOR, SPREAD_TREMOR, TURN_TREMOR = 0.005, 2.5, 0.75, 0.035
HEAD_SWAY = 0.004
# No small movement is larger than so many times its size, whatever the seed: fingers do not cross by chance.
TREMOR_LIMIT = 1.5

# A clip shorter than a cycle plays the whole cycle up to so many times faster; below that it swings around the peak,
# at most at so many times the natural speed.
FASTEST, SWING_SPEED = 1.75, 1.5


def _shape(knuckle, middle, spread=(4, 0, -4, -8), thumb=(30, 20, 12, 10)) -> dict[str, np.ndarray]:
    four = {"knuckle": knuckle, "middle": middle, "spread": spread}
    values = {name: np.broadcast_to(np.asarray(value, float), 4) for name, value in four.items()}
    names = ("thumb_out", "thumb_up", "thumb_knuckle", "thumb_tip")
    return values | {name: np.asarray(value, float) for name, value in zip(names, thumb, strict=True)}


_FOLDED = (82, 88)
RELAXED = _shape((22, 26, 30, 34), (26, 30, 32, 34))
OPEN = _shape((4, 3, 4, 6), (8, 8, 9, 10), (9, 1, -7, -14), (48, 18, 5, 4))
SOFT = _shape((12, 12, 14, 18), (16, 18, 20, 22), (6, 0, -6, -11), (40, 22, 8, 8))
FIST = _shape(_FOLDED[0], _FOLDED[1], (2, 0, -2, -4), (12, 42, 34, 40))
POINT = _shape((6, 80, 82, 84), (6, 90, 92, 90), (7, 0, -2, -4), (14, 42, 34, 42))
TWO = _shape((4, 4, 80, 82), (5, 5, 92, 92), (10, -6, -3, -5), (12, 44, 40, 48))
THREE = _shape((4, 3, 5, 78), (5, 5, 6, 92), (10, 0, -9, -8), (10, 46, 44, 52))
FOUR = _shape((4, 3, 4, 6), (5, 5, 6, 7), (10, 2, -6, -14), (4, 46, 48, 50))
THUMB_UP = _shape(84, 92, (2, 0, -2, -4), (62, 2, 0, -6))


@dataclass(frozen=True)
class Key:
    """A moment of one hand.

    Attributes
    ----------
    wrist : (outwards from the middle of the body, down from the neck, towards the viewer), in frame heights.
    fingers, palm : directions, likewise (outwards, down, towards the viewer), of the fingers and of the palm's look.
    shape : joint angles.
    """

    wrist: tuple[float, float, float]
    fingers: tuple[float, float, float]
    palm: tuple[float, float, float]
    shape: dict[str, np.ndarray]


@dataclass(frozen=True)
class Gesture:
    """A cycle of `seconds`: for each hand (left, right) keys at times 0..1 of the cycle, which ends where it began.

    Each key holds until `hold` of the way to the next one has passed, then the hand moves. `peak` is the time in the
    cycle that tells the gesture from others: clips too short for the cycle begin there, go back some way and return.
    """

    title: str
    seconds: float
    left: tuple[tuple[float, Key], ...]
    right: tuple[tuple[float, Key], ...]
    hold: float = 0.0
    peak: float = 0.5


_REST = Key((0.15, 0.395, 0.2), (-0.9, 0.1, 0.35), (0.0, 0.25, -1.0), RELAXED)
_REST_UP = Key((0.155, 0.38, 0.21), (-0.88, 0.02, 0.4), (0.05, 0.3, -1.0), SOFT)
_READY = Key((0.2, 0.35, 0.24), (0.0, -0.85, 0.2), (-0.25, 0.0, 0.9), SOFT)
_OFFER = Key((0.25, 0.34, 0.2), (0.7, -0.25, 0.45), (-0.15, -0.5, 0.85), OPEN)
_OFFER_WIDE = Key((0.275, 0.315, 0.2), (0.78, -0.25, 0.45), (-0.1, -0.55, 0.8), OPEN)
_EXPLAIN = Key((0.22, 0.31, 0.24), (0.15, -0.85, 0.2), (-0.3, -0.05, 0.9), SOFT)
_BEAT = Key((0.235, 0.365, 0.26), (0.4, -0.7, 0.2), (-0.25, -0.25, 0.9), SOFT)
_COUNT = (0.24, 0.235, 0.2)
_WAVE = (0.28, 0.11, 0.16)


def _count(shape: dict) -> Key:
    return Key(_COUNT, (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), shape)


def _wave(tilt: float) -> Key:
    return Key((_WAVE[0] + 0.12 * tilt, _WAVE[1], _WAVE[2]), (0.12 + tilt, -1.0, 0.12), (0.0, 0.1, 1.0), OPEN)


GESTURES = {
    "idle": Gesture("Idle", 5.0, ((0, _REST), (0.5, _REST_UP)), ((0, _REST_UP), (0.45, _REST))),
    "open_hands": Gesture(
        "Open hands",
        4.0,
        ((0, _READY), (0.3, _OFFER), (0.62, _OFFER_WIDE)),
        ((0, _READY), (0.32, _OFFER), (0.64, _OFFER_WIDE)),
        hold=0.15,
        peak=0.32,
    ),
    "explaining": Gesture(
        "Explaining beats",
        4.0,
        ((0, _EXPLAIN), (0.14, _BEAT), (0.28, _EXPLAIN), (0.42, _BEAT), (0.56, _EXPLAIN), (0.8, _EXPLAIN)),
        ((0, _EXPLAIN), (0.28, _EXPLAIN), (0.56, _EXPLAIN), (0.68, _BEAT), (0.8, _EXPLAIN), (0.9, _BEAT)),
        peak=0.68,
    ),
    "counting": Gesture(
        "Counting 1 to 5",
        7.0,
        ((0, _REST), (0.5, _REST_UP)),
        (
            (0, _count(FIST)),
            (0.12, _count(POINT)),
            (0.28, _count(TWO)),
            (0.44, _count(THREE)),
            (0.6, _count(FOUR)),
            (0.76, _count(OPEN)),
        ),
        hold=0.45,
        peak=0.44,
    ),
    "pointing": Gesture(
        "Pointing",
        4.0,
        ((0, _REST), (0.5, _REST_UP)),
        (
            (0, Key((0.2, 0.33, 0.24), (0.1, -0.85, 0.2), (-0.25, 0.0, 0.9), SOFT)),
            (0.25, Key((0.3, 0.2, 0.22), (0.75, -0.65, 0.15), (-0.2, 0.1, 0.95), POINT)),
            (0.6, Key((0.31, 0.19, 0.22), (0.78, -0.6, 0.15), (-0.2, 0.1, 0.95), POINT)),
        ),
        hold=0.2,
        peak=0.25,
    ),
    "thumbs_up": Gesture(
        "Thumbs up",
        4.0,
        ((0, _REST), (0.5, _REST_UP)),
        (
            (0, Key((0.2, 0.36, 0.22), (-0.6, -0.1, 0.6), (-0.2, 0.1, -1.0), FIST)),
            (0.25, Key((0.25, 0.27, 0.26), (-0.75, -0.05, 0.6), (-0.6, 0.05, -0.75), THUMB_UP)),
            (0.65, Key((0.25, 0.26, 0.27), (-0.75, -0.02, 0.6), (-0.6, 0.05, -0.75), THUMB_UP)),
        ),
        hold=0.2,
        peak=0.25,
    ),
    "waving": Gesture(
        "Greeting wave",
        3.0,
        ((0, _REST), (0.5, _REST_UP)),
        tuple((i / 8, _wave(0.32 if i % 2 else -0.18)) for i in range(8)),
        peak=0.125,
    ),
    "hands_folded": Gesture(
        "Hands folded",
        6.0,
        (
            (0, Key((0.125, 0.4, 0.24), (-0.95, 0.12, 0.2), (0.0, 0.15, -1.0), SOFT)),
            (0.5, Key((0.125, 0.392, 0.24), (-0.95, 0.1, 0.2), (0.0, 0.2, -1.0), RELAXED)),
        ),
        (
            (0, Key((0.12, 0.385, 0.21), (-0.95, 0.2, 0.15), (0.0, 0.15, -1.0), SOFT)),
            (0.5, Key((0.12, 0.378, 0.21), (-0.95, 0.18, 0.15), (0.0, 0.2, -1.0), RELAXED)),
        ),
    ),
}


def names() -> list[str]:
    """Names of the built-in clips."""
    return list(GESTURES)


def clip(
    name: str,
    frames: int,
    fps: float = FPS,
    energy: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> HandPose:
    """A built-in clip of exactly `frames` frames whose last frame leads back to its first.

    Parameters
    ----------
    energy : size of the hands' ways around the middle of the gesture, 0 (on the spot) to 1.5.
    seed : of the small involuntary movements.
    progress : called with (steps done, all) now and then; what it raises ends the work.
    """
    return pose_of(*skeleton(name, frames, fps, energy, seed, progress), fps, seed)


def pose_of(points: np.ndarray, arms: np.ndarray, fps: float, seed: int = 0) -> HandPose:
    """The synthetic speaker with these hands (F, 2, 21, 3) and arms (F, 2, 3, 3), as `skeleton` gives them."""
    frames = len(points)
    rng = np.random.default_rng([seed, 2])
    head = HEAD_SWAY * np.stack([_noise(rng, frames, fps) for _ in range(2)], axis=-1)
    bodies = np.zeros((frames, 18, 2))
    eyes = NECK - (0, EYES_ABOVE_NECK) + head
    face = eyes[:, None] + TYPICAL_FACE * EYE_HALF_DISTANCE
    bodies[:, 0] = face[:, 30]
    bodies[:, 1] = NECK
    for side, sign in enumerate((1, -1)):
        shoulder, elbow_point, wrist, hip, eye, ear = ((5, 6, 7, 11, 15, 17), (2, 3, 4, 8, 14, 16))[side]
        bodies[:, [shoulder, elbow_point, wrist]] = _project(arms[:, side])
        bodies[:, hip] = NECK + (sign * HIP_HALF_WIDTH, HIP_DROP)
        bodies[:, eye] = eyes + (sign * EYE_HALF_DISTANCE, 0)
        bodies[:, ear] = face[:, 16 if side == 0 else 0]
    body_scores = np.ones((frames, 18))
    # Knees and ankles are below the frame.
    body_scores[:, [9, 10, 12, 13]] = 0
    return HandPose(
        hands=_project(points),
        hand_scores=np.ones((frames, HANDS, 21)),
        bodies=bodies,
        body_scores=body_scores,
        faces=face,
        face_scores=np.ones((frames, 68)),
        width=FRAME_SIZE,
        height=FRAME_SIZE,
        fps=float(fps),
    )


def skeleton(
    name: str,
    frames: int,
    fps: float = FPS,
    energy: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Hands (F, 2, 21, 3) and arms (F, 2, 3, 3: shoulder, elbow, wrist) of a clip in three dimensions.

    Units are frame heights; x to the right, y down from the top of the frame, z towards the viewer.
    """
    if name not in GESTURES:
        raise ValueError(f"there is no built-in gesture {name!r}: choose one of {', '.join(GESTURES)}")
    if frames < 1:
        raise ValueError(f"a gesture needs at least 1 frame, not {frames}")
    if fps <= 0:
        raise ValueError(f"the frame rate is {fps}, but must be positive")
    gesture = GESTURES[name]
    return skeleton_at(gesture, _phase(frames, fps, gesture.seconds, gesture.peak), fps, energy, seed, progress)


def skeleton_at(
    gesture: Gesture,
    phase: np.ndarray,
    fps: float,
    energy: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`skeleton` of any gesture, at the places (F,) of its cycle, 0..1."""
    frames = len(phase)
    hands, arms = np.empty((frames, HANDS, 21, 3)), np.empty((frames, HANDS, 3, 3))
    steps, done = HANDS * (len(fields(Shape)) + 3), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    for side, keys in enumerate((gesture.left, gesture.right)):
        rng = np.random.default_rng([seed, side])
        hands[:, side], arms[:, side] = _arm(keys, gesture.hold, phase, fps, energy, side, rng, tick)
    return hands, arms


def _phase(frames: int, fps: float, seconds: float, peak: float) -> np.ndarray:
    """Place in the gesture's cycle at each frame, such that the clip closes and keeps about its natural speed."""
    cycles = frames / (fps * seconds)
    steps = np.arange(frames) / frames
    if cycles * FASTEST < 1 - 1e-9:
        way = SWING_SPEED * cycles / np.pi
        return (peak - way * (1 - np.cos(2 * np.pi * steps)) / 2) % 1.0
    return (steps * max(round(cycles), 1)) % 1.0


def _arm(keys: Sequence[tuple[float, Key]], hold: float, phase, fps: float, energy: float, side: int, rng, tick):
    """Hand (F, 21, 3) and arm (F, 3, 3) of one side; `tick` is called after every step of the work."""
    out = 1 if side == 0 else -1
    flip = np.array([out, 1, 1])
    frames = len(phase)
    # Everything is made for the left hand; the right one is its mirror image.
    before, after, eased = _between_keys(keys, phase, hold)

    def through(values: np.ndarray) -> np.ndarray:
        share = eased.reshape(-1, *[1] * (values.ndim - 1))
        return values[before] + (values[after] - values[before]) * share

    def noise(*shape: int) -> np.ndarray:
        waves = [_noise(rng, frames, fps) for _ in range(int(np.prod(shape)))]
        return np.stack(waves, axis=-1).reshape(frames, *shape)

    wrists = np.array([key.wrist for _, key in keys])
    middle = wrists.mean(axis=0)
    wrist = middle + energy * (through(wrists) - middle) + SWAY * noise(3)
    axes = hand_axes(np.array([key.fingers for _, key in keys]), np.array([key.palm for _, key in keys]))
    axes = turn_between(axes[before], axes[after], eased)
    tick()
    fingers, palm = axes[:, 1] + TURN_TREMOR * noise(3), axes[:, 2] + TURN_TREMOR * noise(3)
    angles = {}
    for field in fields(Shape):
        values = through(np.array([key.shape[field.name] for _, key in keys]))
        amount = SPREAD_TREMOR if field.name == "spread" else FINGER_TREMOR
        angles[field.name] = values + amount * noise(*values.shape[1:])
        tick()

    shoulder = np.broadcast_to([SHOULDER_HALF_WIDTH, SHOULDER_DROP, 0.0], (frames, 3))
    bent, wrist = elbow(shoulder, wrist, UPPER_ARM, FOREARM, ELBOW_POLE)
    axes = hand_axes(limit_wrist(fingers, wrist - bent), palm)
    tick()
    hand = wrist[:, None] + HAND * hand_points(Shape(**angles)) @ axes
    tick()
    return hand * flip + (*NECK, 0), np.stack([shoulder, bent, wrist], axis=1) * flip + (*NECK, 0)


def _between_keys(keys: Sequence[tuple[float, Key]], phase: np.ndarray, hold: float) -> tuple[np.ndarray, ...]:
    """At each phase the key before, the key after, and how far between them the hand is, 0..1, around the cycle."""
    times = np.array([time for time, _ in keys])
    before = np.searchsorted(times, phase, side="right") - 1
    after = (before + 1) % len(times)
    span = (times[after] - times[before]) % 1.0
    span = np.where(span == 0, 1.0, span)
    t = np.clip(((phase - times[before]) / span - hold) / (1 - hold), 0, 1)
    # Minimum-jerk easing, as people move.
    return before, after, t**3 * (10 - 15 * t + 6 * t * t)


def _noise(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """Slow, smooth, seamless noise (F,) of about unit size: a few waves with whole numbers of periods in the clip.

    Its values lie in -TREMOR_LIMIT..TREMOR_LIMIT.
    """
    seconds = frames / fps
    waves = np.array([max(round(seconds * frequency), 1) for frequency in (0.15, 0.35, 0.6, 0.9)])
    if seconds < 1.5:
        waves = np.array([1])
    sizes = rng.normal(size=len(waves)) / np.arange(1, len(waves) + 1)
    sizes *= min(1.0, TREMOR_LIMIT / np.abs(sizes).sum())
    starts = rng.uniform(0, 2 * np.pi, len(waves))
    wave = np.sin(2 * np.pi * np.arange(frames)[:, None] / frames * waves + starts) @ sizes
    # In a very short clip even one wave would shake.
    return wave * min(seconds / 1.5, 1.0)


def _project(points: np.ndarray) -> np.ndarray:
    """World points (..., 3) as seen in the frame (..., 2)."""
    middle = np.array([0.5, 0.5])
    return middle + (points[..., :2] - middle) / (1 - points[..., 2:] / VIEWER)
