"""Names of models and encoders for the menus, apart from what opens them, so that ComfyUI starts without it."""

from functools import lru_cache
from pathlib import Path

import folder_paths

from ..echomimic_core.config import VARIANTS
from ..echomimic_core.files.names import is_hidden

RELEASED = list(VARIANTS)
AUTO = "auto"


def echomimic_folders() -> list[str]:
    return folder_paths.get_folder_paths("echomimic")


def one_file_names() -> list[str]:
    """Our one-file models in models/echomimic, by what each header says; damaged files too, whose sentence helps."""
    names = [name for name in folder_paths.get_filename_list("echomimic") if name.lower().endswith(".safetensors")]
    shown = [name for name in names if not is_hidden(Path(name).name)]
    return [name for name in shown if may_be_model(folder_paths.get_full_path("echomimic", name))]


def may_be_model(path: str | None) -> bool:
    try:
        return path is not None and _may_be_model(path, *stamp(Path(path)))
    except OSError:  # Gone since it was listed.
        return False


@lru_cache(maxsize=1024)
def _may_be_model(path: str, *_stamp: int) -> bool:
    from ..echomimic_core.files.about import ONE_FILE, about

    found = about(path)
    return found.kind == ONE_FILE or bool(found.problem)


def audio_encoder_folders() -> list[str]:
    """ComfyUI's own folders for audio encoders, which older versions do not have."""
    known = "audio_encoders" in folder_paths.folder_names_and_paths
    return folder_paths.get_folder_paths("audio_encoders") if known else []


def whisper_names() -> list[str]:
    """Files that may be a Whisper encoder, from models/echomimic and core's models/audio_encoders."""
    names = [n for n in folder_paths.get_filename_list("echomimic") if "whisper" in n.lower() or n.endswith("tiny.pt")]
    if audio_encoder_folders():
        names += [n for n in folder_paths.get_filename_list("audio_encoders") if n not in names]
    return names


def stamp(path: Path) -> tuple[int, int]:
    """What tells a file from what may lie in its place later: when it was changed, in ns, and its bytes."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size
