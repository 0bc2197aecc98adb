"""Stretches of long videos, found by seeking, and their pictures in the square frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..media.opening import open_media
from ..media.orientation import display_matrix, square_size, upright
from ..media.video import has_sound
from ..pose.framing import Framing


def frames_between(path: Path, start: float, end: float, fps: float) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds since start, picture) of a stretch of a video at `fps`, found by seeking: the last one shown by then.

    Upright and of square pixels, as players show them.
    """
    wanted, shown, matrix, size = 0, None, None, None

    def picture(frame) -> np.ndarray:
        return upright(frame.to_ndarray(format="rgb24", width=size[0], height=size[1]), matrix)

    with open_media(path, "video") as (container, stream):
        stream.thread_type = "AUTO"
        container.seek(int(start / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if size is None:
                matrix = display_matrix(frame)
                size = square_size(frame.width, frame.height, getattr(stream, "sample_aspect_ratio", None))
            while shown is not None and start + wanted / fps < min(frame.time, end) - 1e-3:
                yield wanted / fps, picture(shown)
                wanted += 1
            if frame.time >= end:
                return
            shown = frame
        if shown is not None and start + wanted / fps < end:
            yield wanted / fps, picture(shown)


def sound_between(path: Path, start: float, end: float) -> tuple[np.ndarray, int] | None:
    """(waveform (channels, samples), rate) of a stretch of a video's sound, or None without sound."""
    import av

    pieces = []
    if not has_sound(path):
        return None
    with open_media(path, "audio") as (container, stream):
        container.seek(int(start / stream.time_base), stream=stream)
        resampler = av.AudioResampler("fltp", stream.layout.name, stream.rate)
        first = None
        for frame in container.decode(stream):
            if frame.time >= end:
                break
            first = frame.time if first is None else first
            frame.pts = None
            pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
        rate = stream.rate
    if not pieces:
        return None
    sound = np.concatenate(pieces, axis=1)
    offset = round((start - first) * rate)
    sound = sound[:, offset:] if offset >= 0 else np.pad(sound, ((0, 0), (-offset, 0)))
    return sound[:, : round((end - start) * rate)], rate


def frame_picture(picture: np.ndarray, frame: Framing) -> np.ndarray:
    """The part of a picture that the framing takes, scaled into the square frame on black: (size, size, 3)."""
    from ..media.opencv import cv2

    first_row, last_row, first_column, last_column = frame.video_params
    part = picture[first_row : last_row + 1, first_column:last_column]
    # A square that reaches over the picture's edge keeps its place, or the pose would not lie on the person.
    part = np.pad(part, ((0, 0), (0, max(last_column - first_column - part.shape[1], 0)), (0, 0)))
    top, bottom, left, right = frame.region
    canvas = np.zeros((frame.size, frame.size, 3), np.uint8)
    way = cv2.INTER_AREA if part.shape[0] > bottom - top else cv2.INTER_CUBIC
    canvas[top:bottom, left:right] = cv2.resize(part, (right - left, bottom - top), interpolation=way)
    return canvas
