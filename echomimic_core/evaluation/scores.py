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
from .metrics.metric import Arrays, Distance, Metric
from .statistics import bootstrap_interval

NO_REAL = "it compares with real clips: give a reference video or folder"
UNPAIRED = "it compares every clip with its own real clip, but the sets are unpaired: name them alike, or use --pairs"


@dataclass
class Score:
    """One metric's outcome.

    Attributes
    ----------
    value : over everything, or None with the `reason`.
    clips : values of single clips, by name.
    used, total : of how many clips the value is, and how many there are, those included that were never generated.
    left_out : the reason for each clip that the value is not of, by name.
    deviation : standard deviation over clips (of KID: over subsets), nan where there is none.
    interval : 95 % of the mean over clips, by bootstrap; None below 3 clips and for set metrics.
    real : the value of the real clips, of metrics that should be near it; None where it is not known of all.
    samples : features per side, of set metrics. warning : a sentence on what makes the value doubtful, or empty.
    """

    metric: Metric
    value: float | None = None
    reason: str = ""
    clips: dict[str, float] = field(default_factory=dict)
    used: int = 0
    total: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    deviation: float = math.nan
    interval: tuple[float, float] | None = None
    real: float | None = None
    samples: tuple[int, int] | None = None
    warning: str = ""


def score(work: Findings, metric: Metric) -> Score:
    """The metric over all clips."""
    if metric.scope != "clip" and not work.has_videos:
        return Score(metric, reason=NO_REAL)
    if metric.scope == "pair" and work.unpaired:
        return Score(metric, reason=UNPAIRED)
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
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    # One clip that equals its real one would hide how far the others are from theirs.
    value = float(np.mean(list(finite.values()))) if finite else math.inf if values else None
    infinite = [name for name in values if name not in finite] if finite else []
    left_out |= dict.fromkeys(infinite, f"it equals its real clip, so its {metric.name} has no finite value")
    found = Score(metric, value, clips=values, real=_of_real(work, metric, values))
    if len(finite) > 1:
        found.deviation = float(np.std(list(finite.values()), ddof=1))
        found.interval = bootstrap_interval(list(finite.values()))
    return _counted(work, found, left_out)


def _of_real(work: Findings, metric: Metric, measured: Iterable[str]) -> float | None:
    if metric.better != "real":
        return None
    clips = work.real_set if work.unpaired else [clip for clip in work.generated if clip.name in measured]
    try:
        values = [metric.score(_RealSide(work), clip) for clip in clips]
    except ValueError:
        return None
    return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class _RealSide:
    """The findings as if every real clip were the generated one, for metrics without hands; remarks are dropped."""

    work: Findings

    def arrays(self, _kind: str, clip: Clip, extractor: str) -> Arrays:
        return self.work.arrays("reference", clip, extractor)

    def remark(self, clip: Clip, sentence: str) -> None:
        pass


def _counted(work: Findings, score: Score, left_out: dict[str, str]) -> Score:
    """The score with what it is of, and what it is not of and why."""
    score.used = sum(clip.name not in left_out for clip in work.generated)
    score.total = len(work.generated) + len(work.absent)
    if score.value is None:
        # What many clips lack comes first.
        reasons = Counter(left_out.values()).most_common()
        score.reason = score.reason or "; ".join(reason for reason, _ in reasons)
        score.used = 0
    score.left_out = left_out | work.absent
    return score


def _score_set(work: Findings, metric: Metric) -> Score:
    sides, left_out = (_unpaired if work.unpaired else _paired)(work, metric)
    found = Score(metric)
    try:
        if all(sides):
            distance = _distance(work, metric, sides)
            found = Score(metric, distance.value, deviation=distance.deviation, samples=distance.samples)
            found.warning = _few(metric, distance.samples)
    except ValueError as error:
        found.reason = str(error)
    return _counted(work, found, left_out)


def _few(metric: Metric, samples: tuple[int, int]) -> str:
    if min(samples) >= metric.features:
        return ""
    return (
        f"{metric.name} of {samples[0]} generated and {samples[1]} real samples, fewer than its {metric.features} "
        "features, is biased upwards: compare it only with one of as many samples"
    )


def _paired(work: Findings, metric: Metric) -> tuple[tuple[list[Kept], list[Kept]], dict[str, str]]:
    generated, real, left_out = [], [], {}
    for clip in work.generated:
        # Without its counterpart a clip would shift one side only.
        try:
            pair = [_samples(work, side, clip, metric) for side in ("generated", "reference")]
        except ValueError as error:
            left_out[clip.name] = str(error)
        else:
            generated.append(pair[0])
            real.append(pair[1])
    return (generated, real), left_out


def _unpaired(work: Findings, metric: Metric) -> tuple[tuple[list[Kept], list[Kept]], dict[str, str]]:
    sides, left_out = ([], []), {}
    for side, clips, kept in (("generated", work.generated, sides[0]), ("reference", work.real_set, sides[1])):
        for clip in clips:
            try:
                kept.append(_samples(work, side, clip, metric))
            except ValueError as error:
                left_out[clip.name if side == "generated" else f"{clip.name} (real)"] = str(error)
    return sides, left_out


def _samples(work: Findings, side: str, clip: Clip, metric: Metric) -> Kept:
    kept = work.arrays(side, clip, metric.extractor)
    if not kept.count:
        whose = clip.name if work.unpaired else WHOSE[side].format(clip.name)
        lacking = "no face is found in it" if EXTRACTORS[metric.extractor].needs_face else "it has no frames"
        raise ValueError(f"{whose} gives no samples for {metric.name}: {lacking}")
    return kept


def _distance(work: Findings, metric: Metric, sides: tuple[list[Kept], list[Kept]]) -> Distance:
    # Roots of large matrices take seconds, which a rerun need not spend.
    keys = [kept.key for side in sides for kept in side]
    key = None if None in keys else ("distance", metric.key, len(sides[0]), *keys)
    if key and (known := work.cache.get(*key)):
        return Distance(float(known["distance"]), tuple(known["samples"].tolist()), float(known["deviation"]))
    found = metric.distance(*(_arrays(work, side) for side in sides))
    if key:
        arrays = {"distance": found.value, "samples": found.samples, "deviation": found.deviation}
        work.cache.put({name: np.array(value) for name, value in arrays.items()}, *key)
    return found


def _arrays(work: Findings, side: list[Kept]) -> Iterable[Arrays]:
    for kept in side:
        arrays = kept.arrays or work.cache.get(*kept.key)
        if arrays is None:
            raise ValueError(f"features vanished from the cache {work.cache.folder} during the run: run it again")
        yield arrays
