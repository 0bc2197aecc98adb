"""An evaluation as text for a terminal, and the words and numbers that all reports share."""

import math
from collections.abc import Callable, Iterable

from ..evaluate import Evaluation
from ..findings import ClipReport
from ..methods import Comparison
from ..metrics.metric import PAPER_METHODS, Metric
from ..scores import Score

DIGITS = 4

# → is the field's sign for "the nearer to the real one, the better".
ARROWS = {"higher": "↑", "lower": "↓", "real": "→", "": ""}
BETTER = {"higher": "higher", "lower": "lower", "real": "as the real clip", "": ""}
REAL_NOTE = "→ the nearer to the real clips' value, the better"
PAPER_NOTE = (
    "Columns of the paper (arXiv 2411.10061) are what it reports on its test set, EMTD. It does not state its "
    "detectors, crops and frame counts, so a difference from it may be one of the measurement."
)


def number(value: float | None) -> str:
    """A value as reports show it."""
    if value is None:
        return "not computed"
    if math.isinf(value):
        return "∞"
    return f"{value:.{DIGITS}f}" if abs(value) < 100 else f"{value:.2f}"


def value(score: Score | None) -> str:
    """A score as reports show it, empty where the metric was not asked for."""
    return "" if score is None else number(score.value)


def named(metric: Metric) -> str:
    """A metric's name, and in brackets those under which publications also have it."""
    return f"{metric.name} ({', '.join(metric.other_names)})" if metric.other_names else metric.name


def title(metric: Metric) -> str:
    """A metric's names with its arrow."""
    return f"{named(metric)} {ARROWS[metric.better]}".strip()


def deviation(score: Score) -> str:
    """The standard deviation of a value, empty where it has none."""
    return "" if math.isnan(score.deviation) else f"± {number(score.deviation)}"


def real(score: Score) -> str:
    """The value of the real clips, empty where it is not known."""
    return "" if score.real is None else number(score.real)


def spread(score: Score) -> list[str]:
    """Standard deviation and 95 % interval of a value, none of those that it does not have."""
    parts = [deviation(score)] if deviation(score) else []
    return parts + ([f"[{number(score.interval[0])}, {number(score.interval[1])}]"] if score.interval else [])


def counted(score: Score) -> str:
    """Of how many clips a value is; nothing where there is no value."""
    return "" if score.value is None else f"from {score.used} of {score.total} clips"


def sampled(score: Score) -> str:
    """Samples per side of a set metric."""
    return f"{score.samples[0]} / {score.samples[1]} samples" if score.samples else ""


def paper_cells(score: Score) -> list[str]:
    """The paper's values in the order of its methods."""
    return [f"{value:g}" if (value := score.metric.paper.get(m)) is not None else "–" for m in PAPER_METHODS]


def unlike_paper(metrics: Iterable[Metric]) -> list[str]:
    """A sentence per metric on what keeps its value from being compared with the paper's."""
    lines = []
    for metric in metrics:
        stand_in = "a stand-in: never comparable with the paper's" if metric.alternative_to else ""
        reason = metric.unlike_paper or stand_in
        lines += [f"{metric.name} and the paper: {reason}"] if reason else []
    return lines


def as_text(evaluation: Evaluation, paper: bool = False, notes: bool = True) -> str:
    """Numbers by line, of how many clips they are, reasons of those not computed or left out, and remarks.

    `paper` adds the paper's columns; without `notes` there are the numbers alone.
    """
    told = [PAPER_NOTE, *unlike_paper(score.metric for score in evaluation.scores)] if paper else []
    told += [*_on_all(evaluation), *_on_clips(evaluation)]
    return "\n".join([*_table(evaluation.scores, paper), *(told if notes else [])])


def _table(scores: list[Score], paper: bool) -> list[str]:
    several = any(score.total > 1 for score in scores)
    columns: list[tuple[str, Callable[[Score], str]]] = [("metric", lambda s: title(s.metric))]
    columns += [("value", lambda s: number(s.value)), ("real clip", real)]
    if several:
        columns += [("± deviation [95 %]", lambda s: " ".join(spread(s)))]
    if paper:
        columns += [(m, lambda s, i=i: paper_cells(s)[i]) for i, m in enumerate(PAPER_METHODS)]
    columns += [("generated / real", sampled)]
    if several:
        columns += [("clips", counted)]
    rows = [[column(score) for _, column in columns] for score in scores]
    return _aligned([name for name, _ in columns], rows)


