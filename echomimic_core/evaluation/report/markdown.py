"""An evaluation as Markdown, with its curves as pictures next to it."""

from ..methods import Comparison
from ..metrics.metric import PAPER_METHODS
from .setup import Setup
from .text import (
    BETTER,
    PAPER_NOTE,
    TEST_COLUMNS,
    counted,
    left_out,
    named,
    number,
    own_remarks,
    paper_cells,
    real,
    reasons_of,
    sampled,
    spread,
    tested,
    unlike_paper,
    value,
)


def _paper_note(comparison: Comparison) -> list[str]:
    return [PAPER_NOTE, "", *(f"- {line}" for line in unlike_paper(comparison.metrics)), ""]


def markdown(comparison: Comparison, setup: Setup, links: dict[tuple[str, str], str], paper: bool = False) -> str:
    """The report as text; `links` are files of curves by (method, clip)."""
    lines = ["# Evaluation", ""]
    names = [name or "Value" for name in comparison.methods]
    rows = [["Metric", "Better", *names, *(PAPER_METHODS if paper else ()), "Good"]]
    for metric in comparison.metrics:
        row, best = comparison.row(metric), comparison.best(metric)
        cells = [f"**{value(row[n])}**" if n in best else value(row.get(n)) for n in comparison.methods]
        known = paper_cells(next(iter(row.values()))) if paper else []
        rows.append([named(metric), BETTER[metric.better], *cells, *known, metric.good])
    lines += [*_table(rows), *(_paper_note(comparison) if paper else [])]
    if comparison.uneven():
        lines += [f"- {comparison.uneven()}", ""]
    tests = tested(comparison)
    lines += ["## Paired tests", "", *_table([TEST_COLUMNS, *tests])] if tests else []
    for method, evaluation in comparison.methods.items():
        lines += [f"## {method}", ""] if method else []
        lines += [f"- {note}" for note in evaluation.notes]
        lines += [f"- {', '.join(names)} not computed: {reason}" for reason, names in reasons_of(evaluation).items()]
        details = [
            [s.metric.name, " ".join(spread(s)), real(s), sampled(s), counted(s)]
            for s in evaluation.scores
            if s.value is not None
        ]
        lines += [
            "",
            *_table([["Metric", "± deviation, 95 % interval", "Real clips", "Generated / real", "Clips"], *details]),
        ]
        gone = list(map(list, left_out(evaluation)))
        lines += ["## Clips left out", "", *_table([["Clip", "Left out of", "Because"], *gone])] if gone else []
        single = [score for score in evaluation.scores if score.clips]
        rows = [["Clip", *(score.metric.name for score in single)]]
        for clip in evaluation.clips:
            values = (score.clips.get(clip.name) for score in single)
            rows.append([clip.name, *("–" if value is None else number(value) for value in values)])
        lines += ["## Clips", "", *_table(rows)]
        for clip in evaluation.clips:
            link = links.get((method, clip.name))
            remarks = own_remarks(clip, evaluation)
            if remarks or link:
                lines += [f"### {clip.name}", "", *(f"- {remark}" for remark in remarks), ""]
            if link:
                lines += [f"![curves of {clip.name}]({link})", ""]
    definitions = [[metric.name, metric.definition, metric.source] for metric in comparison.metrics]
    lines += ["## Definitions", "", *_table([["Metric", "Definition", "Source"], *definitions])]
    lines += ["## How it was made", "", *_setup(setup)]
    return "\n".join(lines)


def _setup(setup: Setup) -> list[str]:
    pairs = [("Date", setup.date), ("Command", setup.command)]
    for name in ("protocol", "versions", "networks", "data"):
        pairs += [(name.capitalize(), "; ".join(f"{key}: {value}" for key, value in getattr(setup, name).items()))]
    return [*(f"- {key}: `{value}`" for key, value in pairs if value), ""]


def _table(rows: list[list[str]]) -> list[str]:
    """Lines of a table, its head first, without columns that are empty below the head."""
    wanted = [column for column in range(len(rows[0])) if column < 2 or any(row[column] for row in rows[1:])]
    rows = [[row[column] for column in wanted] for row in rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""]
