"""Frames of clips as small pictures inside a report: posters, and the worst frames."""

import io
import math
from dataclasses import dataclass

import numpy as np

from ..clips import Clip
from ..findings import ClipReport
from ..slices import frames_between

HEIGHTS, QUALITIES = (360, 280, 220, 160, 120), (82, 70, 55, 40)
# By which curve the worst frame of a clip is chosen: the first that it has, lower or higher being worse.
LOWER, HIGHER = -1, 1
WORST_BY = (("ssim", "SSIM", LOWER), ("identity", "cosine with the reference", LOWER), ("flicker", "flicker", HIGHER))
WORST_BY += (("right hand", "confidence of the right hand", LOWER), ("left hand", "confidence of the left hand", LOWER))


@dataclass(frozen=True)
class Worst:
    """The worst frame of a clip: its number and time, and the curve that says so, its value and how bad that is."""

    frame: int
    seconds: float
    curve: str
    value: float
    badness: float


def worst(report: ClipReport) -> Worst | None:
    """The worst frame of a clip; None where no curve can tell."""
    for key, name, sign in WORST_BY:
        values = report.curves.get(key)
        if values is not None and np.isfinite(values).any():
            badness = np.where(np.isfinite(values), sign * values, -math.inf)
            frame = int(badness.argmax())
            return Worst(frame, frame / report.fps, name, float(values[frame]), float(badness[frame]))
    return None


def still(clip: Clip, seconds: float) -> np.ndarray | None:
    """The picture of a clip at a moment (H, W, 3) uint8, its last one if it is shorter; None if it cannot be read."""
    try:
        if clip.kind == "video" and type(clip) is Clip and clip.path is not None:
            found = [picture for _, picture in frames_between(clip.path, seconds, seconds + 1 / clip.fps(), clip.fps())]
            if found:
                return found[0]
        last = None
        for moment, picture in clip.frames():
            last = picture
            if moment >= seconds - 1e-3:
                break
        return last
    except (ValueError, OSError):
        return None


def jpeg(picture: np.ndarray, most: int) -> bytes:
    """A picture as JPEG of at most that many bytes, or as small as it gets."""
    from PIL import Image

    image = Image.fromarray(picture)
    for height in HEIGHTS:
        scale = min(height / image.height, 1)
        small = image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))
        for quality in QUALITIES:
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= most:
                return buffer.getvalue()
    return buffer.getvalue()
