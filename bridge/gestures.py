"""Where gesture libraries, and what they are made of, lie in ComfyUI's own folders."""

import os
from collections.abc import Iterator
from pathlib import Path

import folder_paths

from ..echomimic_core.config import FPS
from ..echomimic_core.files.names import is_hidden
from ..echomimic_core.pose import HandPose, detect, files
from ..echomimic_core.runtime import Progress
from .folders import MODELS_MARK, OUTPUT_MARK, SUFFIXES, model_folders
from .progress import until_cancelled

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
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
            elif not mark and entry.is_dir() and any(True for _ in _clips_in(entry)):
                names.append(entry.name)
    return list(dict.fromkeys(names))


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


def _clips_in(folder: Path) -> Iterator[Path]:
    """Poses and videos in a folder: itself if it is a pose, else what is in it."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_hidden(entry.name)]
    if any(entry.suffix == ".npy" for entry in entries):
        yield folder
        return
    for entry in entries:
        is_pose = entry.is_dir() and any(child.suffix == ".npy" for child in entry.iterdir())
        if is_pose or (entry.is_file() and entry.suffix.lower() in (*SUFFIXES, *VIDEOS)):
            yield entry


def read_clips(folder: Path, kept: Path, progress: Progress) -> Iterator[tuple[str, HandPose]]:
    """(name, pose) of each clip in a folder; poses found in videos are kept in `kept`, so that they are found once."""
    clips = list(_clips_in(folder))
    for number, path in enumerate(clips):
        progress(number, len(clips))
        if path.suffix.lower() in VIDEOS:
            yield path.stem, _of_video(path, kept / f"{path.stem}.safetensors", progress)
        else:
            yield path.stem, files.load_folder(path) if path.is_dir() else files.load(path)


def _of_video(path: Path, kept: Path, progress: Progress) -> HandPose:
    if kept.is_file() and os.path.getmtime(kept) >= os.path.getmtime(path):
        return files.load(kept)
    from ..echomimic_core.media.video import read_frames
    from .landmarks import landmark_networks

    def part(done: int, total: int) -> None:
        progress(0, 1)

    pose, _ = detect.hand_pose(
        until_cancelled(read_frames(path)), landmark_networks(), fps=FPS, progress=part, track=True
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    files.save(pose, kept)
    return pose
