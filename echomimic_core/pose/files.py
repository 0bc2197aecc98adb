"""Poses on disk: the released folders of numbered .npy files; our own .json and .safetensors files (`own_files`)."""

import math
import re
import reprlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from ..config import BODY_POINTS, FACE_POINTS, FPS, FRAME_SIZE, HAND_POINTS, HANDS
from ..runtime import Progress
from . import zipped
from .hand_pose import MAX_FRAMES, TRACKS, HandPose, check_canvas, check_points
from .own_files import FORMAT, OPTIONAL, SUFFIXES, VERSION, load, save
from .unpickle import UnsafePickleError, load_npy, parse_npy

__all__ = [
    "FORMAT",
    "SUFFIXES",
    "VERSION",
    "frame_files",
    "from_records",
    "join",
    "load",
    "load_any",
    "load_folder",
    "load_zip",
    "natural_order",
    "save",
]


_NOBODY = object()
_FRAMES_PER_REPORT = 64


def natural_order(name: str) -> list:
    """Sort key that puts 2.npy before 10.npy."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def frame_files(path: str | Path) -> list[Path]:
    """The .npy files of a folder in natural order. Names that begin with a dot are the system's own."""
    files = [file for file in Path(path).glob("*.npy") if not file.name.startswith(".") and file.is_file()]
    return sorted(files, key=lambda file: natural_order(file.name))


