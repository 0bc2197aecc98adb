"""MediaPipe's model bundles: which ones are used, where they come from, and which file of several is taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..files.transfer import Source

BUNDLE_FOLDER = "models/mediapipe"
_BUCKET = "https://storage.googleapis.com/mediapipe-models"
# The largest of the files has 10 MB.
_MOST = 32 * 2**20
BUNDLE_SOURCES = {
    "hand": Source(
        f"{_BUCKET}/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task",
        "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1",
        _MOST,
    ),
    "pose": Source(
        f"{_BUCKET}/pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task",
        "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
        _MOST,
    ),
    "face": Source(
        f"{_BUCKET}/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        _MOST,
    ),
}
BUNDLE_LINKS = {kind: source.link for kind, source in BUNDLE_SOURCES.items()}
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
