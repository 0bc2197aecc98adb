"""Poses on disk: the released folders of numbered .npy files, and our own .json and .safetensors format.

The format, version 1, in both kinds of file: `hands` (F, 2, 21, 2) and `hand_scores` (F, 2, 21); optionally `bodies`
(F, 18, 2), `body_scores` (F, 18), `faces` (F, 68, 2) and `face_scores` (F, 68); the canvas `width` and `height` in
pixels; `region` (row begin, row end, column begin, column end) or null; `fps`. Meanings are those of `HandPose`.
A .json file is one object with these keys beside `"format": "echomimicv2-pose"` and `"version": 1`; arrays are nested
lists. A .safetensors file holds the arrays as tensors and the rest as metadata (texts; `region` as JSON).
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np

from ..config import BODY_POINTS, FACE_POINTS, FPS, FRAME_SIZE, HAND_POINTS, HANDS
from .hand_pose import HandPose
from .unpickle import UnsafePickleError, load_npy

FORMAT = "echomimicv2-pose"
VERSION = 1
SUFFIXES = (".json", ".safetensors")

_SHAPES = {
    "hands": (HANDS, HAND_POINTS, 2),
    "hand_scores": (HANDS, HAND_POINTS),
    "bodies": (BODY_POINTS, 2),
    "body_scores": (BODY_POINTS,),
    "faces": (FACE_POINTS, 2),
    "face_scores": (FACE_POINTS,),
}
_OPTIONAL = ("bodies", "body_scores", "faces", "face_scores")


def natural_order(name: str) -> list:
    """Sort key that puts 2.npy before 10.npy."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


