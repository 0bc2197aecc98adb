"""A gesture library as one .safetensors file: chains one after another, and what each piece is in the metadata."""

import json
from pathlib import Path

import numpy as np
import torch

from ..files.checkpoints import write_tensors
from ..files.tensor_file import CheckpointError, TensorFile
from ..pose import HandPose, gestures
from ..runtime import Progress
from .chains import BONES, Chains
from .library import BOTH, GestureLibrary, Stroke

FORMAT, VERSION = "echomimicv2-gestures", "1"
PARTS = {"roots": (2, 2), "angles": (2, BONES), "lengths": (2, BONES)}
MARKS = ("strike", "apex", "leave")
MOST_FRAMES, MOST_PIECES = 2_000_000, 100_000


def save_library(library: GestureLibrary, path: str | Path, progress: Progress | None = None) -> Path:
    """Write a library, whole or not at all; its path."""
    pieces = [*(stroke.chains for stroke in library.strokes), *library.rests]
    tensors = {
        name: torch.from_numpy(np.concatenate([getattr(piece, name) for piece in pieces]).astype(np.float32))
        for name in PARTS
    }
    strokes = [
        {"kind": s.kind, "name": s.name, "frames": len(s.chains), "sides": s.sides, "size": round(s.size, 6)}
        | {mark: getattr(s, mark) for mark in MARKS}
        for s in library.strokes
    ]
    content = {"strokes": strokes, "rests": [len(rest) for rest in library.rests]}
    metadata = {"format": FORMAT, "version": VERSION, "fps": repr(float(library.fps)), "content": json.dumps(content)}
    return write_tensors(path, tensors, metadata, progress)


def open_ours(path: str | Path, kind: str, version: str, otherwise: str) -> TensorFile:
    """A file of ours whose metadata name this kind and version; ValueError with the sentence `otherwise` if not."""
    file = TensorFile(path)
    if file.metadata.get("format") != kind or file.metadata.get("version") != version:
        raise ValueError(otherwise)
    return file


def load_library(path: str | Path) -> GestureLibrary:
    """Read a library of `save_library`.

    Raises
    ------
    ValueError : no such file, another kind of file, or one that is damaged, in a sentence with its name.
    """
    try:
        why = "it is not a gesture library of this version: create one with Load Gestures"
        return _library(open_ours(path, FORMAT, VERSION, why))
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the gesture library {path} cannot be used: {str(error) or type(error).__name__}") from error


def _library(file: TensorFile) -> GestureLibrary:
    content, fps = json.loads(file.metadata["content"]), float(file.metadata["fps"])
    lengths = [int(stroke["frames"]) for stroke in content["strokes"]] + [int(frames) for frames in content["rests"]]
    if not 1 <= fps <= 1000 or not 0 < len(lengths) <= MOST_PIECES or min(lengths) < 1 or sum(lengths) > MOST_FRAMES:
        raise ValueError("its lengths or its frame rate are impossible")
    if not content["strokes"] or not content["rests"]:
        raise ValueError("it has no strokes or no rests")
    arrays = {}
    for name, shape in PARTS.items():
        if file.shape(name) != (sum(lengths), *shape):
            raise ValueError(f"{name!r} has the shape {file.shape(name)} instead of {(sum(lengths), *shape)}")
        arrays[name] = file.tensor(name).double().numpy()
        if not np.isfinite(arrays[name]).all() or np.abs(arrays[name]).max() > 1e4:
            raise ValueError(f"{name!r} contains values that no motion has")
    ends = np.cumsum([0, *lengths])
    pieces = [Chains(*(arrays[name][a:b] for name in PARTS)) for a, b in zip(ends, ends[1:], strict=False)]
    strokes = [_stroke(told, piece) for told, piece in zip(content["strokes"], pieces, strict=False)]
    return GestureLibrary(tuple(strokes), tuple(pieces[len(strokes) :]), _base(fps), fps)


def _stroke(told: dict, chains: Chains) -> Stroke:
    marks = [int(told[mark]) for mark in MARKS]
    sides = tuple(side for side in BOTH if side in told["sides"])
    if not 0 <= marks[0] <= marks[1] <= marks[2] < len(chains) or not sides:
        raise ValueError(f"the stroke {told['name']!r:.60} has impossible marks")
    return Stroke(str(told["kind"]), str(told["name"]), chains, *marks, sides, float(told["size"]))


def _base(fps: float) -> HandPose:
    return gestures.clip("idle", 1, fps)
