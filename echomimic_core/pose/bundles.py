"""MediaPipe's model bundles: which ones are used, where they come from, and which file of several is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BUNDLE_FOLDER = "models/mediapipe"
_BUCKET = "https://storage.googleapis.com/mediapipe-models"
BUNDLE_LINKS = {
    "hand": f"{_BUCKET}/hand_landmarker/hand_landmarker/float16/latest/hand_landmarker.task",
    "pose": f"{_BUCKET}/pose_landmarker/pose_landmarker_full/float16/latest/pose_landmarker_full.task",
    "face": f"{_BUCKET}/face_landmarker/face_landmarker/float16/latest/face_landmarker.task",
}
# People keep the files under the names of the links. The full body model comes before the heavy one: that
# is slower, and here the body mostly says where to look for the hands.
_PATTERNS = {
    "hand": ("hand_landmarker*.task",),
    "pose": (
        "pose_landmarker_full*.task",
        "pose_landmarker.task",
        "pose_landmarker_heavy*.task",
        "pose_landmarker*.task",
    ),
    "face": ("face_landmarker*.task",),
}


@dataclass(frozen=True)
class Bundles:
    """Paths of MediaPipe's model bundles; without `face` the face points are estimated from the head."""

    hand: Path
    pose: Path
    face: Path | None = None


def find_bundle(kind: str, folders: Iterable[str | Path]) -> Path | None:
    """The bundle for the "hand", the "pose" or the "face" in these folders or below, the preferred of several."""
    folders = list(folders)
    for pattern in _PATTERNS[kind]:
        for folder in folders:
            for file in sorted(Path(folder).rglob(pattern)):
                return file
    return None
