"""From what was found to the value of each metric, and of how many clips it is."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .choosing import missing
from .clips import Clip
from .extractors import EXTRACTORS
from .findings import WHOSE, Findings, Kept
from .metrics.frechet import Moments, distance_of
from .metrics.metric import Metric


@dataclass
class Score:
    """One metric's outcome.

    Attributes
    ----------
    value : over everything, or None with the `reason`.
    clips : values of single clips, by name.
    used, total : of how many clips the value is, and how many there are, those included that were never generated.
    left_out : the reason for each clip that the value is not of, by name.
    """

    metric: Metric
    value: float | None = None
    reason: str = ""
    clips: dict[str, float] = field(default_factory=dict)
    used: int = 0
    total: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def score(work: Findings, metric: Metric) -> Score:
    """The metric over all clips."""
    if metric.scope != "clip" and not work.has_videos:
        return Score(metric, reason="it needs real clips to compare with: give a reference video or folder")
    only_poses = all(clip.kind == "pose" for clip in work.generated)
    if only_poses and not metric.of_poses:
        return Score(metric, reason="a pose has no pictures")
    if not (metric.of_poses and work.poses) and (reason := missing(work, metric)):
        return Score(metric, reason=reason)
    if metric.scope == "set":
        return _score_set(work, metric)
    values, left_out = {}, {}
    for clip in work.generated:
        try:
            values[clip.name] = metric.score(work, clip)
        except ValueError as error:
            left_out[clip.name] = str(error)
            work.reports[clip.name].remark(str(error))
    value, infinite = _mean(values)
    # One clip that equals its real one would hide how far the others are from theirs.
    left_out |= dict.fromkeys(infinite, f"it equals its real clip, so its {metric.name} has no finite value")
    return _counted(work, Score(metric, value, clips=values), left_out)


def _counted(work: Findings, score: Score, left_out: dict[str, str]) -> Score:
    """The score with what it is of, and what it is not of and why."""
    score.used = len(work.generated) - len(left_out)
    score.total = len(work.generated) + len(work.absent)
    if score.value is None:
        # What many clips lack comes first.
        reasons = Counter(left_out.values()).most_common()
        score.reason = score.reason or "; ".join(reason for reason, _ in reasons)
        score.used = 0
    score.left_out = left_out | work.absent
    return score


def _score_set(work: Findings, metric: Metric) -> Score:
    pairs: list[tuple[Kept, Kept]] = []
    left_out = {}
    for clip in work.generated:
        # Without its counterpart a clip would shift one side only.
        try:
            pairs.append(tuple(_samples(work, side, clip, metric) for side in ("generated", "reference")))
        except ValueError as error:
            left_out[clip.name] = str(error)
    try:
        value = _distance(work, pairs) if pairs else None
    except ValueError as error:
        return _counted(work, Score(metric, reason=str(error)), left_out)
    return _counted(work, Score(metric, value), left_out)


def _samples(work: Findings, side: str, clip: Clip, metric: Metric) -> Kept:
    kept = work.arrays(side, clip, metric.extractor)
    if not kept.count:
        whose = WHOSE[side].format(clip.name)
        lacking = "no face is found in it" if EXTRACTORS[metric.extractor].needs_face else "it has no frames"
        raise ValueError(f"{whose} gives no samples for {metric.name}: {lacking}")
    return kept


def _distance(work: Findings, pairs: list[tuple[Kept, Kept]]) -> float:
    # Roots of large matrices take seconds, which a rerun need not spend.
    key = ("distance", *(kept.key for pair in pairs for kept in pair))
    key = None if None in key else key
    if key and (known := work.cache.get(*key)):
        return float(known["distance"])
    distance = distance_of(*(_pooled(work, side) for side in zip(*pairs, strict=True)))
    if key:
        work.cache.put({"distance": np.array(distance)}, *key)
    return distance


def _pooled(work: Findings, side: Iterable[Kept]) -> Moments:
    pooled = None
    for kept in side:
        arrays = kept.arrays or work.cache.get(*kept.key)
        if arrays is None:
            raise ValueError(
                f"features could not be cached in {work.cache.folder}: free disk space there, or disable the cache"
            )
        moments = Moments.from_arrays(arrays)
        pooled = pooled or Moments(moments.dim)
        pooled.merge(moments)
    return pooled


def _mean(values: dict[str, float]) -> tuple[float | None, list[str]]:
    """Mean of the finite values, and the names of the others; infinity if none is finite, None without any."""
    finite = [value for value in values.values() if math.isfinite(value)]
    if finite:
        return float(np.mean(finite)), [name for name, value in values.items() if not math.isfinite(value)]
    return (math.inf if values else None), []
