"""Which metrics are computed, what they lack, and the passes over the frames that they need."""

from .extractors import EXTRACTORS, GROUPS
from .findings import Findings
from .metrics.frechet import fvd
from .metrics.metric import Metric
from .metrics.registry import BY_KEY, METRICS
from .passes.jobs import Job


def choose(work: Findings, metrics: list[Metric] | None) -> list[Metric]:
    """The metrics asked for; alternatives join where a network is missing, and poses have theirs alone."""
    chosen = _chosen(work, metrics)
    named = {"fvd": fvd(work.settings.fvd, work.settings.clip_frames)}
    return [named.get(metric.key, metric) for metric in chosen]


def _chosen(work: Findings, metrics: list[Metric] | None) -> list[Metric]:
    only_poses = all(clip.kind == "pose" for clip in work.generated)
    if metrics is None:
        return [metric for metric in METRICS if metric.of_poses] if only_poses else list(METRICS)
    keys = {metric.key for metric in metrics}
    if not only_poses:
        keys |= {m.key for m in METRICS if m.alternative_to in keys and missing(work, BY_KEY[m.alternative_to])}
    return [metric for metric in METRICS if metric.key in keys]


def missing(work: Findings, metric: Metric) -> str:
    """The sentences about networks that the metric lacks, empty if it has all."""
    networks = metric.needs
    extractor = EXTRACTORS.get(metric.extractor)
    if extractor:
        networks = extractor.networks
    if metric.extractor == "syncnet" and work.settings.sync_crop == "whole":
        networks = ("syncnet",)
    try:
        lacking = "; ".join(work.settings.missing(n) for n in networks if work.settings.find(n) is None)
        return lacking or (extractor.lacks(work.settings) if extractor else "")
    except ValueError as error:
        return str(error)


def jobs(work: Findings, chosen: list[Metric], processes: int) -> list[Job]:
    """The passes that the metrics need, for which everything is there."""
    usable = [metric for metric in chosen if not missing(work, metric)]
    own = {metric.extractor for metric in usable if metric.scope != "pair"}
    of_sets = {metric.extractor for metric in usable if metric.scope == "set"}
    of_real = of_sets | {metric.extractor for metric in usable if metric.better == "real"}
    if not work.has_videos:
        own, of_real = own - of_sets, set()
    portraits = {name for name in own if name in ("arcface", "dlib")}
    pairs = tuple(metric.key for metric in usable if metric.scope == "pair")
    videos = [clip for clip in work.generated if clip.kind != "pose"]
    # With fewer clips than processes, groups of extractors read a clip side by side.
    groups = GROUPS if len(videos) < processes else (tuple(EXTRACTORS),)
    jobs = {}

    def add(job: Job) -> None:
        if job.names:
            jobs.setdefault(job)

    for group in groups:
        for clip in videos:
            add(Job(clip, tuple(name for name in group if name in own), set_size=len(videos)))
            if clip.name in work.videos:
                real = tuple(name for name in group if name in of_real)
                add(Job(work.videos[clip.name], real, set_size=len(videos)))
        for clip in work.real_set:
            add(Job(clip, tuple(name for name in group if name in of_real), set_size=len(work.real_set)))
    for clip in videos:
        if clip.name in work.portraits:
            add(Job(work.portraits[clip.name], tuple(sorted(portraits)), limit=1))
        if clip.name in work.videos:
            add(Job(clip, pairs, reference=work.videos[clip.name]))
    for clip in work.generated:
        if clip.kind == "pose":
            work.read_pose(clip)
    return list(jobs)
