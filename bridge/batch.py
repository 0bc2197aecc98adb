"""Folders of files that are worked off one by one: which files, and what ComfyUI makes of each."""

from collections.abc import Callable
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import InputImpl
from comfy_execution.graph_utils import ExecutionBlocker

from ..echomimic_core.files.names import is_hidden
from ..echomimic_core.media.picture import read_picture
from ..echomimic_core.media.video import frame_rate, read_audio
from .images import to_images
from .reports import warn

KINDS = {
    "audio": (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma", ".mp4", ".mov", ".mkv", ".webm"),
    "image": (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"),
    "video": (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"),
}


def files_in(folder: str, kind: str) -> list[Path]:
    """The files of a kind in a folder, by name; a relative path is looked for in ComfyUI's input folder.

    Raises
    ------
    ValueError : there is no such folder, or no such file in it.
    """
    path = Path(folder_paths.get_input_directory()) / folder.strip()
    if not folder.strip() or not path.is_dir():
        raise ValueError(
            f"there is no folder {folder!r}: give its full path, or the name of a folder in ComfyUI's input folder"
        )
    files = [entry for entry in path.iterdir() if entry.suffix.lower() in KINDS[kind] and not is_hidden(entry.name)]
    if not files:
        raise ValueError(f"there is no {kind} file in {path} (formats: {', '.join(KINDS[kind])})")
    return sorted((entry for entry in files if entry.is_file()), key=lambda entry: (entry.name.casefold(), entry.name))


def read(path: Path, kind: str):
    """A file as AUDIO, IMAGE or VIDEO; ValueError if it is none."""
    return _READ[kind](path)


def read_or_block(path: Path, kind: str):
    """The same, but a file that cannot be read stops only what comes after it, with its sentence."""
    try:
        return read(path, kind)
    except (ValueError, OSError) as error:
        warn(f"left out: {error}")
        return ExecutionBlocker(str(error))


def _audio(path: Path) -> dict:
    waveform, rate = read_audio(path)
    return {"waveform": torch.from_numpy(waveform)[None], "sample_rate": rate}


def _image(path: Path) -> torch.Tensor:
    return to_images(read_picture(path)[None])


def _video(path: Path):
    frame_rate(path)  # A sentence where it is no video
    return InputImpl.VideoFromFile(str(path))


_READ: dict[str, Callable] = {"audio": _audio, "image": _image, "video": _video}
