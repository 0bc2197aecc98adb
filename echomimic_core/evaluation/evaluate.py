"""From clips to numbers: which passes are needed, and what their results amount to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..pose import HandPose
from ..runtime import Progress
from .clips import CLIP, Clip, match
from .extractors import EXTRACTORS, GROUPS
from .metrics import hands
from .metrics.frechet import Moments, distance_of
from .metrics.registry import BY_KEY, HANDS_BY_DWPOSE, METRICS, Metric, fvd
from .passes.cache import Cache
from .passes.extract import Result
from .passes.jobs import Job, cores, run_all
from .scores import CURVES, SCORES
from .settings import Settings

POSE_METRICS = ("hkc", "hkv", "hands")
DISTRIBUTIONS = {metric.extractor for metric in METRICS if metric.scope == "set"}


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


@dataclass
class ClipReport:
    """What is to be said of one clip: remarks (sentences), and curves over its frames by name, each (F,)."""

    name: str
    fps: float = 24.0
    remarks: list[str] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)

    def remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)


@dataclass
class Evaluation:
    """Everything an evaluation found, in the order of `METRICS` and of the clips' names."""

    scores: list[Score]
    clips: list[ClipReport]

    def value(self, key: str) -> float | None:
        """The value of a metric by its key, None if it was not computed."""
        return next((score.value for score in self.scores if score.metric.key == key), None)


def evaluate(
    generated: list[Clip],
    reference: list[Clip] | None = None,
    metrics: list[Metric] | None = None,
    settings: Settings | None = None,
    pictures: list[Clip] | None = None,
    cache: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
    absent: dict[str, str] | None = None,
) -> Evaluation:
    """Evaluate generated clips, against real ones where a metric asks for them.

    Parameters
    ----------
    reference : real clips, matched by name (a single one serves a single clip); a picture serves CSIM alone.
    metrics : None for all. pictures : reference pictures for CSIM by name, else those of `reference`.
    cache : folder in which results are kept, None for none. processes : 0 is one a core.
    progress : called with (frames done, frames of all); may raise to cancel.
    absent : clips that should be there and are not, by name, with the reason: every score tells that it lacks them.

    Raises
    ------
    ValueError : no clips. A metric or clip that fails is reported instead.
    """
    if not generated:
        raise ValueError("there are no clips to evaluate")
    generated = sorted(generated, key=lambda clip: clip.name)
    work = Findings(generated, reference or [], pictures or [], settings or Settings(), Cache(cache))
    work.absent |= absent or {}
    chosen = work.choose(metrics)
    jobs = work.jobs(chosen, processes or cores())
    for job, results, remarks in run_all(jobs, work.settings, work.cache, processes, progress):
        work.take(job, results, remarks)
    scores = [work.score(metric) for metric in chosen]
    return Evaluation(scores, work.finish(chosen))


@dataclass(frozen=True)
class Kept:
    """Features of a clip for a distribution: how many, and the arrays themselves or where the cache has them."""

    count: int
    key: tuple | None
    arrays: dict[str, np.ndarray] | None = None


