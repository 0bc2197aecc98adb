"""Audio-Pose Dynamic Harmonization (EchoMimicV2, §3.2): which keypoints are kept, how far audio reaches, and when.

The paper trains with it: as keypoints are taken away from the lips to the head to the body, audio takes over the lips,
then the head, then the whole body. The same three notions steer a finished model: strengths over the phases of
denoising, groups of keypoints, and the reach of audio as a mask on what audio attention adds.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..choices import KEYPOINT_GROUPS, REACHES
from ..config import LIP_POINTS, PHASES, TRAIN_TIMESTEPS

# Boxes around face points, as shares of the points' own width and height: (left, top, right, bottom).
LIP_MARGIN = (0.25, 0.4, 0.25, 0.4)
HEAD_MARGIN = (0.25, 0.6, 0.25, 0.15)


@dataclass(frozen=True)
class APDHOptions:
    """Steering of a sampling run; the defaults are exactly the original.

    Attributes
    ----------
    pose_strength, audio_strength : factors, 0..2, in the first 10 %, the middle 60 % and the last 30 % of denoising.
    pose_range, audio_range : (start, end) of each as shares of denoising, 0 the first step and 1 the last.
    keypoints : groups drawn into the pose map; released models know "hands" only.
    reach : "body" lets audio move everything, "head" and "lips" only that box around the pose's face points.
    mask : (1 or frames, height, width) in 0..1 instead of the box, over the whole picture; None for the box.
    feather : blur of the mask's edge as a share of its shorter side.
    """

    pose_strength: tuple[float, float, float] = (1.0, 1.0, 1.0)
    audio_strength: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pose_range: tuple[float, float] = (0.0, 1.0)
    audio_range: tuple[float, float] = (0.0, 1.0)
    keypoints: tuple[str, ...] = ("hands",)
    reach: str = "body"
    mask: torch.Tensor | None = None
    feather: float = 0.02

    def __post_init__(self):
        unknown = [group for group in self.keypoints if group not in KEYPOINT_GROUPS]
        if unknown:
            raise ValueError(f"keypoint group {unknown[0]!r} is unknown: choose from {', '.join(KEYPOINT_GROUPS)}")
        if self.reach not in REACHES:
            raise ValueError(f"reach of audio {self.reach!r} is unknown: choose from {', '.join(REACHES)}")
        for name, (start, end) in (("pose", self.pose_range), ("audio", self.audio_range)):
            if not 0.0 <= start <= end <= 1.0:
                raise ValueError(f"{name} starts at {start} and ends at {end}, but 0 <= start <= end <= 1 is needed")

    def pose_strength_at(self, timestep: float) -> float:
        return strength_at(timestep, self.pose_strength, self.pose_range)

    def audio_strength_at(self, timestep: float) -> float:
        return strength_at(timestep, self.audio_strength, self.audio_range)


ORIGINAL = APDHOptions()


def phase_of(timestep: float) -> int:
    """Index of the denoising phase a timestep in [0, 1000) is in: 0 pose, 1 detail, 2 low-level quality."""
    for index, (low, high) in enumerate(PHASES.values()):
        if low <= timestep < high:
            return index
    raise ValueError(f"timestep {timestep} is outside [0, {TRAIN_TIMESTEPS})")


def strength_at(timestep: float, strengths: tuple[float, float, float], span: tuple[float, float]) -> float:
    """Strength at a timestep: that of its phase inside `span` (shares of denoising, both ends included), 0 outside."""
    done = (TRAIN_TIMESTEPS - 1 - timestep) / TRAIN_TIMESTEPS
    start, end = span
    return strengths[phase_of(timestep)] if start <= done <= end else 0.0


def face_box(faces: torch.Tensor, scores: torch.Tensor | None, reach: str) -> tuple[float, float, float, float]:
    """Box (left, top, right, bottom), in the points' own coordinates, that holds the lips or head in every frame.

    Parameters
    ----------
    faces : (F, 68, 2) face points.
    scores : (F, 68) or None; points with score 0 do not count.
    reach : "lips" or "head".
    """
    points, margin = (faces[:, LIP_POINTS], LIP_MARGIN) if reach == "lips" else (faces, HEAD_MARGIN)
    seen = torch.isfinite(points).all(-1)
    if scores is not None:
        seen &= (scores[:, LIP_POINTS] if reach == "lips" else scores) > 0
    points = points[seen]
    if len(points) == 0:
        raise ValueError(
            f"audio is to reach only the {reach}, but the pose shows no face: "
            "connect a mask to APDH Options, or a pose with face points"
        )
    (left, top), (right, bottom) = points.amin(0).tolist(), points.amax(0).tolist()
    width, height = right - left, bottom - top
    return (
        left - margin[0] * width,
        top - margin[1] * height,
        right + margin[2] * width,
        bottom + margin[3] * height,
    )


def box_mask(box: tuple[float, float, float, float], height: int, width: int) -> torch.Tensor:
    """Mask (1, height, width) of a box in 0..1 coordinates: 1 where a cell's centre lies inside."""
    left, top, right, bottom = box
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5) / height
    return (((x >= left) & (x <= right))[None, :] & ((y >= top) & (y <= bottom))[:, None]).float()[None]


def feather_mask(mask: torch.Tensor, feather: float) -> torch.Tensor:
    """Soften the edge of a mask (n, height, width) by a box blur as wide as `feather` times its shorter side."""
    radius = round(feather * min(mask.shape[-2:]))
    if radius < 1:
        return mask
    padded = F.pad(mask[:, None], (radius,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * radius + 1, stride=1)[:, 0]


def level_gains(mask: torch.Tensor, sizes: list[tuple[int, int]]) -> dict[tuple[int, int], torch.Tensor]:
    """A mask (n, height, width) at every attention size, as factors (n, tokens, 1) by (height, width)."""
    return {size: F.adaptive_avg_pool2d(mask[:, None], size).flatten(2).transpose(1, 2) for size in sizes}


def attention_sizes(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """Sizes at which the U-Net attends for latents of (height, width); each level halves, odd sizes rounding up."""
    sizes = [(height, width)]
    for _ in range(levels - 1):
        height, width = -(-height // 2), -(-width // 2)
        sizes.append((height, width))
    return sizes
