"""What is fuzzed: for each kind of input, how the pack opens it, and what it may answer."""

import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from echomimic_core.models.build import build, config_of

# Words of other libraries and of Python itself that no user should have to read.
FOREIGN = re.compile(
    r"Traceback|NoneType|object has no|object is not|not subscriptable|unsupported operand|invalid literal"
    r"|codec can't|unexpected keyword|positional argument|list index|index out of range|not iterable|Errno"
    r"|inhomogeneous|cannot reshape|buffer size|setting an array|unpack|dtype\(|size mismatch"
    r"|__(?:init|new|call|class|dict|getitem|len|array|setstate|reduce)__"
)
LONGEST_SENTENCE = 1500
ROOT = Path(__file__).resolve().parents[2]


def open_pose_folder(path: Path) -> None:
    from echomimic_core.pose import files

    look_at(files.load_folder(path.parent))


def open_pose_file(path: Path) -> None:
    from echomimic_core.pose import files

    look_at(files.load(path))


def open_pose_zip(path: Path) -> None:
    from echomimic_core.pose import files

    look_at(files.load_zip(path))


def open_keypoints(path: Path) -> None:
    from echomimic_core.pose.keypoints import from_keypoints, to_keypoints

    pose = from_keypoints(json.loads(path.read_text("utf-8")))
    look_at(pose)
    to_keypoints(pose)


def look_at(pose) -> None:
    """What a graph does with every pose: it is drawn, as small as can be."""
    from echomimic_core.pose import draw

    draw.draw_maps(pose.take([0, len(pose) - 1]), None, min(pose.height, 512), min(pose.width, 512), draw.GROUPS)
    pose.whole_canvas()


def open_weights(path: Path) -> None:
    from echomimic_core.files.tensor_file import TensorFile

    file = TensorFile(path)
    for name in file.names():
        file.tensor(name).float().sum()


def open_model(path: Path) -> None:
    from echomimic_core.files.checkpoints import open_one_file

    files = open_one_file(path)
    config = config_of(files)
    for network in ("denoising_unet", "pose_encoder"):
        build(files, network, config)


def open_whisper(path: Path) -> None:
    from echomimic_core.files.tensor_file import TensorFile
    from echomimic_core.models.audio_encoder import build_audio_encoder

    try:
        build_audio_encoder(TensorFile(path).state_dict())
    except ValueError as error:
        # As the loader does it.
        raise ValueError(f"{path.name}: {error}") from error


def open_video(path: Path) -> None:
    from echomimic_core.media.video import frame_rate, read_frames

    for count, (_, picture) in enumerate(read_frames(path, 24.0)):
        assert picture.ndim == 3
        if count > 200:
            break
    frame_rate(path)


def open_sound(path: Path) -> None:
    from echomimic_core.media.video import read_audio
    from echomimic_core.media.waveform import resample

    resample(*read_audio(path))


def open_picture(path: Path) -> None:
    from echomimic_core.evaluation.clips import read_picture

    read_picture(path)


def open_value(path: Path) -> None:
    """What a node does with a value that comes by wire: {"maker": one of `bridge.values`, "value": see `made`}."""
    given = json.loads(path.read_text("utf-8"))
    bounds = (0, 100) if given["maker"] in ("number", "whole") else ()
    options = (["auto", "float32"],) if given["maker"] == "choice" else ()
    getattr(bridge_values(), given["maker"])(made(given["value"]), "value.json", *bounds, *options)


def bridge_values():
    """`bridge/values.py`, which needs nothing of ComfyUI, as a module of a pack of which nothing else is run."""
    if "pack" not in sys.modules:
        root = str(ROOT)
        spec = importlib.util.spec_from_file_location("pack", f"{root}/__init__.py", submodule_search_locations=[root])
        sys.modules["pack"] = importlib.util.module_from_spec(spec)
    return importlib.import_module("pack.bridge.values")


def made(value):
    """A value that JSON cannot hold from one that it can: {"torch" or "numpy": [shape, dtype, content]}."""
    import numpy as np
    import torch

    if isinstance(value, list):
        return [made(item) for item in value]
    if not isinstance(value, dict):
        return value
    for library in ("torch", "numpy"):
        if library in value:
            shape, dtype, content = value[library]
            array = np.full(shape, content).astype(dtype)
            return torch.from_numpy(np.asarray(array)) if library == "torch" else array
    return {key: made(item) for key, item in value.items()}


# Kind -> (how it is opened, the name that its file gets).
READERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "pickle": (open_pose_folder, "0.npy"),
    "frame": (open_pose_folder, "0.npy"),
    "npy": (open_pose_folder, "0.npy"),
    "json": (open_pose_file, "pose.json"),
    "pose_safetensors": (open_pose_file, "pose.safetensors"),
    "pose_zip": (open_pose_zip, "pose.zip"),
    "torch_zip": (open_weights, "weights.pth"),
    "safetensors": (open_weights, "weights.safetensors"),
    "one_file": (open_model, "model.safetensors"),
    "whisper": (open_whisper, "whisper.safetensors"),
    "video": (open_video, "video.mp4"),
    "sound": (open_sound, "sound.flac"),
    "picture": (open_picture, "picture.png"),
    "keypoints": (open_keypoints, "keypoints.json"),
}
if (ROOT / "bridge" / "values.py").is_file():
    READERS["value"] = open_value, "value.json"


def answer(kind: str, path: Path) -> dict:
    """What the pack says to a file: {"opened": True}, {"said": sentence}, or {"foreign": what came instead}."""
    try:
        READERS[kind][0](path)
    except ValueError as error:
        said = str(error)
        if type(error).__module__ == "builtins" and type(error) is not ValueError:
            return {"foreign": f"{type(error).__name__}: {said[:500]}"}
        names = kind == "keypoints" or path.name in said
        # What a file asks for, or says of itself, is named in its own words.
        words = re.sub(r"it asks for \S+|'[^']*'", "", said)
        plain = "\n" not in said and len(said) <= LONGEST_SENTENCE and not FOREIGN.search(words)
        return {"said": said} if names and plain else {"foreign": f"no sentence of ours: {said[:500]}"}
    except BaseException as error:
        return {"foreign": f"{type(error).__name__}: {str(error)[:500]} at {_place(error)}"}
    return {"opened": True}


def _place(error: BaseException) -> str:
    frame = error.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    return f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
