"""An evaluation as one web page that opens from disk: tables, stills, players of the videos next to it, curves."""

import base64
import html
import json
import math
import os
import re
from pathlib import Path

import numpy as np

from ..clips import Clip
from ..evaluate import Evaluation
from ..findings import ClipReport
from ..methods import Comparison
from ..metrics.metric import PAPER_METHODS
from ..scores import Score
from . import stills
from .curves import PANELS, missing_frames, runs, span_of
from .setup import Setup
from .text import (
    ARROWS,
    PAPER_NOTE,
    TEST_COLUMNS,
    counted,
    left_out,
    number,
    own_remarks,
    real,
    reasons_of,
    sampled,
    spread,
    tested,
    unlike_paper,
)

STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("css", "js"))
# All pictures of a page together, and all curves, as base64 writes them; with the rest of 200 clips it is below 5 MB.
PICTURE_BYTES, LARGEST_PICTURE = 2_800_000, 40_000
CURVE_BYTES, CURVE_POINTS, CURVE_STEPS, NO_VALUE = 1_000_000, 300, 254, 255
WORST_CLIPS = 24
PLAYABLE = (".mp4", ".webm", ".mov", ".m4v")
REAL = "real"
UNBROKEN_SPACE, UNBROKEN_HYPHEN = "\u00a0", "\u2011"


def page(comparison: Comparison, setup: Setup, folder: Path, paper: bool = False) -> str:
    """The page as text; `folder` is where it will be, `paper` adds the paper's columns."""
    several = len(comparison.methods) > 1
    clips = _Clips(comparison, folder)
    heading = "Comparison of " + ", ".join(comparison.methods) if several else "Evaluation"
    parts = [f"<h1>{_e(heading)}</h1>", _subtitle(comparison, setup), _numbers(comparison, paper)]
    parts += [_paper_note(comparison)] if paper else []
    parts += [_remarks(comparison), _tests(comparison), _table_of_clips(comparison)]
    parts += ["<h2>Clips</h2>", f'<div class="clips">{"".join(clips.articles())}</div>']
    parts += [_definitions(comparison), _setup(setup)]
    body = "\n".join(part for part in parts if part)
    curves = json.dumps(clips.curves, ensure_ascii=True).replace("</", "<\\/")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_e(heading)}</title>\n<style>\n{STYLE.read_text('utf-8')}</style></head>\n<body>\n{body}\n"
        f'<script type="application/json" id="curves">{curves}</script>\n'
        f"<script>\n{SCRIPT.read_text('utf-8')}</script>\n</body></html>\n"
    )


def _e(text: str) -> str:
    return html.escape(str(text))


def _paper_note(comparison: Comparison) -> str:
    lines = "".join(f"<li>{_e(line)}</li>" for line in unlike_paper(comparison.metrics))
    return f'<p class="dim">{_e(PAPER_NOTE)}</p><ul class="dim">{lines}</ul>'


def _subtitle(comparison: Comparison, setup: Setup) -> str:
    counts = {name: len(evaluation.clips) for name, evaluation in comparison.methods.items()}
    said = ", ".join(f"{name + ': ' if name else ''}{_how_many(count)}" for name, count in counts.items())
    return f'<p class="dim">{_e(" · ".join(part for part in (said, setup.date.replace("T", " ")) if part))}</p>'


def _names(evaluation: Evaluation) -> list[str]:
    return [report.name for report in evaluation.clips]


