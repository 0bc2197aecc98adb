"""Poses of ten minutes on disk: what saving and loading costs next to plain `json`."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from echomimic_core.config import BODY_POINTS, FACE_POINTS, FPS, HAND_POINTS, HANDS
from echomimic_core.pose import HandPose, files

MINUTES = 10


def pose_file_rows(settings, rate: float) -> Iterator[dict]:
    """Each format saved and loaded; JSON next to `json.dumps` and `json.loads` of the same numbers."""
    pose = ten_minutes()
    tracks = [pose.hands, pose.hand_scores, pose.bodies, pose.body_scores, pose.faces, pose.face_scores]
    plain, text = _timed(lambda: json.dumps([track.tolist() for track in tracks]))
    plain_load, _ = _timed(lambda: json.loads(text))
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("json", "safetensors"):
            path = Path(folder) / f"pose.{ending}"
            saved, _ = _timed(lambda path=path: files.save(pose, path, _unheard))
            loaded, _ = _timed(lambda path=path: files.load(path, _unheard))
            is_json = ending == "json"
            ratios = (f"{saved / plain:.2f} x json.dumps", f"{loaded / plain_load:.2f} x json.loads")
            for what, seconds, ratio in (("saved", saved, ratios[0]), ("loaded", loaded, ratios[1])):
                name = f"pose of {MINUTES} minutes {what}, .{ending}"
                yield {"name": name, "cpu_seconds": seconds, "note": ratio if is_json else None}


def ten_minutes() -> HandPose:
    """Random points with all the digits that detectors give."""
    frames, generator = round(MINUTES * 60 * FPS), np.random.default_rng(0)

    def part(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        return generator.random((frames, *shape, 2)), generator.random((frames, *shape))

    parts = [*part(HANDS, HAND_POINTS), *part(BODY_POINTS), *part(FACE_POINTS)]
    return HandPose(*parts)


def _timed(work: Callable) -> tuple[float, object]:
    """Seconds of processor time, and what came of it."""
    begin = time.process_time()
    found = work()
    return time.process_time() - begin, found


def _unheard(done: int, total: int) -> None:
    """Progress that nobody looks at."""
