"""Hand poses: the data, files, drawing, detection, alignment, editing and built-in gestures."""

from .hand_pose import HandPose

__all__ = ["HandPose"]
