"""Editing and aligning a pose of a thousand frames: processor time of each change."""

import time
from collections.abc import Callable, Iterator

from echomimic_core.pose import align, edit, gestures

FRAMES, REPEATS = 1000, 3


def pose_rows(settings, rate: float) -> Iterator[dict]:
    """Each change of Edit Pose, Blend Poses and Align Pose, the fastest of a few."""
    pose, person = gestures.clip("explaining", FRAMES), gestures.clip("idle", 1)
    changes: dict[str, Callable] = {
        "smooth": lambda: edit.smooth(pose, 0.5),
        "limit_speed": lambda: edit.limit_speed(pose, 0.4),
        "retime": lambda: edit.retime(pose, 777),
        "mirror": lambda: edit.mirror(pose),
        "transform": lambda: edit.transform(pose, 0.1, 0, 1.1, 5, "wrists"),
        "blend": lambda: edit.blend(pose, pose, 24),
        "align": lambda: align.align(person, pose),
    }
    for name, change in changes.items():
        yield {"name": f"pose of {FRAMES} frames, {name}", "cpu_seconds": min(_seconds(change) for _ in range(REPEATS))}


def _seconds(work: Callable) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin
