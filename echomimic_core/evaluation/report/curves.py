"""Curves of a clip over time as a picture: where the mouth does not follow the voice, where hands get lost."""

from dataclasses import dataclass

import numpy as np

from ..findings import ClipReport

WIDTH, PANEL, MARGIN, TITLE = 960, 190, 56, 30
# Drawn larger and shrunk, because PIL draws jagged lines.
SCALE = 2
PAPER, INK, GRID, MISSING = (255, 255, 255), (40, 44, 52), (226, 229, 234), (250, 214, 214)
BLUE, ORANGE = (38, 99, 202), (222, 122, 20)


@dataclass(frozen=True)
class Line:
    """A curve by its name in `ClipReport.curves`: how it is labelled, and the range of its axis (None: its own)."""

    name: str
    label: str
    span: tuple[float | None, float | None]
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Panel:
    """Curves drawn over each other, and what the rose bands behind them mean."""

    title: str
    lines: tuple[Line, ...]
    missing: str = ""


PANELS = (
    Panel(
        "Does the mouth follow the voice?",
        (
            Line("loudness", "loudness, dB", (-60, 0), ORANGE),
            Line("mouth", "mouth opening, parts of the face", (0, None), BLUE),
        ),
        "no face found",
    ),
    Panel(
        "Are the hands seen?",
        (
            Line("left hand", "left hand, confidence", (0, 1), BLUE),
            Line("right hand", "right hand, confidence", (0, 1), ORANGE),
        ),
        "a hand missing",
    ),
    Panel(
        "Is it still the same person?",
        (
            Line("identity", "cosine with the reference", (0, 1), BLUE),
            Line("identity (dlib)", "cosine with the reference (dlib)", (0, 1), ORANGE),
        ),
    ),
    Panel("Does the background flicker?", (Line("flicker", "change of what stands still, of 255", (0, None), BLUE),)),
    Panel(
        "How near is it to the real clip?",
        (Line("ssim", "SSIM", (0, 1), BLUE), Line("psnr", "PSNR, dB", (None, None), ORANGE)),
    ),
)


def draw(report: ClipReport) -> np.ndarray:
    """The curves of a clip as a picture (H, 960, 3) uint8 RGB; rose where a face or hand is missing."""
    from PIL import Image, ImageDraw

    panels = [panel for panel in PANELS if any(line.name in report.curves for line in panel.lines)]
    height = TITLE + PANEL * max(len(panels), 1)
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(image)
    write_text(pen, (MARGIN, 8), report.name, 15)
    if not panels:
        write_text(pen, (MARGIN, TITLE + PANEL // 2), "no curves: see the text for what is missing", 13)
    for index, panel in enumerate(panels):
        _draw_panel(pen, panel, report, TITLE + index * PANEL)
    return np.asarray(image.resize((WIDTH, height), Image.Resampling.LANCZOS))


def _draw_panel(pen, panel: Panel, report: ClipReport, top: int) -> None:
    lines = [line for line in panel.lines if line.name in report.curves]
    left, right, upper, lower = MARGIN, WIDTH - MARGIN, top + 24, top + PANEL - 26
    frames = max(len(report.curves[line.name]) for line in lines)
    seconds = frames / report.fps
    missing = missing_frames(panel, report)

    def across(frame: float) -> float:
        return left + (right - left) * frame / max(frames, 1)

    for first, last in runs(missing):
        pen.rectangle([SCALE * v for v in (across(first), upper, across(last), lower)], fill=MISSING)
    write_text(pen, (left, top + 2), panel.title, 13)
    if missing.any():
        write_text(pen, (left + 260, top + 4), f"rose: {panel.missing}", 11)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600) if seconds / s <= 12 or s == 3600)
    for tick in np.arange(0, seconds + 1e-9, step):
        x = across(tick * report.fps)
        pen.line([SCALE * v for v in (x, upper, x, lower)], fill=GRID, width=1)
        write_text(pen, (x - 8, lower + 4), f"{tick:g} s", 10)
    for index, line in enumerate(lines):
        values = report.curves[line.name]
        low, high = span_of(line, values)
        label = right - 230 * (len(lines) - index)
        write_text(pen, (label, top + 4), line.label, 11, line.colour)
        edge = left - 48 if index == 0 else right + 6
        write_text(pen, (edge, upper - 6), f"{high:.3g}", 10, line.colour)
        write_text(pen, (edge, lower - 8), f"{low:.3g}", 10, line.colour)
        heights = lower - (lower - upper) * np.clip((values - low) / (high - low), 0, 1)
        for first, last in runs(np.isfinite(values)):
            points = [(SCALE * across(f + 0.5), SCALE * heights[f]) for f in range(first, last)]
            if len(points) == 1:
                x, y = points[0]
                pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=line.colour)
            else:
                pen.line(points, fill=line.colour, width=3, joint="curve")
    pen.rectangle([SCALE * v for v in (left, upper, right, lower)], outline=INK, width=1)


def span_of(line: Line, values: np.ndarray) -> tuple[float, float]:
    """Ends of a curve's axis: those of the line, else of its own finite values."""
    finite = values[np.isfinite(values)]
    own = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low, high = (value if given is None else given for given, value in zip(line.span, own, strict=True))
    return low, max(high, low + 1e-3)


def missing_frames(panel: Panel, report: ClipReport) -> np.ndarray:
    """Frames (F,) in which what the panel shows was not found."""
    curves = report.curves
    if "mouth" in curves and panel.lines[-1].name == "mouth":
        return np.isnan(curves["mouth"])
    if "left hand" in curves and panel.lines[0].name == "left hand":
        return (curves["left hand"] == 0) | (curves["right hand"] == 0)
    return np.zeros(1, bool)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(first, one past the last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def write_text(pen, place: tuple[float, float], text: str, size: int, colour: tuple[int, int, int] = INK) -> None:
    """Write at a place (x, y) of the small picture."""
    from PIL import ImageFont

    pen.text((place[0] * SCALE, place[1] * SCALE), text, fill=colour, font=ImageFont.load_default(size * SCALE))


def png(picture: np.ndarray) -> bytes:
    """A picture as the bytes of a .png file."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
