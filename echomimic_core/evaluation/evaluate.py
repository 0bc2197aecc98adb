"""From clips to numbers: which passes are needed, and what their results amount to."""

from dataclasses import dataclass, field
from pathlib import Path

from ..runtime import Progress
from .choosing import choose, jobs
from .clips import Clip
from .findings import ClipReport, Findings
from .metrics.metric import Metric
from .passes.cache import Cache
from .passes.jobs import cores, run_all
from .scores import Score, score
from .settings import Settings


@dataclass
class Evaluation:
    """Everything an evaluation found, in the order of `METRICS` and of the clips' names.

    Attributes
    ----------
    notes : sentences on the whole of it. problems : what went wrong beside the numbers, for whoever runs it.
    pairing : how generated and real clips belong together. sources : the generated clips, for stills and players.
    real : the real clip of each, by name, where it has one. portraits : likewise its reference picture.
    real_set : the real clips of an unpaired set, by name.
    """

    scores: list[Score]
    clips: list[ClipReport]
    notes: list[str] = field(default_factory=list)
    sources: dict[str, Clip] = field(default_factory=dict)
    real: dict[str, Clip] = field(default_factory=dict)
    portraits: dict[str, Clip] = field(default_factory=dict)
    real_set: dict[str, Clip] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    pairing: str = ""

    def value(self, key: str) -> float | None:
        """The value of a metric by its key, None if it was not computed."""
        found = self.score(key)
        return None if found is None else found.value

    def score(self, key: str) -> Score | None:
        """The score of a metric by its key, None if it was not asked for."""
        return next((score for score in self.scores if score.metric.key == key), None)


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
    unpaired: bool = False,
    ray: str | None = None,
) -> Evaluation:
    """Evaluate generated clips, against real ones where a metric asks for them.

    Parameters
    ----------
    reference : real clips, matched by name (a single one serves a single clip); a picture serves CSIM alone.
    metrics : None for all. pictures : reference pictures for CSIM by name, else those of `reference`.
    cache : folder in which results are kept, None for none. processes : 0 is one per core.
    progress : called with (frames done, frames of all); may raise to cancel.
    absent : clips that should be there and are not, by name, with the reason: every score tells that it lacks them.
    unpaired : the real clips are a set of their own, whatever their names; so they are where no name is in both sets.
    ray : the address of a Ray cluster that reads the clips instead of processes, or "local".

    Raises
    ------
    ValueError : no clips. A metric or clip that fails is reported instead.
    """
    if not generated:
        raise ValueError("there are no clips to evaluate")
    generated = sorted(generated, key=lambda clip: clip.name)
    work = Findings(generated, reference or [], pictures or [], settings or Settings(), Cache(cache), unpaired)
    work.absent |= absent or {}
    chosen = choose(work, metrics)
    passes = jobs(work, chosen, processes or cores())
    for job, results, remarks in run_all(passes, work.settings, work.cache, processes, progress, ray):
        work.take(job, results, remarks)
    scores = [score(work, metric) for metric in chosen]
    work.notes += [score.warning for score in scores if score.warning]
    return Evaluation(
        scores,
        finish(work, chosen),
        work.notes,
        sources={clip.name: clip for clip in generated},
        real=dict(work.videos),
        portraits=dict(work.portraits),
        real_set={clip.name: clip for clip in work.real_set},
        problems=[work.cache.problem] if work.cache.problem else [],
        pairing=work.pairing,
    )


def finish(work: Findings, chosen: list[Metric]) -> list[ClipReport]:
    """The clips with the curves that the chosen metrics leave behind."""
    for clip in work.generated:
        report = work.reports[clip.name]
        # Passes end in any order.
        report.remarks.sort()
        try:
            report.fps = work.poses[clip.name].fps if clip.kind == "pose" else clip.fps()
        except (ValueError, AttributeError):
            continue
        for metric in chosen:
            if metric.curve is None:
                continue
            try:
                report.curves |= metric.curve(work, clip)
            except ValueError:
                continue
    return list(work.reports.values())
