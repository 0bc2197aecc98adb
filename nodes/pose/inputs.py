"""Inputs that several pose nodes share."""

from comfy_api.latest import io

from ...echomimic_core.config import FPS


def fps_input(tooltip: str = "Frames per second.") -> io.Float.Input:
    """The frame rate of the pose that a node gives."""
    return io.Float.Input("fps", default=FPS, min=1.0, max=120.0, step=0.001, tooltip=tooltip)


def fps_of_video_input() -> io.Float.Input:
    """The same for poses from footage."""
    return fps_input("Frames per second of the pose: the same as the video to generate. Gestures keep their speed.")


def source_fps_input(tooltip: str) -> io.Float.Input:
    """The frame rate of what does not state its own."""
    return io.Float.Input("source_fps", default=FPS, min=1.0, max=240.0, step=0.001, tooltip=tooltip)
