"""Our own pose files: .json and .safetensors.

The format, version 1, in both kinds of file: `hands` (F, 2, 21, 2) and `hand_scores` (F, 2, 21); optionally `bodies`
(F, 18, 2), `body_scores` (F, 18), `faces` (F, 68, 2) and `face_scores` (F, 68); the canvas `width` and `height` in
pixels; `region` (row begin, row end, column begin, column end) or null; `fps`. Meanings are those of `HandPose`.
A .json file is one object with these keys besides `"format": "echomimicv2-pose"` and `"version": 1`; arrays are nested
lists. A .safetensors file holds the arrays as tensors and the rest as metadata (texts; `region` as JSON).
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from ..files.durable import Draft
from ..files.json_stream import JsonError, JsonObject
from ..files.places import MappedFile, TensorFormatError
from ..files.safetensors_file import read_header
from ..files.safetensors_file import write as write_safetensors
from ..runtime import Progress
from .hand_pose import MAX_FPS, MAX_FRAMES, TRACKS, HandPose, check_canvas, check_points
from .track import PAIRS

FORMAT = "echomimicv2-pose"
VERSION = 1
SUFFIXES = (".json", ".safetensors")

SCORES = dict(PAIRS)
OPTIONAL = [key for pair in PAIRS[1:] for key in pair]
_NUMBERS = ("version", "width", "height", "fps")
# Frames handled between two looks at the cancel button.
_CHUNK = 512


def save(pose: HandPose, path: str | Path, progress: Progress | None = None, others: Iterable[Path] = ()) -> Path:
    """Write a pose as .json or .safetensors (by the ending of `path`); an existing file is never overwritten.

    Points that are not numbers are written as absent.

    Parameters
    ----------
    progress : called with (work done, work in all); it may raise to stop, and nothing is left then.
    others : names to take where `path` is taken, in this order.

    Returns
    -------
    The path that was written.

    Raises
    ------
    ValueError : another ending, or a name that no file can have. FileExistsError : all names are taken.
    WriteError : the disk is full, the folder is read-only, ...
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"a pose is saved as .json or .safetensors, not as {path.name!r}")
    arrays = _arrays(pose)
    region = None if pose.region is None else [int(v) for v in pose.region]
    values = {"width": int(pose.width), "height": int(pose.height), "region": region, "fps": float(pose.fps)}
    header = {"format": FORMAT, "version": VERSION, **values}
    with Draft(path, replace=False, others=others) as made:
        file = made.open()
        if path.suffix == ".json":
            for piece in _json_pieces(header, arrays, progress):
                file.write(piece)
        else:
            tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
            texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in header.items()}
            write_safetensors(file, tensors, texts, progress)
    return made.path


def _arrays(pose: HandPose) -> dict[str, np.ndarray]:
    """The tracks that the pose has, as contiguous float64; what is not finite is absent (0, with score 0)."""
    arrays = {}
    for name, track in pose.tracks.items():
        track = track.finite()
        arrays[name] = np.ascontiguousarray(track.points, np.float64)
        arrays[SCORES[name]] = np.ascontiguousarray(track.scores, np.float64)
    return arrays


def _json_pieces(header: dict, arrays: dict[str, np.ndarray], progress: Progress | None) -> Iterator[bytes]:
    yield json.dumps(header)[:-1].encode()
    total, done = sum(len(array) for array in arrays.values()), 0
    for key, array in arrays.items():
        yield f', "{key}": ['.encode()
        for start in range(0, len(array), _CHUNK):
            frames = array[start : start + _CHUNK]
            yield (b", " if start else b"") + json.dumps(frames.tolist())[1:-1].encode()
            done += len(frames)
            if progress is not None:
                progress(done, total)
        yield b"]"
    yield b"}\n"


