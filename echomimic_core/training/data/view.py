"""How a sample looks at a clip: which part of its frames, at which size, and perhaps in a mirror.

Pixels and keypoints move together, so the pose of a view belongs to its pictures.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...pose import HandPose
from ...pose.edit import mirror


@dataclass(frozen=True)
class View:
    """A part of the frames of a clip, in their pixels, that becomes frames of `width` x `height`."""

    width: int
    height: int
    left: int
    top: int
    part_width: int
    part_height: int
    flipped: bool = False

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """Frames (F, H, W, 3) uint8 of the clip as the view has them, (F, height, width, 3)."""
        part = frames[:, self.top : self.top + self.part_height, self.left : self.left + self.part_width]
        part = part[:, :, ::-1] if self.flipped else part
        return resize(part, self.height, self.width)

    def pose(self, pose: HandPose) -> HandPose:
        """The clip's pose over the view; in a mirror the left hand and side become the right ones."""
        pose = pose.whole_canvas()
        whole = np.array([pose.width, pose.height])
        part, corner = np.array([self.part_width, self.part_height]), np.array([self.left, self.top])
        if (part != whole).any():
            pose = pose.map_points(lambda points: (points * whole - corner) / part)
        pose = replace(pose, width=self.width, height=self.height)
        return mirror(pose) if self.flipped else pose


def whole_view(frame: tuple[int, int], size: tuple[int, int]) -> View:
    """The largest part in the middle of frames (width, height) that has the shape of another size."""
    width, height = frame
    scale = min(width / size[0], height / size[1])
    part = min(width, round(scale * size[0])), min(height, round(scale * size[1]))
    return View(*size, (width - part[0]) // 2, (height - part[1]) // 2, *part)


def cropped(view: View, pose: HandPose, crops: float, rng: np.random.Generator) -> View:
    """A random part of a view, at most `crops` of its sides less, with the face of the clip's pose inside."""
    scale = 1.0 - crops * rng.random()
    width, height = max(1, round(scale * view.part_width)), max(1, round(scale * view.part_height))
    low, high = _face(pose)
    left = _place(view.left, view.part_width, width, low[0] * pose.width, high[0] * pose.width, rng)
    top = _place(view.top, view.part_height, height, low[1] * pose.height, high[1] * pose.height, rng)
    return replace(view, left=left, top=top, part_width=width, part_height=height)


def _face(pose: HandPose) -> tuple[np.ndarray, np.ndarray]:
    """Left and top, right and bottom of the face in all frames, 0..1; the middle where there is none."""
    pose = pose.whole_canvas()
    seen = None if pose.faces is None else pose.faces[pose.face_scores > 0]
    if seen is None or not len(seen):
        return np.full(2, 0.5), np.full(2, 0.5)
    return seen.min(0), seen.max(0)


def _place(begin: int, length: int, part: int, low: float, high: float, rng: np.random.Generator) -> int:
    """A random begin of a part, inside what it is cut from, that holds `low` to `high` where it can."""
    first, last = begin, begin + length - part
    first, last = max(first, min(int(np.ceil(high)) - part, last)), min(last, max(int(low), first))
    first, last = min(first, last), max(first, last)
    return int(rng.integers(first, last + 1))


def resize(frames: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """Frames (n, H, W, 3) uint8 at another size; square without a width."""
    from ...media.opencv import cv2

    size = (height if width is None else width, height)
    if frames.shape[2:0:-1] == size:
        return frames
    how = cv2.INTER_AREA if height < frames.shape[1] else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, size, interpolation=how) for frame in frames])