def load_folder(path: str | Path, fps: float = FPS) -> HandPose:
    """Read a released pose folder: 0.npy, 1.npy, … with one pickled dictionary each, through a safe unpickler.

    Raises
    ------
    ValueError : a sentence, if the folder is missing, empty, has gaps, or a file is damaged, foreign or unsafe.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"there is no pose folder {path}")
    files = sorted(path.glob("*.npy"), key=lambda file: natural_order(file.name))
    if not files:
        raise ValueError(
            f"the pose folder {path} holds no .npy file: it should hold 0.npy, 1.npy, … one for each frame"
        )
    _check_gaps(path, files)
    return from_records([_read_record(file) for file in files], fps=fps, names=[str(file) for file in files])


def _check_gaps(folder: Path, files: list[Path]) -> None:
    numbers = [int(file.stem) for file in files if file.stem.isdigit()]
    if len(numbers) != len(files):
        return
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        raise ValueError(
            f"the pose folder {folder} has {files[0].name} to {files[-1].name} but lacks {missing[0]}.npy"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + ": copy the missing files, or number the files without gaps"
        )


def _read_record(file: Path) -> dict:
    try:
        record = load_npy(file)
    except UnsafePickleError as error:
        raise ValueError(
            f"the pose file {file} was not opened: {error}, which a pose never needs and which could run a program. "
            "Do not use this file"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"the pose file {file} cannot be read: {error}. Copy or download it again") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"the pose file {file} holds no keypoints (a {type(record).__name__} instead): choose another pose folder"
        )
    return record


def from_records(records: list[dict], fps: float = FPS, names: list[str] | None = None) -> HandPose:
    """A pose from dictionaries as in the released files (keys hands, hands_score, bodies, faces, draw_pose_params).

    Of several people the one with the highest mean body score is taken, as the original does for its framing.
    """
    names = names or [f"frame {index}" for index in range(len(records))]
    frames = [_read_frame(record, name) for record, name in zip(records, names, strict=True)]
    arrays = {key: [frame[key] for frame in frames] for key in _SHAPES}
    arrays = {key: None if any(v is None for v in values) else np.stack(values) for key, values in arrays.items()}
    if arrays["bodies"] is None or arrays["body_scores"] is None:
        arrays["bodies"] = arrays["body_scores"] = None
    if arrays["faces"] is None or arrays["face_scores"] is None:
        arrays["faces"] = arrays["face_scores"] = None

    params = [frame["params"] for frame in frames]
    size = max(max(p) for p in params)
    if all(p == params[0] for p in params):
        region = params[0][2:]
        region = None if region == (0, size, 0, size) else region
        return HandPose(**arrays, width=size, height=size, region=region, fps=float(fps))
    # Frames placed differently: each is brought to the whole canvas, which they share.
    poses = [
        HandPose(
            **{k: None if v is None else v[i : i + 1] for k, v in arrays.items()},
            width=size,
            height=size,
            region=p[2:],
            fps=float(fps),
        ).whole_canvas()
        for i, p in enumerate(params)
    ]
    return join(poses)


def join(poses: list[HandPose]) -> HandPose:
    """Poses on one canvas, one after the other; body or face are kept if all have them."""
    arrays = {}
    for key in _SHAPES:
        parts = [getattr(pose, key) for pose in poses]
        arrays[key] = None if any(part is None for part in parts) else np.concatenate(parts)
    first = poses[0]
    return HandPose(**arrays, width=first.width, height=first.height, region=first.region, fps=first.fps)


def _read_frame(record: dict, name: str) -> dict:
    def array(value, what: str, *shape: int) -> np.ndarray:
        try:
            found = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} of {name} is not an array of numbers") from error
        if found.ndim != len(shape) or any(s not in (-1, n) for s, n in zip(shape, found.shape, strict=True)):
            wanted = "x".join("N" if s == -1 else str(s) for s in shape)
            raise ValueError(f"{what} of {name} has the shape {found.shape}, but a pose file has {wanted}")
        return found

    for key in ("hands", "hands_score"):
        if key not in record:
            raise ValueError(f"{name} has no {key!r}, so it is no pose of EchoMimicV2: choose another pose folder")
    hands = array(record["hands"], "'hands'", -1, HAND_POINTS, 2)
    hand_scores = array(record["hands_score"], "'hands_score'", -1, HAND_POINTS)
    if len(hands) != len(hand_scores) or len(hands) < HANDS or len(hands) % HANDS:
        raise ValueError(
            f"{name} has {len(hands)} hands and {len(hand_scores)} rows of hand scores, but needs 2 of each: make the "
            "poses again, or choose another pose folder"
        )

    bodies = body_scores = faces = face_scores = None
    person, people = 0, len(hands) // HANDS
    body = record.get("bodies")
    if isinstance(body, dict) and "candidate" in body and "score" in body:
        candidates = array(body["candidate"], "'bodies' candidate", -1, 2)
        scores = array(body["score"], "'bodies' score", -1, BODY_POINTS)
        if len(scores) and len(candidates) == len(scores) * BODY_POINTS:
            person = int(np.argmax(scores.mean(axis=1)))
            bodies = candidates[person * BODY_POINTS : (person + 1) * BODY_POINTS]
            body_scores = scores[person]
    if np.size(record.get("faces")) >= FACE_POINTS * 2 and np.size(record.get("faces_score")) >= FACE_POINTS:
        all_faces = array(record["faces"], "'faces'", -1, FACE_POINTS, 2)
        all_scores = array(record["faces_score"], "'faces_score'", -1, FACE_POINTS)
        face = person if person < min(len(all_faces), len(all_scores)) else 0
        faces, face_scores = all_faces[face], all_scores[face]
    # Several people are stored as all left hands, then all right hands.
    chosen = [person, person + people] if person < people else [0, people]
    return {
        "hands": hands[chosen],
        "hand_scores": hand_scores[chosen],
        "bodies": bodies,
        "body_scores": body_scores,
        "faces": faces,
        "face_scores": face_scores,
        "params": _read_params(record.get("draw_pose_params"), name),
    }


def _read_params(params, name: str) -> tuple[int, ...]:
    if params is None:
        return (FRAME_SIZE, FRAME_SIZE, 0, FRAME_SIZE, 0, FRAME_SIZE)
    try:
        values = tuple(int(value) for value in params)
        height, width, row, row_end, column, column_end = values
    except (TypeError, ValueError) as error:
        raise ValueError(f"'draw_pose_params' of {name} is {params!r}, but should be six whole numbers") from error
    if row_end - row != height or column_end - column != width or min(height, width) < 1 or min(row, column) < 0:
        raise ValueError(f"'draw_pose_params' of {name} is {list(values)}: its rows and columns do not fit its size")
    return values


def save(pose: HandPose, path: str | Path) -> Path:
    """Write a pose as .json or .safetensors (by the ending of `path`); an existing file is never overwritten."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"a pose is saved as .json or .safetensors, not as {path.name!r}")
    arrays = {key: np.ascontiguousarray(v, np.float64) for key in _SHAPES if (v := getattr(pose, key)) is not None}
    region = None if pose.region is None else [int(v) for v in pose.region]
    values = {"width": int(pose.width), "height": int(pose.height), "region": region, "fps": float(pose.fps)}
    header = {"format": FORMAT, "version": VERSION, **values}
    if path.suffix == ".json":
        data = json.dumps(header | {key: array.tolist() for key, array in arrays.items()}).encode()
    else:
        from safetensors.numpy import save as to_bytes

        data = to_bytes(arrays, metadata={k: v if isinstance(v, str) else json.dumps(v) for k, v in header.items()})
    with open(path, "xb") as file:
        file.write(data)
    return path


