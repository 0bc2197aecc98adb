"""The library that gestures are taken from: strokes with the moment that belongs on an accent, and poses of rest.

The built-in one is made, not recorded: every stroke is a way of the parametric skeleton (`pose.gestures`) with the
timing of people: preparation, stroke, hold, retraction.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from ..config import FPS
from ..pose import HandPose, gestures
from ..pose.gestures import FIST, FOUR, OPEN, POINT, RELAXED, SOFT, THREE, THUMB_UP, TWO, Gesture, Key
from .chains import Chains, chains_of, hands_of

LEFT, RIGHT, BOTH = (0,), (1,), (0, 1)

# Kinds that say something by themselves: cues ask for them, a voice alone rarely does.
EMBLEMS = ("one", "two", "three", "four", "five", "thumb up")
# Timing of a stroke in seconds: people prepare at ease, strike in a fifth of a second, hold, and take their time.
PREPARE, STRIKE, HOLD, RETRACT = 0.6, 0.21, 0.35, 1.0
MOST_HASTE = 0.03  # Largest second difference of a point in a stroke, in heights of the canvas per frame² at 24 fps.


@dataclass(frozen=True)
class Stroke:
    """One gesture stroke.

    Attributes
    ----------
    kind : such as "beat" or "open hands". name : of this one.
    chains : its motion; it begins and ends where its hands are at home.
    strike : the frame of its greatest speed. apex : the frame it arrives at. leave : the frame its retraction begins.
    sides : which hands it moves (0 is the person's left).
    size : the way of the hands from preparation to apex, in heights of the canvas.
    """

    kind: str
    name: str
    chains: Chains
    strike: int
    apex: int
    leave: int
    sides: tuple[int, ...]
    size: float

    def mirrored(self) -> "Stroke":
        sides = tuple(sorted(1 - side for side in self.sides))
        return replace(self, name=f"{self.name}, mirrored", chains=self.chains.mirrored(), sides=sides)


@dataclass(frozen=True)
class GestureLibrary:
    """Strokes and poses of rest of one body, at `fps`; `base` is a frame of that body, whose head and hips are used."""

    strokes: tuple[Stroke, ...]
    rests: tuple[Chains, ...]
    base: HandPose
    fps: float = FPS

    @cached_property
    def haste(self) -> float:
        """99th percentile of the second differences of the hands' points in all strokes, in heights per frame²."""
        seconds = [np.diff(hands_of(stroke.chains), 2, axis=0).ravel() for stroke in self.strokes]
        return float(np.quantile(np.abs(np.concatenate(seconds)), 0.99))

    def find(self, name: str) -> Stroke:
        """The first stroke of that kind or name; ValueError lists the kinds."""
        wanted = name.strip().lower().replace("_", " ")
        for stroke in self.strokes:
            if wanted in (stroke.kind, stroke.name):
                return stroke
        kinds = ", ".join(dict.fromkeys(stroke.kind for stroke in self.strokes))
        raise ValueError(f"there is no gesture {name!r} in the library: it has {kinds}")


def _key(wrist, fingers, palm, shape) -> Key:
    return Key(wrist, fingers, palm, shape)


_HOME = _key((0.185, 0.365, 0.23), (-0.45, -0.5, 0.35), (-0.15, 0.1, 0.9), SOFT)
_LOW = _key((0.15, 0.395, 0.2), (-0.9, 0.1, 0.35), (0.0, 0.25, -1.0), RELAXED)


@dataclass(frozen=True)
class _Made:
    """A kind of stroke, for the left hand: where it is made ready, where it strikes to, and how it varies."""

    kind: str
    ready: Key
    apex: Key
    sides: tuple[tuple[int, ...], ...] = (RIGHT, BOTH)
    sizes: tuple[float, ...] = (0.8, 1.2, 1.6)


_UP = _key((0.2, 0.3, 0.25), (0.05, -0.85, 0.25), (-0.3, -0.05, 0.9), SOFT)
_MADE = (
    _Made("beat", _UP, _key((0.215, 0.375, 0.27), (0.3, -0.7, 0.3), (-0.25, -0.25, 0.9), SOFT)),
    _Made(
        "beat outwards",
        _key((0.17, 0.32, 0.27), (-0.2, -0.8, 0.3), (-0.35, -0.1, 0.9), SOFT),
        _key((0.27, 0.345, 0.24), (0.6, -0.6, 0.3), (-0.2, -0.2, 0.9), SOFT),
    ),
    _Made("fist", _UP, _key((0.2, 0.37, 0.28), (-0.2, -0.75, 0.4), (-0.6, 0.0, 0.6), FIST), (RIGHT, BOTH), (0.8, 1.1)),
    _Made(
        "open hands",
        _key((0.18, 0.35, 0.26), (0.1, -0.7, 0.4), (-0.3, -0.3, 0.8), SOFT),
        _key((0.275, 0.33, 0.21), (0.75, -0.25, 0.45), (-0.12, -0.55, 0.82), OPEN),
        (RIGHT, BOTH),
    ),
    _Made(
        "offer",
        _key((0.19, 0.37, 0.22), (0.0, -0.6, 0.5), (-0.2, -0.5, 0.7), SOFT),
        _key((0.235, 0.325, 0.3), (0.45, -0.35, 0.7), (-0.1, -0.75, 0.6), OPEN),
    ),
    _Made("pointing", _UP, _key((0.3, 0.2, 0.22), (0.72, -0.67, 0.15), (-0.2, 0.1, 0.95), POINT), (RIGHT,), (0.7, 1.0)),
    _Made("finger", _UP, _key((0.23, 0.255, 0.25), (0.05, -1.0, 0.15), (-0.15, 0.1, 1.0), POINT), (RIGHT,), (0.8, 1.1)),
    _Made("one", _UP, _key((0.24, 0.24, 0.2), (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), POINT), (RIGHT,), (1.0,)),
    _Made("two", _UP, _key((0.24, 0.24, 0.2), (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), TWO), (RIGHT,), (1.0,)),
    _Made("three", _UP, _key((0.24, 0.24, 0.2), (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), THREE), (RIGHT,), (1.0,)),
    _Made("four", _UP, _key((0.24, 0.24, 0.2), (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), FOUR), (RIGHT,), (1.0,)),
    _Made("five", _UP, _key((0.24, 0.24, 0.2), (0.08, -1.0, 0.12), (-0.12, 0.1, 1.0), OPEN), (RIGHT,), (1.0,)),
    _Made(
        "thumb up",
        _key((0.2, 0.36, 0.22), (-0.6, -0.1, 0.6), (-0.2, 0.1, -1.0), FIST),
        _key((0.25, 0.27, 0.26), (-0.75, -0.05, 0.6), (-0.6, 0.05, -0.75), THUMB_UP),
        (RIGHT,),
        (1.0,),
    ),
    _Made(
        "framing",
        _key((0.22, 0.33, 0.25), (0.1, -0.8, 0.35), (-0.9, 0.0, 0.3), SOFT),
        _key((0.155, 0.3, 0.29), (-0.05, -0.85, 0.4), (-1.0, 0.0, 0.15), OPEN),
        (BOTH,),
    ),
    _Made(
        "widening",
        _key((0.14, 0.33, 0.29), (-0.05, -0.8, 0.4), (-0.9, 0.0, 0.3), SOFT),
        _key((0.285, 0.31, 0.22), (0.3, -0.85, 0.3), (-0.85, 0.0, 0.45), OPEN),
        (BOTH,),
    ),
    _Made(
        "chop",
        _key((0.2, 0.285, 0.26), (0.0, -0.9, 0.3), (-0.95, 0.0, 0.2), OPEN),
        _key((0.205, 0.37, 0.29), (0.05, -0.55, 0.75), (-0.95, 0.0, 0.2), OPEN),
    ),
    _Made(
        "calm",
        _key((0.2, 0.31, 0.27), (0.1, -0.5, 0.7), (0.0, 0.7, 0.5), SOFT),
        _key((0.225, 0.385, 0.29), (0.2, -0.1, 0.9), (0.0, 0.95, 0.25), OPEN),
    ),
    _Made(
        "weighing",
        _key((0.24, 0.375, 0.25), (0.4, -0.3, 0.6), (-0.1, -0.85, 0.4), SOFT),
        _key((0.255, 0.305, 0.25), (0.45, -0.35, 0.6), (-0.1, -0.85, 0.4), OPEN),
        (LEFT, RIGHT),
    ),
    _Made(
        "shrug",
        _key((0.22, 0.38, 0.22), (0.4, -0.3, 0.5), (-0.1, -0.7, 0.6), SOFT),
        _key((0.3, 0.33, 0.17), (0.9, -0.25, 0.25), (-0.05, -0.8, 0.5), OPEN),
        (BOTH,),
        (0.9, 1.15),
    ),
    _Made(
        "hand on heart",
        _key((0.19, 0.3, 0.27), (-0.5, -0.55, 0.35), (-0.3, 0.0, -0.8), SOFT),
        _key((0.115, 0.235, 0.2), (-0.9, -0.25, 0.1), (0.0, 0.0, -1.0), OPEN),
        (RIGHT,),
        (1.0,),
    ),
)

_RESTS = (
    ((_LOW, _key((0.155, 0.385, 0.21), (-0.88, 0.05, 0.38), (0.02, 0.28, -1.0), SOFT)),) * 2,
    ((_key((0.125, 0.4, 0.24), (-0.95, 0.12, 0.2), (0.0, 0.15, -1.0), SOFT),) * 2,) * 2,
    ((_key((0.17, 0.41, 0.17), (-0.6, 0.45, 0.35), (0.0, 0.3, -1.0), RELAXED),) * 2,) * 2,
    ((_HOME, _key((0.185, 0.372, 0.23), (-0.42, -0.48, 0.35), (-0.15, 0.1, 0.9), RELAXED)),) * 2,
    ((_key((0.2, 0.395, 0.22), (-0.55, -0.25, 0.5), (-0.2, 0.5, 0.6), RELAXED),) * 2,) * 2,
    ((_LOW, _LOW), (_HOME, _HOME)),
)
REST_SECONDS = 8.0


@lru_cache(maxsize=4)
def built_in(fps: float = FPS) -> GestureLibrary:
    """The library that comes along, at a frame rate: made strokes of 20 kinds, and six poses of rest."""
    strokes = [stroke for made in _MADE for stroke in _strokes(made, fps)]
    rests = tuple(_rest(keys, fps, seed) for seed, keys in enumerate(_RESTS))
    return GestureLibrary(tuple(strokes), rests, gestures.clip("idle", 1, fps), fps)


def _strokes(made: _Made, fps: float):
    """A kind in its sizes, with one hand (and its mirror image) or both."""
    for sides in made.sides:
        for size in made.sizes:
            stroke = _stroke(made, sides, size, fps)
            yield stroke
            if len(sides) == 1 and (LEFT not in made.sides or RIGHT not in made.sides):
                yield stroke.mirrored()


def _stroke(made: _Made, sides: tuple[int, ...], size: float, fps: float) -> Stroke:
    """One stroke; what would need more haste than people have takes longer."""
    apex, strike = _scaled(made.ready, made.apex, size), STRIKE
    for _ in range(3):
        chains, marks = _motion(made, apex, sides, strike, fps)
        hands = hands_of(chains.part(max(marks[0] - 4, 0), marks[1] + 3))
        haste = np.abs(np.diff(hands, 2, axis=0)).max() * (fps / FPS) ** 2
        if haste <= MOST_HASTE:
            break
        strike *= np.sqrt(haste / MOST_HASTE)
    way = float(np.linalg.norm(np.array(apex.wrist) - np.array(made.ready.wrist)))
    which = {LEFT: "left hand", RIGHT: "right hand", BOTH: "both hands"}[sides]
    return Stroke(made.kind, f"{made.kind}, {which}, {size:g}", chains, *marks, sides, way * len(sides))


def _motion(made: _Made, apex: Key, sides: tuple[int, ...], strike: float, fps: float) -> tuple[Chains, list[int]]:
    """The chains of a stroke that strikes for so many seconds, and its frames of greatest speed, apex and leaving."""
    parts = np.array([PREPARE, strike, HOLD, RETRACT])
    seconds = parts.sum()
    ends = np.cumsum(parts)[:3] / seconds
    moving = ((0.0, _HOME), (ends[0], made.ready), (ends[1], apex), (ends[2], apex))
    keys = [moving if side in sides else ((0.0, _HOME),) for side in BOTH]
    frames = round(seconds * fps) + 1
    points, arms = gestures.skeleton_at(Gesture(made.kind, seconds, *keys), np.arange(frames) / frames, fps)
    marks = [PREPARE + strike / 2, PREPARE + strike, PREPARE + strike + HOLD]
    return chains_of(gestures.pose_of(points, arms, fps)), [round(mark * fps) for mark in marks]


def _scaled(ready: Key, apex: Key, size: float) -> Key:
    wrist = tuple(np.array(ready.wrist) + size * (np.array(apex.wrist) - np.array(ready.wrist)))
    return replace(apex, wrist=wrist)


def _rest(keys, fps: float, seed: int) -> Chains:
    left, right = ([(index / len(side), key) for index, key in enumerate(side)] for side in keys)
    frames = round(REST_SECONDS * fps)
    gesture = Gesture("rest", REST_SECONDS, tuple(left), tuple(right))
    return chains_of(gestures.pose_of(*gestures.skeleton_at(gesture, np.arange(frames) / frames, fps, seed=seed), fps))