class Findings:
    """The clips, what was taken from them, and how metrics come of it."""

    def __init__(
        self, generated: list[Clip], reference: list[Clip], pictures: list[Clip], settings: Settings, cache: Cache
    ):
        self.settings, self.cache = settings, cache
        self.reports = {clip.name: ClipReport(clip.name) for clip in generated}
        self.generated = generated
        pairs = match(generated, reference) if reference else [(clip, None) for clip in generated]
        self.videos = {c.name: r for c, r in pairs if r is not None and r.kind == "video"}
        portraits = {c.name: r for c, r in pairs if r is not None and r.kind != "pose"}
        if pictures:
            portraits |= {c.name: p for c, p in match(generated, pictures) if p is not None}
        self.portraits = portraits
        self.has_videos = any(clip.kind == "video" for clip in reference)
        taken = {clip.name for clip in generated} | {r.name for _, r in pairs if r is not None}
        unmatched = [clip.name for clip in reference if clip.kind == "video" and clip.name not in taken]
        self.absent = dict.fromkeys(sorted(unmatched), "no generated clip has the name of this real one")
        for clip, real in pairs:
            if reference and real is None:
                self.reports[clip.name].remark(f"the reference has nothing named {clip.name}")
        # Results by (which: "generated", "reference", "portrait" or "pair", name of the generated clip, extractor).
        self.results: dict[tuple[str, str, str], Result | Kept] = {}
        self.poses: dict[str, HandPose | str] = {}

    def choose(self, metrics: list[Metric] | None) -> list[Metric]:
        """The metrics asked for; alternatives join where a network is missing, and poses have theirs alone."""
        chosen = self._chosen(metrics)
        only_poses = all(clip.kind == "pose" for clip in self.generated)
        by_dwpose = not only_poses and self.missing(BY_KEY["hands"]) and not self.missing(HANDS_BY_DWPOSE)
        self.hands_by = "dwpose" if by_dwpose else "hands"
        told = {"hands": HANDS_BY_DWPOSE} if by_dwpose else {}
        told["fvd"] = fvd(self.settings.clip_frames)
        return [told.get(metric.key, metric) for metric in chosen]

    def _chosen(self, metrics: list[Metric] | None) -> list[Metric]:
        only_poses = all(clip.kind == "pose" for clip in self.generated)
        if metrics is None:
            return [BY_KEY[key] for key in POSE_METRICS] if only_poses else list(METRICS)
        keys = {metric.key for metric in metrics}
        if not only_poses:
            keys |= {m.key for m in METRICS if m.alternative_to in keys and self.missing(BY_KEY[m.alternative_to])}
        return [metric for metric in METRICS if metric.key in keys]

    def missing(self, metric: Metric) -> str:
        """The sentences about networks that the metric lacks, empty if it has all."""
        networks = ("lpips",) if metric.key == "lpips" else ()
        extractor = EXTRACTORS.get(metric.extractor)
        if extractor:
            networks = extractor.networks
        if metric.extractor == "syncnet" and self.settings.sync_crop == "whole":
            networks = ("syncnet",)
        try:
            lacking = "; ".join(self.settings.missing(n) for n in networks if self.settings.find(n) is None)
            lacking = lacking or (extractor.lacks(self.settings) if extractor else "")
        except ValueError as error:
            return str(error)
        if metric == BY_KEY["hands"] and lacking and (instead := self.missing(HANDS_BY_DWPOSE)):
            return f"{lacking}; or, to find hands without MediaPipe: {instead}"
        return lacking

    def jobs(self, chosen: list[Metric], processes: int) -> list[Job]:
        """The passes that the metrics need, for which everything is there."""
        usable = [metric for metric in chosen if not self.missing(metric)]
        own = {metric.extractor for metric in usable if metric.scope != "pair"}
        sets = {metric.extractor for metric in usable if metric.scope == "set"} if self.has_videos else set()
        own -= {metric.extractor for metric in usable if metric.scope == "set"} - sets
        portraits = {name for name in own if name in ("arcface", "dlib")}
        pairs = tuple(metric.key for metric in usable if metric.scope == "pair")
        videos = [clip for clip in self.generated if clip.kind != "pose"]
        # With fewer clips than processes, groups of extractors read a clip side by side.
        groups = GROUPS if len(videos) < processes else (tuple(EXTRACTORS),)
        jobs = {}

        def add(job: Job) -> None:
            if job.names:
                jobs.setdefault(job)

        for group in groups:
            for clip in videos:
                add(Job(clip, tuple(name for name in group if name in own)))
                if clip.name in self.videos:
                    add(Job(self.videos[clip.name], tuple(name for name in group if name in sets)))
        for clip in videos:
            if clip.name in self.portraits:
                add(Job(self.portraits[clip.name], tuple(sorted(portraits)), limit=1))
            if clip.name in self.videos:
                add(Job(clip, pairs, reference=self.videos[clip.name]))
        for clip in self.generated:
            if clip.kind == "pose":
                self._read_pose(clip)
        return list(jobs)

    def _read_pose(self, clip: Clip) -> None:
        try:
            self.poses[clip.name] = clip.pose()
        except ValueError as error:
            self.poses[clip.name] = str(error)
            self.reports[clip.name].remark(str(error))

    def take(self, job: Job, results: dict[str, Result], remarks: list[str]) -> None:
        """File the results of a pass under every clip they are for."""
        for clip in self.generated:
            if job.reference:
                kinds = ["pair"] if job.clip is clip and job.reference is self.videos.get(clip.name) else []
            elif job.limit:
                kinds = ["portrait"] if job.clip is self.portraits.get(clip.name) else []
            else:
                kinds = ["generated"] if job.clip is clip else []
                kinds += ["reference"] if job.clip is self.videos.get(clip.name) else []
            for kind in kinds:
                whose = WHOSE[kind].format(clip.name)
                for name, result in results.items():
                    if isinstance(result, str):
                        result = result.replace(CLIP, whose)
                    self.results[kind, clip.name, name] = self._light(job, name, result)
                    if isinstance(result, str) and (kind != "pair" or name != "lpips"):
                        self.reports[clip.name].remark(result)
                for sentence in remarks:
                    self.reports[clip.name].remark(sentence)

    def score(self, metric: Metric) -> Score:
        """The metric over all clips."""
        if metric.scope != "clip" and not self.has_videos:
            return Score(metric, reason="it needs real clips to compare with: name a reference video or folder")
        only_poses = all(clip.kind == "pose" for clip in self.generated)
        if only_poses and metric.key not in POSE_METRICS:
            return Score(metric, reason="a pose has no pictures")
        if not (metric.key in POSE_METRICS and self.poses) and (reason := self.missing(metric)):
            return Score(metric, reason=reason)
        if metric.scope == "set":
            return self._score_set(metric)
        values, left_out = {}, {}
        for clip in self.generated:
            try:
                values[clip.name] = SCORES[metric.key](self, clip)
            except ValueError as error:
                left_out[clip.name] = str(error)
                self.reports[clip.name].remark(str(error))
        value, infinite = _mean(values)
        # One clip that equals its real one would hide how far the others are from theirs.
        left_out |= dict.fromkeys(infinite, f"it equals its real clip, so its {metric.name} has no finite value")
        return self._counted(Score(metric, value, clips=values), left_out)

    def _counted(self, score: Score, left_out: dict[str, str]) -> Score:
        """The score with what it is of, and what it is not of and why."""
        score.used = len(self.generated) - len(left_out)
        score.total = len(self.generated) + len(self.absent)
        if score.value is None:
            # What many clips lack comes first.
            reasons = Counter(left_out.values()).most_common()
            score.reason = score.reason or "; ".join(reason for reason, _ in reasons)
            score.used = 0
        score.left_out = left_out | self.absent
        return score

    def _light(self, job: Job, name: str, result: Result) -> Result | Kept:
        """Features of distributions stay on disk where they are cached: a test set of them would fill the memory."""
        if name in DISTRIBUTIONS and isinstance(result, dict):
            key = job.cache_key(name, self.settings)
            if key is None or self.cache.folder is None:
                return Kept(int(result["count"]), key, result)
            return Kept(int(result["count"]), key)
        return result

    def _score_set(self, metric: Metric) -> Score:
        pairs: list[tuple[Kept, Kept]] = []
        left_out = {}
        for clip in self.generated:
            # Without its counterpart a clip would shift one side only.
            try:
                pairs.append(tuple(self._samples(side, clip, metric) for side in ("generated", "reference")))
            except ValueError as error:
                left_out[clip.name] = str(error)
        try:
            value = self._distance(pairs) if pairs else None
        except ValueError as error:
            return self._counted(Score(metric, reason=str(error)), left_out)
        return self._counted(Score(metric, value), left_out)

    def _samples(self, side: str, clip: Clip, metric: Metric) -> Kept:
        kept = self.arrays(side, clip, metric.extractor)
        if not kept.count:
            whose = WHOSE[side].format(clip.name)
            lacking = "no face is found in it" if EXTRACTORS[metric.extractor].needs_face else "it has no frames"
            raise ValueError(f"{whose} gives no samples for {metric.name}: {lacking}")
        return kept

    def _distance(self, pairs: list[tuple[Kept, Kept]]) -> float:
        # Roots of large matrices take seconds, which a rerun need not spend.
        key = ("distance", *(kept.key for pair in pairs for kept in pair))
        key = None if None in key else key
        if key and (known := self.cache.get(*key)):
            return float(known["distance"])
        distance = distance_of(*(self._pooled(side) for side in zip(*pairs, strict=True)))
        if key:
            self.cache.put({"distance": np.array(distance)}, *key)
        return distance

    def _pooled(self, side: Iterable[Kept]) -> Moments:
        pooled = None
        for kept in side:
            arrays = kept.arrays or self.cache.get(*kept.key)
            if arrays is None:
                raise ValueError(f"features could not be kept in {self.cache.folder}: make room there, or use no cache")
            moments = Moments.from_arrays(arrays)
            pooled = pooled or Moments(moments.dim)
            pooled.merge(moments)
        return pooled

    def arrays(self, kind: str, clip: Clip, extractor: str) -> dict[str, np.ndarray] | Kept:
        """The results of an extractor; its sentence as ValueError."""
        result = self.results.get((kind, clip.name, extractor))
        if result is None:
            raise ValueError(f"{clip.name} has no {NEEDED[kind]}")
        if isinstance(result, str):
            raise ValueError(result)
        return result

    def pose(self, clip: Clip, extractor: str) -> HandPose:
        """The hands of a clip: its own if it is a pose, else those that were found."""
        if clip.kind == "pose":
            pose = self.poses[clip.name]
            if isinstance(pose, str):
                raise ValueError(pose)
            return pose
        found = self.arrays("generated", clip, extractor)
        width, height = (int(value) for value in found["size"])
        return hands.from_pixels(found["points"], found["scores"], width, height, float(found["fps"]))

    def finish(self, chosen: list[Metric]) -> list[ClipReport]:
        """The clips with the curves that the chosen metrics leave behind."""
        for clip in self.generated:
            report = self.reports[clip.name]
            # Passes end in any order.
            report.remarks.sort()
            try:
                report.fps = self.poses[clip.name].fps if clip.kind == "pose" else clip.fps()
            except (ValueError, AttributeError):
                continue
            for metric in chosen:
                if metric.key not in CURVES:
                    continue
                try:
                    report.curves |= CURVES[metric.key](self, clip)
                except ValueError:
                    continue
        return list(self.reports.values())


def _mean(values: dict[str, float]) -> tuple[float | None, list[str]]:
    """Mean of the finite values, and the names of the others; infinity if none is finite, None without any."""
    finite = [value for value in values.values() if math.isfinite(value)]
    if finite:
        return float(np.mean(finite)), [name for name, value in values.items() if not math.isfinite(value)]
    return (math.inf if values else None), []


WHOSE = {
    "generated": "{}",
    "reference": "the real clip of {}",
    "portrait": "the reference picture of {}",
    "pair": "{}",
}
NEEDED = {
    "generated": "pictures",
    "reference": "real clip",
    "portrait": "reference picture",
    "pair": "real clip to compare with",
}