def load_folder(path: str | Path, fps: float = FPS, progress: Progress | None = None) -> HandPose:
    """Read a released pose folder: 0.npy, 1.npy, … with one pickled dictionary each, through a safe unpickler.

    A frame whose arrays are empty shows nobody. progress : called with (frames read, frames); it may raise to stop.

    Raises
    ------
    ValueError : a sentence, if the folder is missing, empty, has gaps, or a file is damaged, foreign or unsafe.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"there is no pose folder {path}")
    files = frame_files(path)
    if not files:
        raise ValueError(
            f"the pose folder {path} contains no .npy file: it should contain 0.npy, 1.npy, … one per frame"
        )
    if len(files) > MAX_FRAMES:
        raise ValueError(f"the pose folder {path} has {len(files):,} frames, and {MAX_FRAMES:,} are the most")
    _check_gaps(path, files)
    return _load_frames(path, [(str(file), partial(load_npy, file)) for file in files], fps, progress)


def load_any(path: str | Path, fps: float = FPS, progress: Progress | None = None) -> HandPose:
    """Read a pose folder, a zip of one, or a pose file, whichever it is; `fps` is of the first two."""
    path = Path(path)
    if path.is_dir():
        return load_folder(path, fps, progress)
    return load_zip(path, fps, progress) if path.suffix.lower() == zipped.SUFFIX else load(path, progress)


def load_zip(path: str | Path, fps: float = FPS, progress: Progress | None = None) -> HandPose:
    """Read a zip of a released pose folder, in memory; see `load_folder`.

    The frames may lie at the top or in one folder; what the system adds (names with a dot, `__MACOSX`) is left out.

    Raises
    ------
    ValueError : a sentence, as in `load_folder`, and if the zip is damaged, locked, or unpacks to too much.
    """
    path = Path(path)
    frames = zipped.frames(path)
    names = [PurePosixPath(name) for name in sorted(frames, key=natural_order)]
    _check_gaps(path, names)
    parts = [(f"{path}/{name}", partial(parse_npy, frames[name.name])) for name in names]
    return _load_frames(path, parts, fps, progress)


def _load_frames(path: Path, parts: list[tuple[str, Callable]], fps: float, progress: Progress | None) -> HandPose:
    """The pose of its frames: (name, what gives the value of its .npy file)."""
    frames = []
    for index, (name, read) in enumerate(parts):
        frames.append(_read_frame(_read_record(name, read), name))
        if progress is not None and index % _FRAMES_PER_REPORT == 0:
            progress(index, len(parts))
    return _from_frames(frames, fps, str(path))


def _check_gaps(folder: Path, files: Sequence[PurePath]) -> None:
    if not all(file.stem.isdecimal() for file in files):
        return
    numbers = sorted({int(file.stem) for file in files})
    # Counted and not listed: a single file 99999999999.npy would make that list as long.
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        first = next(a + 1 for a, b in zip(numbers, numbers[1:], strict=False) if b > a + 1)
        raise ValueError(
            f"the pose folder {folder} has {files[0].name} to {files[-1].name} but lacks {first}.npy"
            + (f" and {missing - 1:,} more" if missing > 1 else "")
            + ": copy the missing files, or number the files without gaps"
        )


def _read_record(file: str, read: Callable) -> dict:
    try:
        record = read()
    except UnsafePickleError as error:
        raise ValueError(
            f"the pose file {file} was not opened: {error}, which a pose never needs and which could run a "
            "program. Do not use this file"
        ) from error
    except OSError as error:
        raise ValueError(f"the pose file {file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"the pose file {file} cannot be read: {error}. Copy or download it again") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"the pose file {file} contains {_described(record)} instead of keypoints: choose another pose folder"
        )
    return record


def _described(value) -> str:
    kinds = {np.ndarray: "an array", list: "a list", tuple: "a list", str: "a text", bytes: "bytes"}
    return "nothing" if value is None else kinds.get(type(value), "a number")


def from_records(records: list[dict], fps: float = FPS, names: list[str] | None = None) -> HandPose:
    """A pose from dictionaries as in the released files (keys hands, hands_score, bodies, faces, draw_pose_params).

    Of several people the one with the highest mean body score is taken, as the original does for its framing.
    """
    names = names or [f"frame {index}" for index in range(len(records))]
    frames = [_read_frame(record, name) for record, name in zip(records, names, strict=True)]
    return _from_frames(frames, fps, names[0])


def _from_frames(frames: list[dict], fps: float, name: str) -> HandPose:
    arrays = {key: [frame[key] for frame in frames] for key in TRACKS}
    arrays = {key: _joined(values, TRACKS[key]) for key, values in arrays.items()}
    if arrays["bodies"] is None or arrays["body_scores"] is None:
        arrays["bodies"] = arrays["body_scores"] = None
    if arrays["faces"] is None or arrays["face_scores"] is None:
        arrays["faces"] = arrays["face_scores"] = None

    params = [frame["params"] for frame in frames]
    size = max(max(p) for p in params)
    check_canvas(size, size, None, f"of {name}")
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


def _joined(values: list, shape: tuple[int, ...]) -> np.ndarray | None:
    """A track of all frames; those that show nobody are absent in it. None where a frame, or every one, lacks it."""
    if any(value is None for value in values) or all(value is _NOBODY for value in values):
        return None
    return np.stack([np.zeros(shape) if value is _NOBODY else value for value in values])


def join(poses: list[HandPose]) -> HandPose:
    """Poses on one canvas, one after the other; body or face are kept if all have them."""
    arrays = {}
    for key in TRACKS:
        parts = [getattr(pose, key) for pose in poses]
        arrays[key] = None if any(part is None for part in parts) else np.concatenate(parts)
    first = poses[0]
    return HandPose(**arrays, width=first.width, height=first.height, region=first.region, fps=first.fps)


def _read_frame(record: dict, name: str) -> dict:
    def array(value, what: str, *shape: int) -> np.ndarray:
        try:
            found = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{what} of {name} is not an array of numbers") from error
        if found.ndim != len(shape) or any(s not in (-1, n) for s, n in zip(shape, found.shape, strict=True)):
            wanted = "x".join("N" if s == -1 else str(s) for s in shape)
            raise ValueError(f"{what} of {name} has the shape {found.shape}, but a pose file has {wanted}")
        return found

    for key in ("hands", "hands_score"):
        if key not in record:
            raise ValueError(f"{name} has no {key!r}, so it is not an EchoMimicV2 pose: choose another pose folder")
    if _is_empty(record["hands"]) and _is_empty(record["hands_score"]):
        nothing = {"hands": np.zeros(TRACKS["hands"]), "hand_scores": np.zeros(TRACKS["hand_scores"])}
        params = _read_params(record.get("draw_pose_params"), name)
        return nothing | dict.fromkeys(OPTIONAL, _NOBODY) | {"params": params}
    hands = array(record["hands"], "'hands'", -1, HAND_POINTS, 2)
    hand_scores = array(record["hands_score"], "'hands_score'", -1, HAND_POINTS)
    if len(hands) != len(hand_scores) or len(hands) < HANDS or len(hands) % HANDS:
        raise ValueError(
            f"{name} has {len(hands)} hands and {len(hand_scores)} rows of hand scores, but needs 2 of each: "
            "create the poses again, or choose another pose folder"
        )

    bodies = body_scores = faces = face_scores = None
    person, people = 0, len(hands) // HANDS
    body = record.get("bodies")
    if isinstance(body, dict) and "candidate" in body and "score" in body:
        candidates = array(body["candidate"], "'bodies' candidate", -1, 2)
        scores = array(body["score"], "'bodies' score", -1, BODY_POINTS)
        if len(scores) == 0:
            bodies = body_scores = _NOBODY
        elif len(candidates) == len(scores) * BODY_POINTS:
            person = int(np.argmax(scores.mean(axis=1)))
            bodies = candidates[person * BODY_POINTS : (person + 1) * BODY_POINTS]
            body_scores = scores[person]
    if any(_is_empty(record.get(key)) for key in ("faces", "faces_score")):
        faces = face_scores = _NOBODY
    elif not any(record.get(key) is None for key in ("faces", "faces_score")):
        all_faces = array(record["faces"], "'faces'", -1, FACE_POINTS, 2)
        all_scores = array(record["faces_score"], "'faces_score'", -1, FACE_POINTS)
        face = person if person < min(len(all_faces), len(all_scores)) else 0
        faces, face_scores = all_faces[face], all_scores[face]
    # Several people are stored as all left hands, then all right hands.
    chosen = [person, person + people] if person < people else [0, people]
    for points, scores in ((hands[chosen], hand_scores[chosen]), (bodies, body_scores), (faces, face_scores)):
        if points is not _NOBODY:
            check_points(points, scores, name)
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
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"'draw_pose_params' of {name} is {reprlib.repr(params)}, but should be six whole numbers"
        ) from error
    if row_end - row != height or column_end - column != width or min(row, column) < 0:
        raise ValueError(
            f"'draw_pose_params' of {name} is {reprlib.repr(list(values))}: its rows and columns do not fit its size"
        )
    check_canvas(FRAME_SIZE, FRAME_SIZE, (row, row_end, column, column_end), f"of {name}")
    return values


def _is_empty(value) -> bool:
    """Whether it is an array, or lists in lists, without a single number."""
    return isinstance(value, np.ndarray | list | tuple) and math.prod(_lengths(value)) == 0


def _lengths(value) -> tuple[int, ...]:
    if isinstance(value, np.ndarray):
        return value.shape
    lengths = []
    while isinstance(value, list | tuple):
        lengths.append(len(value))
        value = value[0] if value else None
    return tuple(lengths)