def _how_many(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _numbers(comparison: Comparison, paper: bool) -> str:
    columns = list(PAPER_METHODS) if paper else []
    names = [name or "Value" for name in comparison.methods]
    head = ["<th><button>Metric</button></th>"]
    head += [f'<th class="value"><button>{_e(name)}</button></th>' for name in [*names, *columns]]
    head += ['<th class="good">Good</th>']
    rows = []
    for metric in comparison.metrics:
        row, best = comparison.row(metric), comparison.best(metric)
        also = f'<span class="under">{_e(", ".join(metric.other_names))}</span>' if metric.other_names else ""
        cells = [f"<td>{_e(metric.name)} {ARROWS[metric.better]}{also}</td>"]
        cells += [_value(row.get(name), name in best) for name in comparison.methods]
        cells += [_plain(metric.paper.get(method)) for method in columns]
        cells += [f'<td class="good">{_e(metric.good)}</td>']
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table(head, rows)


def _value(score: Score | None, best: bool) -> str:
    if score is None or score.value is None:
        return '<td class="value none" data-sort="">–</td>'
    notes = [
        " ".join(part.replace(" ", UNBROKEN_SPACE) for part in spread(score)),
        f"real clips {real(score)}" if real(score) else "",
        sampled(score),
        counted(score) if score.used < score.total else "",
    ]
    under = "".join(f'<span class="under">{_e(note)}</span>' for note in notes if note)
    return f'<td class="value{" best" if best else ""}" data-sort="{score.value}">{number(score.value)}{under}</td>'


def _plain(value: float | None) -> str:
    known = value is not None and not math.isnan(value)
    text = f"{value:g}" if known else "–"
    return f'<td class="value" data-sort="{value if known else ""}">{text}</td>'


def _table(head: list[str], rows: list[str], sortable: bool = True) -> str:
    kind = ' class="sortable"' if sortable else ""
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table{kind}><thead><tr>{"".join(head)}</tr></thead><tbody>\n{body}</tbody></table></div>'
    )


def _remarks(comparison: Comparison) -> str:
    lines, gone = [comparison.uneven()] if comparison.uneven() else [], []
    said: dict[str, list[str]] = {}
    for name, evaluation in comparison.methods.items():
        missing = [f"{', '.join(metrics)} not computed: {why}" for why, metrics in reasons_of(evaluation).items()]
        for note in (*evaluation.notes, *missing):
            said.setdefault(note, []).append(name)
        before = f"{name}: " if name else ""
        gone += [f"{before}{clip}, left out of {metrics}: {why}" for clip, metrics, why in left_out(evaluation)]
    for note, names in said.items():
        # What is so for every method is said once.
        lines.append(note if len(names) == len(comparison.methods) else f"{', '.join(names)}: {note}")
    return _list("Remarks", lines) + _list("Clips left out", gone)


def _list(heading: str, lines: list[str]) -> str:
    items = "".join(f"<li>{_e(line)}</li>" for line in lines)
    return f"<h2>{heading}</h2><ul>{items}</ul>" if items else ""


