"""Change a pose in time and place. Every edit returns a new pose and leaves the given one as it is."""

from __future__ import annotations

import numpy as np

from .hand_pose import HandPose

FIT_MODES = ("loop", "ping-pong", "hold")


def fit_length(pose: HandPose, frames: int, mode: str) -> HandPose:
    """The pose with exactly `frames` frames: cut if longer, else continued.

    mode : "loop" starts again, "ping-pong" runs back and forth, "hold" stays on the last frame.
    """
    if mode not in FIT_MODES:
        raise ValueError(f"the pose fit is {mode!r}, but it must be one of {', '.join(FIT_MODES)}")
    if frames < 1:
        raise ValueError(f"a pose needs at least 1 frame, not {frames}")
    count = len(pose)
    if count == 0:
        raise ValueError("the pose has no frames")
    if frames == count:
        return pose
    index = np.arange(frames)
    if mode == "loop":
        index %= count
    elif mode == "hold":
        index = np.minimum(index, count - 1)
    else:
        period = max(2 * (count - 1), 1)
        index %= period
        index = np.where(index < count, index, period - index)
    return pose.take(index)
