"""Head Partial Attention (EchoMimicV2, §3.3): headshots padded to the semi-body frame, to learn faces and lips from.

The headshot is scaled and placed so that its face lies where faces lie in semi-body clips; around it is black. The
head mask confines audio attention and the loss, so the padding teaches nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ...apdh.steering import box_mask, face_box
from ...config import PIXELS_PER_LATENT
from ...pose import HandPose

# Where the 68 face points (brows to chin) of a semi-body clip lie in its frame, under the framing rule: the brows
# 0.1625 / 1.175 below the top edge, by rule; the face's height and sideways place as the released poses have them.
FACE_TOP = (0.11, 0.17)
FACE_HEIGHT = (0.13, 0.22)
FACE_MIDDLE = (0.44, 0.56)


@dataclass(frozen=True)
class Placement:
    """Where a square headshot lands in a frame, in whole pixels: the frame's height, the headshot's side there, the
    place of its top left corner, which may lie outside, and the frame's width where it is not square."""

    size: int
    side: int
    left: int
    top: int
    width: int | None = None

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the frame."""
        return self.width or self.size, self.size

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in 0..1 of the headshot as points in 0..1 of the frame."""
        return (points * self.side + (self.left, self.top)) / self.frame


def choose_placement(pose: HandPose, size: int, rng: np.random.Generator, width: int | None = None) -> Placement:
    """A random plausible place and scale, in a frame `size` pixels high, for a headshot whose face points are known.

    Raises
    ------
    ValueError : the pose shows no face.
    """
    if pose.faces is None or not (pose.face_scores > 0).any():
        raise ValueError("a headshot needs face points, but this clip has none: prepare it again")
    points = pose.whole_canvas().faces[pose.face_scores > 0]
    low, high = points.min(0), points.max(0)
    # Never larger than life: enlarged pixels are no example of a sharp face
    scale = min(float(rng.uniform(*FACE_HEIGHT) / max(high[1] - low[1], 1e-6)), 1.0)
    left = rng.uniform(*FACE_MIDDLE) * (width or size) / size - scale * (low[0] + high[0]) / 2
    top = rng.uniform(*FACE_TOP) - scale * low[1]
    return Placement(size, max(1, round(scale * size)), round(left * size), round(top * size), width)


def pad_frames(frames: np.ndarray, place: Placement) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F, s, s, 3) uint8 scaled and placed on black, and the mask (H, W) bool of what they cover."""
    from ...media.opencv import cv2

    width, height = place.frame
    padded = np.zeros((len(frames), height, width, 3), np.uint8)
    covered = np.zeros((height, width), bool)
    places = ((place.top, height), (place.left, width))
    rows, columns = (slice(max(begin, 0), min(begin + place.side, end)) for begin, end in places)
    covered[rows, columns] = True
    source_rows = slice(rows.start - place.top, rows.stop - place.top)
    source_columns = slice(columns.start - place.left, columns.stop - place.left)
    for frame, target in zip(frames, padded, strict=True):
        small = cv2.resize(frame, (place.side, place.side), interpolation=cv2.INTER_AREA)
        target[rows, columns] = small[source_rows, source_columns]
    return padded, covered


def pad_pose(pose: HandPose, place: Placement) -> HandPose:
    """The headshot's pose in the frame; hands, and points of the body that its picture does not show, are not there."""
    pose = pose.whole_canvas()
    moved = pose.map_points(place.points)
    width, height = place.frame
    no_hands = {"hands": np.zeros_like(moved.hands), "hand_scores": np.zeros_like(moved.hand_scores)}
    moved = replace(moved, **no_hands, width=width, height=height)
    if moved.bodies is None or moved.body_scores is None:
        return moved
    covered = ((pose.bodies >= 0) & (pose.bodies <= 1)).all(-1)
    return replace(moved, body_scores=np.where(covered, moved.body_scores, 0.0))


def head_mask(pose: HandPose, covered: np.ndarray) -> torch.Tensor:
    """The head mask (H, W) float: the head's box through all frames, as far as the headshot covers it."""
    scores = torch.from_numpy(np.asarray(pose.face_scores, np.float64))
    box = face_box(torch.from_numpy(np.asarray(pose.whole_canvas().faces, np.float64)), scores, "head")
    return box_mask(box, *covered.shape)[0] * torch.from_numpy(covered)


def latent_mask(mask: torch.Tensor) -> torch.Tensor:
    """The mask (h, w) over latents of a mask (H, W) over pixels: cells that lie inside wholly, or not at all."""
    return -F.max_pool2d(-mask[None, None], PIXELS_PER_LATENT)[0, 0]
