"""From poses of people to a gesture library: strokes and rests are cut out, and brought to one body."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..config import FPS
from ..pose import HandPose, edit, gestures
from ..pose.measure import ARMS
from ..pose.motion import speeds, strokes
from ..runtime import Progress
from .chains import Chains, chains_of
from .library import BOTH, GestureLibrary, Stroke

# Seconds around a stroke's greatest speed that may belong to it: preparation, hold and retraction.
MOST_BEFORE, MOST_AFTER = 1.0, 1.2
SLOW = 0.35  # Of the stroke's greatest speed: where it begins and ends.
STILL, LEAST_REST = 0.25, 0.7  # Of the 90th percentile of speed; seconds.
ALSO_MOVES = 0.4  # Of the faster hand's speed: the other one takes part.
NECK, SHOULDERS = (0, 1), (5, 2)


def library_of(clips: Iterable[tuple[str, HandPose]], fps: float = FPS, progress: Progress | None = None):
    """The gesture library of some clips, and a sentence for each that gave nothing.

    Parameters
    ----------
    clips : (name, pose) of each; a pose needs shoulders, elbows, wrists and both hands wherever it is used.
    progress : called with (clips done, clips so far); may raise to cancel.

    Returns
    -------
    (GestureLibrary, sentences).

    Raises
    ------
    ValueError : no clip gives a stroke.
    """
    base, found, rests, said = gestures.clip("idle", 1, fps), [], [], []
    for number, (name, pose) in enumerate(clips):
        if progress is not None:
            progress(number, number + 1)
        parts = list(_shown(edit.change_rate(pose, fps), round(1.5 * fps)))
        before = len(found)
        for part in parts:
            part = to_body(part, base)
            chains = chains_of(part)
            paces = speeds(part)
            found += _strokes(name, chains, paces, fps)
            rests += _rests(chains, paces.mean(1), fps)
        if len(found) == before:
            said.append(f"{name}: no stretch of 1.5 s shows both hands and arms with a stroke in it")
    if not found:
        raise ValueError("no clip has a gesture to learn from: " + "; ".join(said or ["there are no clips"]))
    if not rests:
        calm = min(found, key=lambda stroke: stroke.size).chains
        rests = [Chains(*(values[:2] for values in calm.parts()))]
    return GestureLibrary(tuple(found), tuple(rests), base, fps), said


def _shown(pose: HandPose, least: int) -> Iterable[HandPose]:
    """The stretches of at least so many frames in which all that chains need is there."""
    if pose.bodies is None:
        return
    points = [point for arm in ARMS for point in arm] + [NECK[1]]
    there = (pose.body_scores[:, points] > 0).all(1) & (pose.hand_scores > 0).all((1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(int), [0]])))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first >= least:
            yield pose.take(np.arange(first, end))


def to_body(pose: HandPose, base: HandPose) -> HandPose:
    """The pose on the square canvas of `base`, its neck and the width of its shoulders those of that body."""
    whole = pose.whole_canvas()
    size = np.array([whole.width / whole.height, 1.0])
    neck, width = (_middle(p, p.bodies * s) for p, s in ((whole, size), (base, np.ones(2))))
    (from_neck, from_width), (to_neck, to_width) = neck, width
    scale = to_width / max(from_width, 1e-6)
    moved = whole.map_points(lambda points: (points * size - from_neck) * scale + to_neck)
    return replace(moved, width=base.width, height=base.height, region=None)


def _middle(pose: HandPose, bodies: np.ndarray) -> tuple[np.ndarray, float]:
    """The neck (2,) and the width of the shoulders of a clip."""
    left, right = (np.median(bodies[:, shoulder], axis=0) for shoulder in SHOULDERS)
    return (left + right) / 2, float(np.linalg.norm(left - right))


def _strokes(name: str, chains: Chains, paces: np.ndarray, fps: float) -> list[Stroke]:
    pace = paces.mean(1)
    peaks = strokes(pace)
    found = []
    for number, peak in enumerate(peaks):
        earliest = max(peak - round(MOST_BEFORE * fps), peaks[number - 1] + 1 if number else 0)
        latest = min(
            peak + round(MOST_AFTER * fps), peaks[number + 1] - 1 if number + 1 < len(peaks) else len(pace) - 1
        )
        slow = pace < SLOW * pace[peak]
        after = np.flatnonzero(slow[peak:latest])
        if latest - earliest < 8 or not len(after):
            continue
        apex = peak + int(after[0])
        moving = np.flatnonzero(~slow[apex:latest])
        leave = apex + (int(moving[0]) if len(moving) else latest - apex)
        part = Chains(*(values[earliest : latest + 1] for values in chains.parts()))
        sides = tuple(side for side in BOTH if paces[peak, side] >= ALSO_MOVES * paces[peak].max())
        way = float(pace[earliest : apex + 1].sum())
        marks = (int(peak - earliest), int(apex - earliest), int(leave - earliest))
        found.append(Stroke(name, f"{name}, {peak / fps:.1f} s", part, *marks, sides, way))
    return found


def _rests(chains: Chains, pace: np.ndarray, fps: float) -> list[Chains]:
    still = pace < STILL * np.quantile(pace, 0.9)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
    long = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= LEAST_REST * fps]
    return [Chains(*(values[first:end] for values in chains.parts())) for first, end in long]