def failures(evaluation: Evaluation) -> list[str]:
    """A line for each thing that went wrong: no value, a value without a clip, nothing kept for the next run."""
    lines = [*evaluation.problems]
    lines += [f"{', '.join(names)}: {reason}" for reason, names in reasons_of(evaluation).items()]
    return lines + [f"{name}, left out of {metrics}: {reason}" for name, metrics, reason in left_out(evaluation)]


def _on_all(evaluation: Evaluation) -> list[str]:
    return [*(f"note: {note}" for note in evaluation.notes), *failures(evaluation)]


def _on_clips(evaluation: Evaluation) -> list[str]:
    return [f"{clip.name}: {said}" for clip in evaluation.clips for said in own_remarks(clip, evaluation)]


def compared(comparison: Comparison, paper: bool = False, notes: bool = True) -> str:
    """Methods side by side, the best value of each metric with a star, then the paired tests and each by itself:
    what it has values of, and what is to be said of it alone.

    Without `notes` there is the first table alone.
    """
    rows = []
    for metric in comparison.metrics:
        row, best = comparison.row(metric), comparison.best(metric)
        cells = [_in_a_line(row.get(name), name in best) for name in comparison.methods]
        known = comparison.real(metric)
        rows.append([title(metric), *cells, "" if known is None else number(known)])
    lines = _aligned(["metric", *comparison.methods, "real clips"], rows)
    if not notes:
        return "\n".join(lines)
    lines += ["* best of its line; ± standard deviation over clips (of KID: over its subsets)"]
    lines += [REAL_NOTE] if any(metric.better == "real" for metric in comparison.metrics) else []
    lines += [f"note: {comparison.uneven()}"] if comparison.uneven() else []
    tests = tested(comparison)
    lines += ["", *_aligned(TEST_COLUMNS, tests)] if tests else []
    # What is so for every method is said once.
    own = {name: _on_all(evaluation) for name, evaluation in comparison.methods.items()}
    shared = [line for line in next(iter(own.values())) if all(line in said for said in own.values())]
    lines += ["", *shared] if shared else []
    for name, evaluation in comparison.methods.items():
        known = [score for score in evaluation.scores if score.value is not None]
        lines += ["", f"== {name} ==", *_table(known, paper)]
        lines += [line for line in own[name] if line not in shared] + _on_clips(evaluation)
    lines += ["", PAPER_NOTE, *unlike_paper(comparison.metrics)] if paper else []
    return "\n".join(lines)


def _in_a_line(score: Score | None, best: bool) -> str:
    parts = (value(score), deviation(score) if score else "", "*" if best else "")
    return " ".join(part for part in parts if part)


TEST_COLUMNS = ["paired", "methods", "difference", "95 %", "p (Wilcoxon)", "clips"]


def tested(comparison: Comparison) -> list[list[str]]:
    """Rows of TEST_COLUMNS, for every metric that clips have one by one."""
    rows = []
    for metric in comparison.metrics:
        for (first, second), test in comparison.tests(metric).items():
            interval = f"[{number(test.interval[0])}, {number(test.interval[1])}]" if test.interval else "–"
            p = "–" if math.isnan(test.p) else f"{test.p:.3g}"
            rows.append([metric.name, f"{first} − {second}", number(test.difference), interval, p, str(test.clips)])
    return rows


def _aligned(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table, without columns that are empty."""
    wanted = [column for column in range(len(head)) if column < 2 or any(row[column] for row in rows)]
    rows = [[row[column] for column in wanted] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def reasons_of(evaluation: Evaluation) -> dict[str, list[str]]:
    """Names of the metrics without a value, by the reason."""
    reasons: dict[str, list[str]] = {}
    for score in evaluation.scores:
        if score.value is None:
            reasons.setdefault(score.reason, []).append(score.metric.name)
    return reasons


def _reasons(evaluation: Evaluation) -> dict[tuple[str, str], list[str]]:
    """Names of the metrics that have a value without a clip, by (clip, reason)."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for score in evaluation.scores:
        for name, reason in score.left_out.items() if score.value is not None else ():
            metrics.setdefault((name, reason), []).append(score.metric.name)
    return metrics


def left_out(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """(clips, metrics that lack them, reason), clips that lack the same together."""
    clips: dict[tuple[str, str], list[str]] = {}
    for (name, reason), metrics in sorted(_reasons(evaluation).items()):
        clips.setdefault((", ".join(metrics), reason), []).append(name)
    return [(", ".join(names), metrics, reason) for (metrics, reason), names in clips.items()]


def own_remarks(clip: ClipReport, evaluation: Evaluation) -> list[str]:
    """Remarks that no reason of a metric has said already: each has one for every clip that its value is not of."""
    said = {score.left_out.get(clip.name) for score in evaluation.scores}
    return [remark for remark in clip.remarks if remark not in said]
