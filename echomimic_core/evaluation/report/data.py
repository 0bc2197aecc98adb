"""An evaluation for programs: JSON by a schema, CSV for spreadsheets, LaTeX for papers."""

import csv
import io
import json
import math
from pathlib import Path

from ..evaluate import Evaluation
from ..methods import Comparison
from ..scores import Score
from ..sets import REPORT_FORMAT
from .setup import Setup
from .text import named, number

VERSION = 2
SCHEMA = Path(__file__).with_name("schema.json")
LATEX_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "real": r" $\rightarrow$", "": ""}
LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}
LATEX |= {"^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--", "²": "$^2$", "∞": r"$\infty$"}


def as_json(evaluation: Evaluation | Comparison, setup: Setup | None = None) -> str:
    """Everything, for programs, by `schema.json`: infinity is the text "Infinity", an unknown value null."""
    content = {"format": REPORT_FORMAT, "version": VERSION}
    if isinstance(evaluation, Comparison):
        methods = {name: _one(found) for name, found in evaluation.methods.items()}
        tests = [
            {
                "metric": metric.key,
                "methods": list(pair),
                "difference": plain(test.difference),
                "interval": test.interval and [plain(value) for value in test.interval],
                "p": plain(test.p),
                "clips": test.clips,
            }
            for metric in evaluation.metrics
            for pair, test in evaluation.tests(metric).items()
        ]
        content |= {"methods": methods, "tests": tests}
    else:
        content |= _one(evaluation)
    content |= {"setup": setup.as_json()} if setup else {}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _one(evaluation: Evaluation) -> dict:
    clips = {
        clip.name: {
            "fps": clip.fps,
            "remarks": clip.remarks,
            "curves": {name: [plain(float(v)) for v in values] for name, values in clip.curves.items()},
        }
        for clip in evaluation.clips
    }
    metrics = {score.metric.key: _score(score) for score in evaluation.scores}
    return {"metrics": metrics, "clips": clips, "notes": evaluation.notes}


def _score(score: Score) -> dict:
    metric = score.metric
    return {
        "name": metric.name,
        "other_names": list(metric.other_names),
        "value": plain(score.value),
        "deviation": plain(score.deviation),
        "real": plain(score.real),
        "interval": score.interval and [plain(value) for value in score.interval],
        "samples": score.samples and list(score.samples),
        "reason": score.reason,
        "better": metric.better,
        "from": {"used": score.used, "total": score.total, "left_out": score.left_out},
        "clips": {name: plain(value) for name, value in score.clips.items()},
        "definition": metric.definition,
        "source": metric.source,
        "paper": metric.paper,
        "unlike_paper": metric.unlike_paper,
    }


def plain(value: float | None) -> float | str | None:
    """A number as JSON can hold it."""
    if value is None or math.isnan(value):
        return None
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else float(f"{value:.8g}")


def as_csv(comparison: Comparison) -> str:
    """A line per method and clip with a column per metric, before them a line per method of all clips."""
    keys = [metric.key for metric in comparison.metrics]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "clip", *keys])
    for method, evaluation in comparison.methods.items():
        scores = [evaluation.score(key) for key in keys]
        writer.writerow([method, "(all)", *(_cell(score and score.value) for score in scores)])
        for clip in (report.name for report in evaluation.clips):
            writer.writerow([method, clip, *(_cell(score and score.clips.get(clip)) for score in scores)])
    return out.getvalue()


def _cell(value: float | None) -> str:
    found = plain(value)
    return "" if found is None else str(found)


def as_latex(comparison: Comparison) -> str:
    r"""A table of booktabs (\usepackage{booktabs}): a line per method, a column per metric, the best value bold.

    Values of single clips are means with their standard deviation; metrics that should be near the real clips' have
    those in a line of their own.
    """
    metrics = [
        metric for metric in comparison.metrics if any(s.value is not None for s in comparison.row(metric).values())
    ]
    head = " & ".join(["Method", *(escape(named(metric)) + LATEX_ARROWS[metric.better] for metric in metrics)])
    lines = [f"% {comparison.uneven()}"] if comparison.uneven() else []
    lines += ["% mean and standard deviation over clips (of KID: over its subsets)"]
    lines += [r"\begin{tabular}{l" + "r" * len(metrics) + "}", r"\toprule", head + r" \\", r"\midrule"]
    real = {metric.key: value for metric in metrics if (value := comparison.real(metric)) is not None}
    if real:
        cells = [_in_latex(real[metric.key]) if metric.key in real else "--" for metric in metrics]
        lines += [" & ".join(["Real clips", *cells]) + r" \\", r"\midrule"]
    best = {metric.key: comparison.best(metric) for metric in metrics}
    for method, evaluation in comparison.methods.items():
        cells = [escape(method or "Ours")]
        for metric in metrics:
            score = evaluation.score(metric.key)
            value = "--" if score is None or score.value is None else _in_latex(score.value)
            value = rf"\textbf{{{value}}}" if method in best[metric.key] else value
            known = score is not None and not math.isnan(score.deviation)
            cells.append(value + (rf" {{\scriptsize $\pm$ {_in_latex(score.deviation)}}}" if known else ""))
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _in_latex(value: float) -> str:
    shown = escape(number(value))
    return f"${{-}}${shown[1:]}" if shown.startswith("-") else shown


def escape(text: str) -> str:
    """A text as LaTeX shows it."""
    return "".join(LATEX.get(letter, letter) for letter in text)
