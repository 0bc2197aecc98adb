"""Prepared clips on disk: one .safetensors shard a video, read piece by piece, and a manifest of all of them.

A shard holds for each clip `<clip>/frames` (JPEG files end to end), `<clip>/offsets` (where each begins), keypoints
with scores, `<clip>/audio` (Whisper states) and `<clip>/sound` (16 kHz, for validation clips).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ...config import FPS
from ...files.checkpoints import write_tensors
from ...files.durable import write_json
from ...pose import HandPose
from ...pose.hand_pose import TRACKS
from ...pose.track import PAIRS

FORMAT = "echomimicv2-clips"
VERSION = 1
MANIFEST = "manifest.json"
JPEG_QUALITY = 95
SEMI_BODY, HEADSHOT = "semi-body", "headshot"
SCORES = dict(PAIRS)
OPEN_FILES = 32
LATENTS, DIGEST = "latents", "pictures"


class ShardError(ValueError):
    """Prepared clips are missing or damaged; the message says which and what to do."""


@dataclass(frozen=True)
class ClipInfo:
    """One clip of the manifest: shard and name in it, kind, length, size, and where it was cut from.

    Frames are squares of `size`, or have a `width` and a `height`. `origin`, `licence` and `consent` say what is known
    of the rights in it.
    """

    shard: str
    clip: str
    kind: str
    frames: int
    size: int
    source: str
    start: float
    width: int | None = None
    height: int | None = None
    origin: str | None = None
    licence: str | None = None
    consent: str | None = None

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the frames in pixels."""
        return self.width or self.size, self.height or self.size

    def listed(self) -> dict:
        """The clip as the manifest lists it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass
class ClipData:
    """A clip to be written: frames (F, size, size, 3) uint8 as an iterable, pose over the frame, Whisper states
    (T, 5, 384) from the clip's first moment, sound (samples,) float32 at 16 kHz."""

    info: ClipInfo
    jpegs: list[bytes]
    pose: HandPose
    audio: np.ndarray
    sound: np.ndarray


def encode_jpeg(frame: np.ndarray) -> bytes:
    """One frame (h, w, 3) uint8 RGB as JPEG with full colour resolution."""
    from ...media.opencv import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    return cv2.imencode(".jpg", frame[..., ::-1], options)[1].tobytes()


def decode_jpeg(data: np.ndarray) -> np.ndarray:
    from ...media.opencv import cv2

    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ShardError("a frame of the prepared clips is damaged: remove its shard and prepare the videos again")
    return np.ascontiguousarray(picture[..., ::-1])


def write_shard(path: Path, clips: list[ClipData]) -> None:
    """Write the clips of a video; the file appears whole or not at all."""
    tensors = {}
    for clip in clips:
        name = clip.info.clip
        lengths = [len(data) for data in clip.jpegs]
        tensors[f"{name}/frames"] = np.frombuffer(b"".join(clip.jpegs), np.uint8)
        tensors[f"{name}/offsets"] = np.cumsum([0, *lengths]).astype(np.int64)
        tensors[f"{name}/audio"] = clip.audio.astype(np.float16)
        tensors[f"{name}/sound"] = (clip.sound.clip(-1, 1) * 32767).astype(np.int16)
        pose = clip.pose.whole_canvas()
        for part, track in pose.tracks.items():
            tensors[f"{name}/{part}"] = np.ascontiguousarray(track.points, np.float32)
            tensors[f"{name}/{SCORES[part]}"] = np.ascontiguousarray(track.scores, np.float32)
    arrays = {name: torch.from_numpy(np.require(array, requirements="CW")) for name, array in tensors.items()}
    write_tensors(path, arrays, {"format": FORMAT, "version": str(VERSION)})
    _open.cache_clear()  # This process may have read an older one


def write_manifest(folder: Path, clips: list[ClipInfo]) -> None:
    """Write the list of all clips of a folder."""
    content = {"format": FORMAT, "version": VERSION, "fps": FPS, "clips": [clip.listed() for clip in clips]}
    write_json(folder / MANIFEST, content)


