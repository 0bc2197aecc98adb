"""Mattes: beside a video, the person white on black, or a file with an alpha channel for editors."""

import os
from collections.abc import Callable, Iterator

import folder_paths
import numpy as np

from .progress import cancellable_progress
from .reports import say
from .temp_video import temp_video

ALPHA = "ProRes 4444"
MATTES = ["none", "video", ALPHA, "both"]
TOOLTIP = (
    "For compositing. video: also a second video in which the person is white on black. ProRes 4444: also saves a .mov "
    "with an alpha channel to the output folder. both: both."
)

# Gives each picture (h, w, 3) uint8 with its matte (h, w) uint8, from the first one on.
Frames = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


def save_mattes(kind: str, frames: Frames, fps: float, size: tuple[int, int], count: int, sound):
    """Write what one of `MATTES` names.

    size : width and height in pixels. sound : (waveform, sample rate) of the file with alpha, or None.

    Returns
    -------
    The matte as a VIDEO, or None where it was not asked for.
    """
    from ..echomimic_core.media.alpha import AlphaWriter
    from ..echomimic_core.media.video import VideoWriter

    matte = None
    if kind in ("video", "both"):
        matte = temp_video(
            lambda path: _write(VideoWriter(path, fps, *size), (_white_on_black(m) for _, m in frames()), count)
        )
    if kind in (ALPHA, "both"):
        path = _alpha_path(*size)
        _write(AlphaWriter(path, fps, *size, sound), (np.dstack(both) for both in frames()), count)
        say(f"saved with alpha: {path}")
    return matte


def _white_on_black(matte: np.ndarray) -> np.ndarray:
    return matte[..., None].repeat(3, axis=-1)


def _write(opened, pictures: Iterator[np.ndarray], count: int) -> None:
    progress = cancellable_progress()
    with opened as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture[None])
            progress(index + 1, max(count, index + 1))


def _alpha_path(width: int, height: int) -> str:
    """A new .mov in ComfyUI's output folder, next to what Save Video writes."""
    folder, name, counter, _, _ = folder_paths.get_save_image_path(
        "video/EchoMimicV2_alpha", folder_paths.get_output_directory(), width, height
    )
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{name}_{counter:05}_.mov")
