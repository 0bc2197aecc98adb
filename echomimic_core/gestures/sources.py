"""What gesture libraries are made of: a folder of poses, and of driving videos in which hands are found once."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..files.names import is_hidden
from ..media.video import VIDEO_SUFFIXES
from ..pose import HandPose, files
from ..runtime import Progress

POSE_SUFFIXES = (*files.SUFFIXES, ".zip")


def clips_in(folder: Path) -> Iterator[Path]:
    """Poses and videos in a folder: itself if it is a pose, else what is in it."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_hidden(entry.name)]
    if any(entry.suffix == ".npy" for entry in entries):
        yield folder
        return
    for entry in entries:
        is_pose = entry.is_dir() and any(child.suffix == ".npy" for child in entry.iterdir())
        if is_pose or (entry.is_file() and entry.suffix.lower() in (*POSE_SUFFIXES, *VIDEO_SUFFIXES)):
            yield entry


def read_clips(
    folder: Path,
    kept: Path,
    find: Callable[[Path], HandPose],
    said: list[str],
    progress: Progress | None = None,
) -> Iterator[tuple[str, HandPose]]:
    """(name, pose) of each clip in a folder; what cannot be used becomes a sentence in `said`.

    Parameters
    ----------
    kept : folder for the poses found in videos, so that each is found once. find : finds the pose in a video.
    progress : called with (clips done, clips); may raise to cancel.
    """
    clips = list(clips_in(folder))
    for number, path in enumerate(clips):
        if progress is not None:
            progress(number, len(clips))
        try:
            if path.suffix.lower() in VIDEO_SUFFIXES:
                yield path.stem, _of_video(path, kept / f"{path.name}.safetensors", find)
            else:
                yield path.stem, files.load_any(path)
        except ValueError as error:
            said.append(f"{path.name} is left out: {error}")


def _of_video(path: Path, kept: Path, find: Callable[[Path], HandPose]) -> HandPose:
    if kept.is_file() and os.path.getmtime(kept) >= os.path.getmtime(path):
        return files.load(kept)
    pose = find(path)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    files.save(pose, kept)
    return pose
