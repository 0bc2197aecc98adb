"""Find hands, body and face in pictures: streamed, any number of frames."""

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from ..config import FPS
from ..landmarks import Networks
from ..runtime import Progress
from .bundles import Bundles
from .clean import Detections, Report, make_report, steady
from .detectors import open_detector
from .hand_pose import HandPose


def hand_pose(
    frames: Iterable[tuple[float, np.ndarray]],
    source: Networks | Bundles | None = None,
    fps: float = FPS,
    smoothing: float = 0.3,
    max_gap: float = 0.5,
    long_gaps: str = "hold",
    total: int = 0,
    progress: Progress | None = None,
    track: bool = False,
) -> tuple[HandPose, Report]:
    """Find the pose of a clip, heal and smooth it, and bring it to `fps` by time.

    Parameters are those of `detect` and `steady`.
    """
    found = detect(frames, source, total, progress, track)
    return steady(found, fps, smoothing, max_gap, long_gaps), make_report(found.times, found.hand_scores)


def between(
    frames: Iterable[tuple[float, np.ndarray]], start: float = 0.0, duration: float = 0.0
) -> Iterator[tuple[float, np.ndarray]]:
    """The frames from `start` seconds after the first one on, for `duration` seconds; 0 takes all that follow.

    Frames before `start` are read and dropped: that is exact to the frame in every container, which seeking is not.
    """
    first = None
    for time, picture in frames:
        first = time if first is None else first
        # A millisecond of grace, since containers round their timestamps.
        if duration and time - first >= start + duration - 1e-3:
            return
        if time - first >= start - 1e-3:
            yield time, picture


def count_between(seconds: float, fps: float, start: float = 0.0, duration: float = 0.0) -> int:
    """How many frames `between` takes of a clip of `seconds` at `fps` frames per second, for the progress."""
    left = max(seconds - start, 0.0)
    return math.ceil((min(left, duration) if duration else left) * fps - 1e-2)


def detect(
    frames: Iterable[tuple[float, np.ndarray]],
    source: Networks | Bundles | None = None,
    total: int = 0,
    progress: Progress | None = None,
    track: bool = False,
) -> Detections:
    """Find hands, body and face of one person in each frame.

    Parameters
    ----------
    frames : (time in seconds, (H, W, 3) uint8 RGB) in growing time; all of one size. No more than a few are held.
    source, track : as `open_detector`: networks, bundles of the mediapipe package, or None for the shipped networks.
    total : number of frames if known, for the progress.

    Raises
    ------
    ValueError : no frames, frames of different sizes, or the package or a bundle of it cannot be used.
    """
    times, rows, size = [], [], None
    with open_detector(source, track) as detector:
        for batch in _batches(_checked(frames, total, progress), detector.batch):
            moments, pictures = zip(*batch, strict=True)
            size = pictures[0].shape[:2]
            times += moments
            rows += detector(pictures[0][None] if len(pictures) == 1 else np.stack(pictures), list(moments))
    if not rows:
        raise ValueError("there are no frames to detect hands in: the video is empty, or ends before start")
    if progress:
        progress(len(rows), len(rows))
    height, width = size
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    for points in columns[::2]:
        points /= (width, height)
    return Detections(np.array(times), *columns, width=width, height=height)


def _checked(
    frames: Iterable[tuple[float, np.ndarray]], total: int, progress: Progress | None
) -> Iterator[tuple[float, np.ndarray]]:
    """The frames, each announced to the progress; ValueError where the size changes."""
    size = None
    for index, (time, picture) in enumerate(frames):
        if progress:
            progress(index, max(total, index + 1))
        size = size or picture.shape[:2]
        if picture.shape[:2] != size:
            raise ValueError(
                f"frame {index} is {picture.shape[1]}x{picture.shape[0]}, the first {size[1]}x{size[0]}: resize "
                "all frames to one size, or use a part of the video (start and duration) in which it does not change"
            )
        yield float(time), picture


def _batches(items: Iterable, count: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(itertools.islice(items, count)):
        yield batch