def load(path: str | Path, progress: Progress | None = None) -> HandPose:
    """Read a pose that `save` wrote.

    progress : called with (work done, work in all); it may raise to stop.

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
        content = (_read_json if path.suffix == ".json" else _read_safetensors)(path, progress)
    except (JsonError, TensorFormatError) as error:
        raise ValueError(
            f"the pose file {path} is damaged or not a pose file ({error}): copy or save it again"
        ) from error
    except OSError as error:
        raise ValueError(f"the pose file {path} cannot be read: {error.strerror or error}") from error
    if content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a pose file of this pack (its 'format' should be {FORMAT!r})")
    if content.get("version") != VERSION:
        raise ValueError(
            f"the pose file {path} has version {content.get('version')!r:.40}, but this pack reads version {VERSION}: "
            "update the pack"
        )
    return _check(content, path)


def _read_json(path: Path, progress: Progress | None) -> dict:
    content, size = {}, path.stat().st_size
    with JsonObject(path) as file:
        for key in file.keys():  # noqa: SIM118 (no dictionary)
            if key in TRACKS and file.is_list():
                content[key] = _read_track(file, key, path, size, progress)
            elif file.is_list() and key != "region":
                for _ in file.elements():
                    if progress is not None:
                        progress(min(file.position, size), size)
            else:
                content[key] = file.value()
    return content


def _read_track(file: JsonObject, key: str, path: Path, size: int, progress: Progress | None) -> np.ndarray:
    parts: list[np.ndarray] = []
    frames, elements = [], file.elements()
    while frames or not parts:
        frames = [frame for _, frame in zip(range(_CHUNK), elements, strict=False)]
        if frames or not parts:
            parts.append(_as_track(frames, key, path))
        if len(parts) * _CHUNK > MAX_FRAMES + _CHUNK:
            raise ValueError(f"the pose file {path} has more than {MAX_FRAMES:,} frames: cut it into several")
        if progress is not None:
            progress(min(file.position, size), size)
    return np.concatenate(parts)


def _as_track(frames: list, key: str, path: Path) -> np.ndarray:
    try:
        array = np.asarray(frames, dtype=np.float64) if frames else np.zeros((0, *TRACKS[key]))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{key!r} in the pose file {path} is not an array of numbers") from error
    if array.shape[1:] != TRACKS[key]:
        raise ValueError(
            f"{key!r} in the pose file {path} has frames of shape {array.shape[1:]} instead of {TRACKS[key]}"
        )
    return array


def _read_safetensors(path: Path, progress: Progress | None) -> dict:
    places, metadata = read_header(path)
    try:
        content = {key: json.loads(value) for key, value in metadata.items() if key in _NUMBERS}
        content |= {"format": metadata.get("format"), "region": json.loads(metadata.get("region", "null"))}
    except (ValueError, RecursionError) as error:
        raise TensorFormatError("its metadata are not numbers") from error
    file, known = MappedFile(path), [key for key in TRACKS if key in places]
    for index, key in enumerate(known):
        place = places[key]
        if place.shape[1:] != TRACKS[key] or place.shape[0] > MAX_FRAMES:
            raise ValueError(
                f"{key!r} in the pose file {path} has the shape {place.shape} instead of {('frames', *TRACKS[key])} "
                f"with at most {MAX_FRAMES:,} frames"
            )
        # A copy, so that no handle stays on the file.
        content[key] = file.tensor(place).to(torch.float64, copy=True).numpy()
        if progress is not None:
            progress(index + 1, len(known))
    return content


def _check(content: dict, path: Path) -> HandPose:
    arrays: dict[str, np.ndarray | None] = dict.fromkeys(TRACKS)
    frames = None
    for key in TRACKS:
        array = content.get(key)
        if array is None:
            if key in OPTIONAL:
                continue
            raise ValueError(f"the pose file {path} has no {key!r}")
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{key!r} in the pose file {path} is not an array of numbers")
        frames = len(array) if frames is None else frames
        if len(array) != frames:
            raise ValueError(f"{key!r} in the pose file {path} has {len(array)} frames, but others have {frames}")
        arrays[key] = array
    if not frames or frames > MAX_FRAMES:
        raise ValueError(f"the pose file {path} has {frames or 'no'} frames, but 1 to {MAX_FRAMES:,} can be used")
    for points, scores in PAIRS:
        if (arrays[points] is None) != (arrays[scores] is None):
            raise ValueError(f"the pose file {path} has only one of {points!r} and {scores!r}")
        check_points(arrays[points], arrays[scores], f"{points!r} in the pose file {path}", finite=True)
    width, height, fps, region = (content.get(key) for key in ("width", "height", "fps", "region"))
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= MAX_FPS:
        raise ValueError(
            f"the frame rate of the pose file {path} is {fps!r:.40} instead of a number above 0 and up to {MAX_FPS}"
        )
    region = tuple(region) if isinstance(region, list) else region
    check_canvas(width, height, region, f"of the pose file {path}")
    return HandPose(**arrays, width=width, height=height, region=region, fps=float(fps))