def read_manifest(folder: str | Path) -> list["Clip"]:
    """All clips of a prepared folder.

    Raises
    ------
    ShardError : not a prepared folder, no clip in it, or a shard is missing.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise ShardError(
            f"{folder} has no {MANIFEST}: make it with python -m echomimic_core.training.prepare VIDEOS {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError(f"format {content['format']!r} version {content['version']}")
        clips = [Clip(folder, ClipInfo(**clip)) for clip in content["clips"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{path} is damaged or of another version ({error}): prepare the videos again") from error
    if not clips:
        raise ShardError(f"{folder} contains no clips: its report.json says why each video was rejected")
    for shard in {clip.info.shard for clip in clips}:
        if not (folder / shard).is_file():
            raise ShardError(f"{folder / shard} is missing: prepare the videos again, which makes only what is missing")
    return clips


@lru_cache(maxsize=OPEN_FILES)
def _open(path: Path):
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="np")
    except (OSError, SafetensorError) as error:
        raise ShardError(f"{path} cannot be read: it is damaged. Remove it and prepare the videos again") from error


def _read(file, path: Path, name: str) -> np.ndarray:
    from safetensors import SafetensorError

    try:
        return file.get_tensor(name)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ShardError(
            f"{path} lacks {name}: it is damaged or of other videos. Remove it and prepare the videos again"
        ) from error


@dataclass(frozen=True)
class Clip:
    """A prepared clip; nothing is read before it is asked for."""

    folder: Path
    info: ClipInfo

    def __len__(self) -> int:
        return self.info.frames

    def _file(self):
        return _open(self.folder / self.info.shard)

    def _tensor(self, name: str) -> np.ndarray:
        return _read(self._file(), self.folder / self.info.shard, f"{self.info.clip}/{name}")

    def frames(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, height, width, 3) uint8 RGB at the given indices."""
        offsets = self._tensor("offsets")
        data = self._file().get_slice(f"{self.info.clip}/frames")
        return np.stack([decode_jpeg(data[int(offsets[i]) : int(offsets[i + 1])]) for i in indices])

    def pose(self) -> HandPose:
        """Keypoints of all frames over the frame."""
        names = set(self._file().keys())
        tracks = {t: self._tensor(t).astype(np.float64) for t in TRACKS if f"{self.info.clip}/{t}" in names}
        width, height = self.info.frame
        return HandPose(**tracks, width=width, height=height, fps=FPS)

    def audio(self) -> np.ndarray:
        """Whisper states (T, 5, 384) float32 at 50 Hz, from the first frame on."""
        return self._tensor("audio").astype(np.float32)

    def sound(self) -> np.ndarray:
        """Sound (samples,) float32 at 16 kHz."""
        return self._tensor("sound").astype(np.float32) / 32767


def latents_path(clip: Clip, mark: str) -> Path:
    """The file of kept latents, (F, 4, h, w) per clip, of the clip's shard; `mark` names VAE and size."""
    return clip.folder / LATENTS / mark / clip.info.shard


def read_latents(clip: Clip, mark: str, indices: Sequence[int]) -> np.ndarray:
    """Kept latents (n, 4, h, w) float32 of some frames of a clip.

    Raises
    ------
    ShardError : they cannot be read, or lack the clip.
    """
    path = latents_path(clip, mark)
    kept = _read(_open(path), path, clip.info.clip)
    return kept[list(indices)].astype(np.float32)


def write_latents(path: Path, tensors: dict[str, torch.Tensor], digest: str) -> None:
    """Keep latents (F, 4, h, w) by clip, made of what `digest` (`shard_digest`) says; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, {DIGEST: digest})
    _open.cache_clear()


def has_latents(path: Path, clips: list[Clip], digest: str) -> bool:
    """Whether a file of kept latents has all these clips of a shard, made of what the shard holds now."""
    from safetensors import SafetensorError, safe_open

    try:
        # Not by `_open`, which would hold on to a file that is about to be replaced
        with safe_open(path, framework="np") as file:
            known = (file.metadata() or {}).get(DIGEST)
            return known == digest and {clip.info.clip for clip in clips} <= set(file.keys())
    except (OSError, SafetensorError):  # There is none, or it is damaged: either way it is to be made
        return False


def shard_digest(clips: list[Clip]) -> str:
    """What pictures these clips of one shard hold: names, lengths of all JPEG files, and the first and the last file.

    Little is read for it, and it stays as it is when a folder is copied.
    """
    digest = hashlib.sha256()
    for clip in sorted(clips, key=lambda clip: clip.info.clip):
        offsets = clip._tensor("offsets")
        data = clip._file().get_slice(f"{clip.info.clip}/frames")
        ends = [data[int(offsets[i]) : int(offsets[i + 1])] for i in (0, len(offsets) - 2)]
        for part in (clip.info.clip.encode(), offsets, *ends):
            digest.update(bytes(part))
    return digest.hexdigest()