def _tests(comparison: Comparison) -> str:
    rows = tested(comparison)
    if not rows:
        return ""
    head = [f"<th><button>{_e(name)}</button></th>" for name in TEST_COLUMNS]
    cells = ["<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    note = "Mean difference over the clips that both methods have, its 95 % interval by bootstrap, and Wilcoxon's "
    note += "two-sided signed-rank test, not corrected for the number of comparisons."
    return f'<h2>Paired tests</h2>{_table(head, cells)}<p class="dim">{note}</p>'


def _table_of_clips(comparison: Comparison) -> str:
    several = len(comparison.methods) > 1
    single = [metric for metric in comparison.metrics if any(s.clips for s in comparison.row(metric).values())]
    if not single:
        return ""
    head = ["<th><button>Clip</button></th>"] + (["<th><button>Method</button></th>"] if several else [])
    head += [
        f'<th class="value"><button>{_e(metric.name.replace("-", UNBROKEN_HYPHEN))}</button></th>' for metric in single
    ]
    rows = []
    for method, evaluation in comparison.methods.items():
        scores = [evaluation.score(metric.key) for metric in single]
        for clip in (report.name for report in evaluation.clips):
            values = [None if score is None else score.clips.get(clip) for score in scores]
            cells = [f'<td data-sort="{_e(clip)}"><a href="#{_anchor(clip)}">{_e(clip)}</a></td>']
            cells += [f"<td>{_e(method)}</td>"] if several else []
            cells += [
                f'<td class="value" data-sort="{"" if v is None else v}">{"–" if v is None else number(v)}</td>'
                for v in values
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<h2>Values by clip</h2>{_table(head, rows)}"


def _percent(text: str, safe: str = "/") -> str:
    """Text for an address: every character but letters, digits, `-._~` and the safe ones by its bytes."""
    return re.sub(rf"[^A-Za-z0-9._~{safe}-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _anchor(clip: str) -> str:
    return "clip-" + _percent(clip, "")


def _definitions(comparison: Comparison) -> str:
    items = []
    for metric in comparison.metrics:
        # A definition may name the protocol, so it is that of the scores.
        items.append(
            f"<dt>{_e(metric.name)}</dt><dd>{_e(metric.definition)} <span class=dim>Good: {_e(metric.good)}. "
            f"Source: {_e(metric.source)}.</span></dd>"
        )
    return f"<h2>Definitions</h2><dl>{''.join(items)}</dl>"


def _setup(setup: Setup) -> str:
    pairs = [("Date", setup.date), ("Command", setup.command)]
    pairs += [("Versions", ", ".join(f"{key} {value}" for key, value in setup.versions.items()))]
    items = "".join(f"<dt>{key}</dt><dd><code>{_e(value)}</code></dd>" for key, value in pairs if value)
    protocol = "".join(f"<li>{_e(key)}: {_e(value)}</li>" for key, value in setup.protocol.items())
    items += f"<dt>Protocol</dt><dd><ul>{protocol}</ul></dd>" if protocol else ""
    hashes = [("Networks", setup.networks), ("Data (SHA-256)", setup.data)]
    for name, found in hashes:
        lines = "".join(f"<li><code>{_e(key)}: {_e(value)}</code></li>" for key, value in found.items())
        if lines:
            items += f"<dt>{name}</dt><dd><details><summary>{len(found)} files</summary><ul>{lines}</ul></details></dd>"
    return f"<h2>How it was made</h2><dl>{items}</dl>"


class _Clips:
    """An article for every clip: the real one and those of all methods side by side, worst frames, remarks, curves."""

    def __init__(self, comparison: Comparison, folder: Path):
        self.comparison, self.folder = comparison, folder
        self.curves: list[list[dict]] = []
        self.names = list(dict.fromkeys(name for e in comparison.methods.values() for name in _names(e)))
        self.worst = self._worst_of_all()
        per_clip = len(comparison.methods) + any(e.real for e in comparison.methods.values())
        count = max(per_clip * (len(self.names) + len(self.worst)), 1)
        self.most = min(int(PICTURE_BYTES / 4 * 3 / count), LARGEST_PICTURE)
        lines = sum(len(report.curves) for e in comparison.methods.values() for report in e.clips)
        self.points = min(int(CURVE_BYTES / 4 * 3 / max(lines, 1)), CURVE_POINTS)

    def _worst_of_all(self) -> dict[str, stills.Worst]:
        """The worst frame of the clips that have the worst ones of the first method, at most WORST_CLIPS."""
        evaluation = next(iter(self.comparison.methods.values()))
        found = {report.name: stills.worst(report) for report in evaluation.clips}
        known = sorted((worst.badness, name) for name, worst in found.items() if worst)
        return {name: found[name] for _, name in known[::-1][:WORST_CLIPS]}

    def articles(self) -> list[str]:
        return [self._article(name) for name in self.names]

    def _article(self, name: str) -> str:
        real = next((e.real[name] for e in self.comparison.methods.values() if name in e.real), None)
        shown = [(method, e.sources[name]) for method, e in self.comparison.methods.items() if name in e.sources]
        figures = [self._player(REAL, real)] if real else []
        figures += [self._player(method or "generated", clip) for method, clip in shown]
        parts = [f"<h3>{_e(name)}</h3>", _side_by_side(figures), self._worst_frame(name, real, shown)]
        for method, evaluation in self.comparison.methods.items():
            report = next((clip for clip in evaluation.clips if clip.name == name), None)
            if report is None:
                continue
            before = f"{method}: " if method else ""
            parts += [f"<p>{_e(before + remark)}</p>" for remark in own_remarks(report, evaluation)]
            if panels := panels_of(report, self.points):
                self.curves.append(panels)
                said = f"Curves of {method}" if method else "Curves"
                parts.append(f'<details data-curves="{len(self.curves) - 1}"><summary>{_e(said)}</summary></details>')
        return f'<article id="{_anchor(name)}">{"".join(parts)}</article>'

    def _player(self, label: str, clip: Clip) -> str:
        picture = stills.still(clip, 0.0)
        poster = "" if picture is None else self._data(picture)
        link = _link(clip.path, self.folder) if clip.path is not None else ""
        if link and clip.path.suffix.lower() in PLAYABLE:
            shown = f'<video controls preload="none" poster="{poster}" src="{link}"></video>'
        else:
            shown = f'<img alt="{_e(label)}" src="{poster}">' if poster else ""
        caption = f'<a href="{link}">{_e(label)}</a>' if link else _e(label)
        return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"

    def _worst_frame(self, name: str, real: Clip | None, shown: list[tuple[str, Clip]]) -> str:
        if name not in self.worst:
            return ""
        worst = self.worst[name]
        figures = []
        for label, clip in [*([(REAL, real)] if real else []), *((m or "generated", c) for m, c in shown)]:
            picture = stills.still(clip, worst.seconds)
            if picture is not None:
                figures.append(
                    f'<figure><img alt="{_e(label)}, frame {worst.frame}" src="{self._data(picture)}">'
                    f"<figcaption>{_e(label)}</figcaption></figure>"
                )
        said = f"Worst frame: {worst.frame} ({worst.seconds:.2f} s), {worst.curve} {number(worst.value)}"
        return f"<details><summary>{_e(said)}</summary>{_side_by_side(figures)}</details>"

    def _data(self, picture: np.ndarray) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(stills.jpeg(picture, self.most)).decode()


def _side_by_side(figures: list[str]) -> str:
    return f'<div class="side" style="--count:{len(figures)}">{"".join(figures)}</div>'


def _link(path: Path, folder: Path) -> str:
    """A link from a page in `folder` to a file, relative where both are on one drive."""
    path = Path(path).resolve()
    try:
        return _percent(Path(os.path.relpath(path, folder.resolve())).as_posix())
    except ValueError:
        return path.as_uri()


def panels_of(report: ClipReport, points: int = CURVE_POINTS) -> list[dict]:
    """The curves of a clip as the page draws them: at most so many points each, in 254 steps between its ends."""
    panels = []
    for panel in PANELS:
        lines = [line for line in panel.lines if line.name in report.curves]
        if not lines:
            continue
        drawn = []
        for line in lines:
            values = np.asarray(report.curves[line.name], np.float64)
            low, high = span_of(line, values)
            steps = np.clip((_thinned(values, points) - low) / (high - low), 0, 1) * CURVE_STEPS
            coded = np.where(np.isfinite(steps), np.nan_to_num(steps).round(), NO_VALUE).astype(np.uint8)
            data = base64.b64encode(coded.tobytes()).decode()
            drawn.append({"label": line.label, "low": f"{low:.3g}", "high": f"{high:.3g}", "data": data})
        frames = max(len(report.curves[line.name]) for line in lines)
        missing = [[first / frames, last / frames] for first, last in runs(missing_frames(panel, report))]
        seconds = f"{frames / report.fps:.3g}"
        panels.append({"title": panel.title, "seconds": seconds, "missing": missing[:100], "lines": drawn})
    return panels


def _thinned(values: np.ndarray, points: int) -> np.ndarray:
    """At most so many values: means of equal stretches, without the frames that have none."""
    if len(values) <= points:
        return values
    starts = np.linspace(0, len(values), points + 1).astype(int)[:-1]
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(int), starts)
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)
