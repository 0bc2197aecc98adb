"""An evaluation as text, JSON, Markdown or a web page of one file."""

import base64
import html
import json
import math
from pathlib import Path

from ...files.durable import Draft, write_bytes
from ..clips import REPORT_FORMAT
from ..evaluate import Evaluation
from ..findings import ClipReport
from ..metrics.metric import PAPER_METHODS
from ..scores import Score
from . import curves

VERSION = 1
SUFFIXES = (".html", ".md")
DIGITS = 4

ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def number(value: float | None) -> str:
    """A value as reports show it."""
    if value is None:
        return "not computed"
    if math.isinf(value):
        return "∞"
    return f"{value:.{DIGITS}f}" if abs(value) < 100 else f"{value:.2f}"


def as_text(evaluation: Evaluation, paper: bool = False) -> str:
    """Numbers by line, of how many clips they are, reasons of those not computed or left out, and remarks.

    `paper` adds the paper's columns.
    """
    counts = any(score.total > 1 for score in evaluation.scores)
    rows = [["metric", "value", *(PAPER_METHODS if paper else ()), *(["clips"] if counts else [])]]
    for score in evaluation.scores:
        row = [f"{score.metric.name} {ARROWS[score.metric.better]}".strip(), number(score.value)]
        rows.append(row + (_paper_cells(score) if paper else []) + ([counted(score)] if counts else []))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons: dict[str, list[str]] = {}
    for score in evaluation.scores:
        if score.value is None:
            reasons.setdefault(score.reason, []).append(score.metric.name)
    lines += [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    lines += [f"{name}, left out of {metrics}: {reason}" for name, metrics, reason in _left_out(evaluation)]
    for clip in evaluation.clips:
        lines += [f"{clip.name}: {remark}" for remark in _own_remarks(clip, evaluation)]
    return "\n".join(lines)


def counted(score: Score) -> str:
    """Of how many clips a value is; nothing where there is no value."""
    return "" if score.value is None else f"from {score.used} of {score.total} clips"


def _reasons(evaluation: Evaluation) -> dict[tuple[str, str], list[str]]:
    """Names of the metrics that have a value without a clip, by (clip, reason)."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for score in evaluation.scores:
        for name, reason in score.left_out.items() if score.value is not None else ():
            metrics.setdefault((name, reason), []).append(score.metric.name)
    return metrics


def _left_out(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """(clips, metrics that lack them, reason), clips that lack the same together."""
    clips: dict[tuple[str, str], list[str]] = {}
    for (name, reason), metrics in sorted(_reasons(evaluation).items()):
        clips.setdefault((", ".join(metrics), reason), []).append(name)
    return [(", ".join(names), metrics, reason) for (metrics, reason), names in clips.items()]


def _paper_cells(score: Score) -> list[str]:
    return [f"{value:g}" if (value := score.metric.paper.get(m)) is not None else "–" for m in PAPER_METHODS]


def _own_remarks(clip: ClipReport, evaluation: Evaluation) -> list[str]:
    """Remarks that no reason of a metric, or of a clip left out, has said already."""
    said = {part for score in evaluation.scores for part in score.reason.split("; ")}
    said |= {reason for name, reason in _reasons(evaluation) if name == clip.name}
    return [remark for remark in clip.remarks if remark not in said]


def as_json(evaluation: Evaluation) -> str:
    """Everything, for programs; infinity is the text "Infinity", unknown frames of curves are null."""
    metrics = {}
    for score in evaluation.scores:
        metric = score.metric
        metrics[metric.key] = {
            "name": metric.name,
            "value": _plain(score.value),
            "reason": score.reason,
            "better": metric.better,
            "from": {"used": score.used, "total": score.total, "left_out": score.left_out},
            "clips": {name: _plain(value) for name, value in score.clips.items()},
            "definition": metric.definition,
            "source": metric.source,
            "paper": metric.paper,
        }
    clips = {
        clip.name: {
            "fps": clip.fps,
            "remarks": clip.remarks,
            "curves": {name: [_plain(float(v)) for v in values] for name, values in clip.curves.items()},
        }
        for clip in evaluation.clips
    }
    content = {"format": REPORT_FORMAT, "version": VERSION, "metrics": metrics, "clips": clips}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else float(f"{value:.8g}")


def save(evaluation: Evaluation, path: str | Path, paper: bool = True) -> list[Path]:
    """Write a report as .html (one file) or .md (with its curves as .png next to it); returns what was written.

    Raises
    ------
    ValueError : another ending.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a report is written as .html or .md, not as {path.name!r}")
    pictures = {clip.name: curves.png(curves.draw(clip)) for clip in evaluation.clips if clip.curves}
    if path.suffix.lower() == ".html":
        write_bytes(path, _html(evaluation, pictures, paper).encode())
        return [path]
    written = [path]
    links = {}
    for index, (name, content) in enumerate(pictures.items()):
        picture = path.with_name(f"{path.stem}_{index:03d}.png")
        write_bytes(picture, content)
        written.append(picture)
        links[name] = picture.name
    write_bytes(path, _markdown(evaluation, links, paper).encode())
    return written


def check_place(path: str | Path, option: str) -> None:
    """Whether a file can be written there, before minutes are spent on what is to stand in it.

    Raises
    ------
    ValueError : the folder is missing or read-only, or a folder has the file's name.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder: give a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path} cannot be written: there is no folder {path.parent}: create it first")
    probe = Draft(path)
    try:
        probe.open()
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written: {error.strerror or error}. Choose a folder you can write to"
        ) from error
    finally:
        probe.drop()


def _tables(evaluation: Evaluation, paper: bool) -> tuple[list[list[str]], ...]:
    """Rows of the numbers, of clips left out, of the single clips, and of the definitions, each with its head."""
    numbers = [["Metric", "Better", "Value", "Good", *(PAPER_METHODS if paper else ()), "Remark"]]
    for score in evaluation.scores:
        metric = score.metric
        cells = _paper_cells(score) if paper else []
        remark = counted(score) or score.reason
        numbers.append([metric.name, metric.better, number(score.value), metric.good, *cells, remark])
    left_out = [["Clip", "Left out of", "Because"], *map(list, _left_out(evaluation))]
    single = [score for score in evaluation.scores if score.clips]
    clips = [["Clip", *(score.metric.name for score in single)]]
    for clip in evaluation.clips:
        values = (score.clips.get(clip.name) for score in single)
        clips.append([clip.name, *("–" if value is None else number(value) for value in values)])
    definitions = [["Metric", "Definition", "Source"]]
    definitions += [[s.metric.name, s.metric.definition, s.metric.source] for s in evaluation.scores]
    return numbers, left_out, clips, definitions


PAPER_NOTE = "The last columns are what the paper (arXiv 2411.10061) reports on its test set, EMTD."


def _markdown(evaluation: Evaluation, links: dict[str, str], paper: bool) -> str:
    def table(rows: list[list[str]]) -> list[str]:
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""]

    numbers, left_out, clips, definitions = _tables(evaluation, paper)
    lines = ["# Evaluation", "", *table(numbers)]
    lines += [PAPER_NOTE, ""] if paper else []
    lines += ["## Clips left out", "", *table(left_out)] if len(left_out) > 1 else []
    lines += ["## Clips", "", *table(clips)]
    for clip in evaluation.clips:
        if clip.remarks or clip.name in links:
            lines += [f"### {clip.name}", "", *(f"- {remark}" for remark in clip.remarks), ""]
        if clip.name in links:
            lines += [f"![curves of {clip.name}]({links[clip.name]})", ""]
    return "\n".join([*lines, "## Definitions", "", *table(definitions)])


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #282c34; max-width: 1080px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35em .6em; border-bottom: 1px solid #e2e5ea }
td:nth-child(3) { font-variant-numeric: tabular-nums }
img { max-width: 100%; border: 1px solid #e2e5ea }
"""


def _html(evaluation: Evaluation, pictures: dict[str, bytes], paper: bool) -> str:
    def table(rows: list[list[str]]) -> str:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>\n" for row in rows[1:])
        return f'<div style="overflow-x:auto"><table><tr>{head}</tr>\n{body}</table></div>'

    numbers, left_out, clips, definitions = _tables(evaluation, paper)
    parts = ["<h1>Evaluation</h1>", table(numbers)]
    parts += [f"<p>{PAPER_NOTE}</p>"] if paper else []
    parts += ["<h2>Clips left out</h2>", table(left_out)] if len(left_out) > 1 else []
    parts += ["<h2>Clips</h2>", table(clips)]
    for clip in evaluation.clips:
        if clip.remarks or clip.name in pictures:
            parts.append(f"<h3>{html.escape(clip.name)}</h3>")
            parts.append("".join(f"<p>{html.escape(remark)}</p>" for remark in clip.remarks))
        if clip.name in pictures:
            data = base64.b64encode(pictures[clip.name]).decode()
            parts.append(f'<img alt="curves of {html.escape(clip.name)}" src="data:image/png;base64,{data}">')
    parts += ["<h2>Definitions</h2>", table(definitions)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
