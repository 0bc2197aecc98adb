"""Pictures of a pose for people to look at: overlays on the reference picture, and contact sheets."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..media.scaling import shrink
from ..runtime import Progress
from .draw import GROUPS, draw_maps
from .framing import fit_canvas
from .hand_pose import HandPose

# How much of the picture shines through under an overlay.
PICTURE_BRIGHTNESS = 0.6
SHEET_GAP = 4
SHEET_BACKGROUND = 40
LABEL_PIXELS = 24
# Frames drawn and held at a time.
PART = 16


def overlay(
    pose: HandPose,
    picture: np.ndarray,
    frames: Sequence[int] | None = None,
    groups: Sequence[str] = ("hands",),
    fit: str = "crop",
) -> np.ndarray:
    """Draw a pose over a dimmed picture, to see whether the hands lie where the person's hands are.

    picture : (H, W, 3) uint8 RGB; a pose of another canvas is fitted to it ("crop" or "pad"), never stretched.

    Returns
    -------
    (n, H, W, 3) uint8.
    """
    height, width = picture.shape[:2]
    maps = draw_maps(fit_canvas(pose, height, width, fit), frames, height, width, groups)
    dimmed = picture * np.float32(PICTURE_BRIGHTNESS)
    out = np.empty_like(maps)
    for index, drawn in enumerate(maps):
        covered = drawn.max(axis=-1, keepdims=True) / np.float32(255)
        out[index] = np.clip(dimmed * (1 - covered) + drawn, 0, 255)
    return out


def spread(count: int, shown: int) -> np.ndarray:
    """Indices of at most `shown` of `count` frames, evenly spaced from the first to the last (0 shows all)."""
    shown = count if shown < 1 else min(shown, count)
    return np.linspace(0, count - 1, shown).round().astype(np.int64)


def in_parts(
    draw: Callable[[np.ndarray], np.ndarray], frames: np.ndarray, progress: Progress | None = None
) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) that `draw` makes of frames, one at a time; only `PART` of them are in memory."""
    for begin in range(0, len(frames), PART):
        if progress:
            progress(begin, len(frames))
        yield from draw(frames[begin : begin + PART])
    if progress:
        progress(len(frames), len(frames))


def contact_sheet(pictures: Iterable[np.ndarray], labels: Sequence[str], max_width: int = 1536) -> np.ndarray:
    """Put pictures (H, W, 3) uint8 side by side on one sheet, nearly square, each with its label.

    pictures : as many as labels, all of one size; they are shrunk as they come, so an iterator keeps memory flat.

    Returns
    -------
    (h, w, 3) uint8 with w at most about `max_width`.
    """
    pictures = iter(pictures)
    first = next(pictures)
    count, (height, width) = len(labels), first.shape[:2]
    columns = int(np.ceil(np.sqrt(count * height / width)))
    columns = min(max(columns, 1), count)
    rows = -(-count // columns)
    scale = min(1.0, (max_width / columns - SHEET_GAP) / width)
    cell_width, cell_height = max(int(width * scale), 1), max(int(height * scale), 1)
    sheet_size = (rows * (cell_height + SHEET_GAP) - SHEET_GAP, columns * (cell_width + SHEET_GAP) - SHEET_GAP, 3)
    sheet = np.full(sheet_size, SHEET_BACKGROUND, np.uint8)
    size = max(cell_height / 600, 0.35)
    for index, picture in enumerate(itertools.chain([first], pictures)):
        cell = _labelled(shrink(picture, cell_height, cell_width), labels[index], LABEL_PIXELS * size)
        top, left = (index // columns) * (cell_height + SHEET_GAP), (index % columns) * (cell_width + SHEET_GAP)
        sheet[top : top + cell_height, left : left + cell_width] = cell
    return sheet


def _labelled(picture: np.ndarray, label: str, pixels: float) -> np.ndarray:
    """The picture with white text of that height in its upper left corner."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((4, 4), label, fill=(255,) * 3, font=ImageFont.load_default(pixels))
    return np.asarray(image)


def pose_sheet(pose: HandPose, shown: int = 16, groups: Sequence[str] = GROUPS) -> np.ndarray:
    """A contact sheet of evenly spaced frames of a pose on black, labelled with their frame numbers."""
    frames = spread(len(pose), shown)
    maps = draw_maps(pose, frames, pose.height, pose.width, groups)
    return contact_sheet(maps, [str(frame) for frame in frames])
