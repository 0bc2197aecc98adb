"""Frames of clips as small pictures inside a report: posters, and the worst frames."""

import io
import math

import numpy as np

from ..clips import Clip
from ..findings import ClipReport
from ..slices import frames_between

HEIGHTS, QUALITIES = (360, 280, 220, 160, 120), (82, 70, 55, 40)
# By which curve the worst frame of a clip is chosen: the first that it has, lower or higher being worse.
WORST_BY = (("ssim", "SSIM", min), ("identity", "cosine with the reference", min), ("flicker", "flicker", max))
WORST_BY += (("right hand", "confidence of the right hand", min), ("left hand", "confidence of the left hand", min))


def worst(report: ClipReport) -> tuple[int, float, str] | None:
    """(frame, value, name of the curve) of a clip's worst frame; None where no curve can tell."""
    for key, name, worse in WORST_BY:
        values = report.curves.get(key)
        if values is not None and np.isfinite(values).any():
            finite = [(float(value), index) for index, value in enumerate(values) if math.isfinite(value)]
            value, index = worse(finite)
            return index, value, name
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
