"""The table of an evaluation as a picture: values, what is good, and what is missing with where to get it."""

import math
import textwrap

import numpy as np

from ..evaluate import Evaluation
from .curves import GRID, INK, MARGIN, PAPER, SCALE, WIDTH, write_text
from .text import BETTER, number, real, reasons_of

ROW, SMALL_ROW, HEAD = 26, 18, 44
DIM = (104, 112, 122)
# Left edges of the name, the value, which way is better, and what is good.
COLUMNS = (MARGIN, 290, 390, 500)
GOOD_LETTERS, NOTE_LETTERS = 60, 132
# Pillow's own font has neither arrows nor this.
INFINITE = "infinite"


def table(evaluation: Evaluation) -> np.ndarray:
    """The values as a picture (H, 960, 3) uint8 RGB, below them what was not computed and why."""
    from PIL import Image, ImageDraw

    known = [score for score in evaluation.scores if score.value is not None]
    notes = [f"{', '.join(names)}: {reason}" for reason, names in reasons_of(evaluation).items()]
    if notes:
        notes.insert(0, "Not computed (everything above works without):" if known else "Not computed:")
    lines = [line for note in [*evaluation.notes, *notes] for line in textwrap.wrap(note, NOTE_LETTERS)]
    height = HEAD + ROW * max(len(known), 1) + (SMALL_ROW * len(lines) + ROW if lines else 0) + ROW // 2
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(image)
    for left, text in zip(COLUMNS, ("metric", "value", "better", "good"), strict=True):
        write_text(pen, (left, 14), text, 12, DIM)
    top = HEAD
    for score in known:
        pen.line([SCALE * v for v in (MARGIN, top - 5, WIDTH - MARGIN, top - 5)], fill=GRID, width=2)
        good = f"{real(score)}, the real clip's" if real(score) else score.metric.good
        good = textwrap.shorten(good, GOOD_LETTERS, placeholder=" …")
        value = INFINITE if math.isinf(score.value) else number(score.value)
        cells = ((score.metric.name, 14), (value, 14), (BETTER[score.metric.better], 12), (good, 12))
        for left, (text, size) in zip(COLUMNS, cells, strict=True):
            write_text(pen, (left, top), text, size, DIM if size == 12 else INK)
        top += ROW
    if not known:
        write_text(pen, (MARGIN, top), "no metric could be computed", 14)
        top += ROW
    for line in lines:
        write_text(pen, (MARGIN, top + ROW // 3), line, 11, DIM)
        top += SMALL_ROW
    return np.asarray(image.resize((WIDTH, height), Image.Resampling.LANCZOS))