def load(path: str | Path) -> HandPose:
    """Read a pose that `save` wrote.

    Raises
    ------
    ValueError : a sentence, if the file is missing, damaged, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no pose file {path}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"the pose file {path} should end in .json or .safetensors")
    try:
        content = _read_json(path) if path.suffix == ".json" else _read_safetensors(path)
    except Exception as error:
        raise ValueError(f"the pose file {path} is damaged or no pose file ({error}): copy or save it again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a pose file of this pack (its 'format' should be {FORMAT!r})")
    if content.get("version") != VERSION:
        raise ValueError(
            f"the pose file {path} has version {content.get('version')}, but this pack reads version {VERSION}: "
            "update the pack"
        )
    return _check(content, path)


def _read_json(path: Path):
    return json.loads(path.read_text("utf-8"))


def _read_safetensors(path: Path) -> dict:
    from safetensors import safe_open

    with safe_open(str(path), framework="numpy") as file:
        metadata = dict(file.metadata() or {})
        content = {key: json.loads(v) for key, v in metadata.items() if key in ("version", "width", "height", "fps")}
        content |= {"format": metadata.get("format"), "region": json.loads(metadata.get("region", "null"))}
        content |= {key: file.get_tensor(key) for key in file.keys() if key in _SHAPES}  # noqa: SIM118
    return content


def _check(content: dict, path: Path) -> HandPose:
    arrays: dict[str, np.ndarray | None] = dict.fromkeys(_SHAPES)
    frames = None
    for key, shape in _SHAPES.items():
        if content.get(key) is None:
            if key in _OPTIONAL:
                continue
            raise ValueError(f"the pose file {path} has no {key!r}")
        try:
            array = np.asarray(content[key], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key!r} in the pose file {path} is not an array of numbers") from error
        frames = len(array) if frames is None and array.ndim else frames
        if array.shape != (frames, *shape):
            raise ValueError(
                f"{key!r} in the pose file {path} has the shape {array.shape} instead of {(frames, *shape)}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{key!r} in the pose file {path} holds values that are not numbers")
        arrays[key] = array
    if not frames:
        raise ValueError(f"the pose file {path} has no frames")
    for points, scores in (("bodies", "body_scores"), ("faces", "face_scores")):
        if (arrays[points] is None) != (arrays[scores] is None):
            raise ValueError(f"the pose file {path} has only one of {points!r} and {scores!r}")
    width, height, fps, region = (content.get(key) for key in ("width", "height", "fps", "region"))
    if not all(isinstance(v, int) and v > 0 for v in (width, height)):
        raise ValueError(
            f"the canvas of the pose file {path} is {width} x {height} instead of two positive whole numbers"
        )
    if not isinstance(fps, int | float) or not math.isfinite(fps) or fps <= 0:
        raise ValueError(f"the frame rate of the pose file {path} is {fps!r} instead of a positive number")
    if region is not None:
        ok = isinstance(region, list) and len(region) == 4 and all(isinstance(v, int) for v in region)
        if not ok or region[0] >= region[1] or region[2] >= region[3]:
            raise ValueError(f"the region of the pose file {path} is {region!r} instead of four growing whole numbers")
        region = tuple(region)
    return HandPose(**arrays, width=width, height=height, region=region, fps=float(fps))
