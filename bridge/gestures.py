"""Where gesture libraries, and what they are made of, lie in ComfyUI's own folders."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management
import folder_paths
import torch

from ..echomimic_core.config import FPS
from ..echomimic_core.files.names import is_hidden
from ..echomimic_core.runtime import Progress
from .folders import MODELS_MARK, OUTPUT_MARK, model_folders
from .progress import until_cancelled

if TYPE_CHECKING:
    from ..echomimic_core.pose import HandPose

LIBRARY = ".safetensors"


def output_folder() -> Path:
    """Where Load Gestures writes."""
    return Path(folder_paths.get_output_directory()) / "gestures"


def _roots() -> list[tuple[str, Path]]:
    roots = [(MODELS_MARK, Path(folder) / "gestures") for folder in model_folders("echomimic")]
    return [("", Path(folder_paths.get_input_directory())), *roots, (OUTPUT_MARK, output_folder())]


def list_sources() -> list[str]:
    """Names of gesture libraries, and of input folders that hold poses or videos."""
    names = []
    for mark, root in _roots():
        if not root.is_dir():
            continue
        for entry in sorted(root.iterdir()):
            if is_hidden(entry.name):
                continue
            if mark and entry.suffix == LIBRARY and entry.is_file():
                names.append(entry.name + mark)
            elif not mark and entry.is_dir() and _has_clips(entry):
                names.append(entry.name)
    return list(dict.fromkeys(names))


def _has_clips(folder: Path) -> bool:
    from ..echomimic_core.gestures.sources import clips_in

    return any(True for _ in clips_in(folder))


def find_source(name: str) -> Path:
    """The library or folder of a name as `list_sources` gives it; ValueError for a name that is not there."""
    mark = next((mark for mark in (MODELS_MARK, OUTPUT_MARK) if name.endswith(mark)), "")
    plain = name.removesuffix(mark)
    for root_mark, root in _roots():
        path = root / plain
        if root_mark == mark and plain and Path(plain).name == plain and path.exists():
            return path
    raise ValueError(
        f"there are no gestures {name!r}: put a folder of poses or driving videos into ComfyUI's input directory, or a "
        "gesture library into models/echomimic/gestures, then press R to refresh"
    )


def find_hands(path: Path, progress: Progress) -> "HandPose":
    """The pose in a video, at the method's frame rate; `progress` is called while it goes on."""
    from ..echomimic_core.media.video import read_frames
    from ..echomimic_core.pose import detect
    from .landmarks import landmark_networks

    frames = until_cancelled(read_frames(path))
    return detect.hand_pose(frames, landmark_networks(), fps=FPS, progress=progress, track=True)[0]


def list_planners() -> list[str]:
    """Names of trained planners in models/echomimic/gestures."""
    folders = [root for mark, root in _roots() if mark == MODELS_MARK and root.is_dir()]
    files = [path for root in folders for path in root.iterdir() if path.suffix == LIBRARY and not is_hidden(path.name)]
    if not files:
        return []
    from ..echomimic_core.gestures.trained import is_planner

    return sorted({path.name for path in files if is_planner(path)})


def find_planner(name: str) -> Path:
    """The planner of a name as `list_planners` gives it; ValueError for a name that is not there."""
    for mark, root in _roots():
        path = root / name
        if mark == MODELS_MARK and Path(name).name == name and path.is_file():
            return path
    raise ValueError(
        f"there is no gesture model {name!r} in models/echomimic/gestures: put it there, then press R to refresh, or "
        "choose none"
    )


def whisper_states(voice: torch.Tensor, progress: Progress) -> torch.Tensor:
    """Whisper's states (T, 5, 384) of a voice (samples,) at 16 kHz, by the encoder in ComfyUI's folders."""
    from ..echomimic_core import audio
    from .model_files import find_whisper
    from .model_names import AUTO, echomimic_folders

    encoder = _whisper(str(find_whisper(AUTO, echomimic_folders())))
    comfy.model_management.load_models_gpu([encoder])
    return audio.encode(encoder.model, voice, progress)


@lru_cache(maxsize=1)
def _whisper(path: str):
    from ..echomimic_core.files.tensor_file import TensorFile
    from ..echomimic_core.models.audio_encoder import build_audio_encoder
    from .patcher import make_patcher

    return make_patcher(build_audio_encoder(TensorFile(path).state_dict()))
