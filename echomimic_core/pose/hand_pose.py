"""HandPose: the keypoints of a clip, as every pose node passes them on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..config import BODY_POINTS, FACE_POINTS, FPS, FRAME_SIZE, HAND_POINTS, HANDS
from .track import PAIRS, Track, present

# Of the left and the right arm, in OpenPose-18.
BODY_WRISTS = (7, 4)

# What a pose from outside may say: sides of its canvas and of its region in pixels, frames, frames per second.
MIN_SIDE, MAX_SIDE, MIN_REGION_SIDE = 16, 16_384, 16
MAX_FRAMES, MAX_FPS = 200_000, 1000
# Beyond this, in widths of the canvas, no detector puts a point; and no score is larger.
MAX_COORDINATE = MAX_SCORE = 1000.0

# The tracks of a pose, with the shape of a frame.
TRACKS = {
    "hands": (HANDS, HAND_POINTS, 2),
    "hand_scores": (HANDS, HAND_POINTS),
    "bodies": (BODY_POINTS, 2),
    "body_scores": (BODY_POINTS,),
    "faces": (FACE_POINTS, 2),
    "face_scores": (FACE_POINTS,),
}


@dataclass(frozen=True)
class HandPose:
    """Keypoints of a clip of F frames, all float64, x to the right and y down, 0..1 across the `region`.

    Attributes
    ----------
    hands : (F, 2, 21, 2). Hand 0 is the person's left. Wrist, then thumb, index, middle, ring, little: 4 each.
    hand_scores : (F, 2, 21), confidence; 0 means absent, detectors may exceed 1.
    bodies, body_scores : (F, 18, 2) and (F, 18) in OpenPose order, or None.
    faces, face_scores : (F, 68, 2) and (F, 68), lips are 48..67, or None.
    width, height : the canvas in pixels.
    region : (row begin, row end, column begin, column end) of the canvas, in pixels, that the coordinates span
        (`draw_pose_params[2:]` of the released files); None is the whole canvas.
    fps : frames per second.
    """

    hands: np.ndarray
    hand_scores: np.ndarray
    bodies: np.ndarray | None = None
    body_scores: np.ndarray | None = None
    faces: np.ndarray | None = None
    face_scores: np.ndarray | None = None
    width: int = FRAME_SIZE
    height: int = FRAME_SIZE
    region: tuple[int, int, int, int] | None = None
    fps: float = FPS

    def __len__(self) -> int:
        return len(self.hands)

    def shows_hands(self) -> bool:
        """Whether any point of a hand is seen in any frame."""
        known = (np.isfinite(self.hands) & (self.hands >= 0)).all(-1)
        return bool((known & (self.hand_scores > 0)).any())

    def shows_somebody(self) -> np.ndarray:
        """In which frames any point of hands, body or face was found: (F,) bool."""
        scores = [part for part in (self.hand_scores, self.body_scores, self.face_scores) if part is not None]
        return np.any([(part.reshape(len(self), -1) > 0).any(axis=1) for part in scores], axis=0)

    @property
    def tracks(self) -> dict[str, Track]:
        """The tracks that the pose has, by the name of their points."""
        pairs = ((points, getattr(self, points), getattr(self, scores)) for points, scores in PAIRS)
        return {name: Track(points, scores) for name, points, scores in pairs if points is not None}

    def with_tracks(self, tracks: Mapping[str, Track]) -> "HandPose":
        """The pose with these tracks; others stay as they are."""
        names = {points: scores for points, scores in PAIRS}
        changed = {name: track.points for name, track in tracks.items()}
        return replace(self, **changed, **{names[name]: track.scores for name, track in tracks.items()})

    def take(self, frames: np.ndarray) -> "HandPose":
        """The pose at the given frame indices (any order, repeats allowed)."""
        return self.with_tracks({name: track.take(frames) for name, track in self.tracks.items()})

    def map_points(self, move: Callable[[np.ndarray], np.ndarray]) -> "HandPose":
        """The pose with `move`, a function on (..., 2) coordinates, applied to every point; see `Track.moved`."""
        return self.with_tracks({name: track.moved(move) for name, track in self.tracks.items()})

    def whole_canvas(self) -> "HandPose":
        """The same pose with coordinates that span the whole canvas (`region` None)."""
        if self.region is None:
            return self
        row, row_end, column, column_end = self.region
        size = np.array([(column_end - column) / self.width, (row_end - row) / self.height])
        begin = np.array([column / self.width, row / self.height])
        return replace(self.map_points(lambda points: points * size + begin), region=None)


def hand_root(pose: HandPose) -> np.ndarray:
    """Where each hand hangs on its arm: (F, 2, 2), in the coordinates of `pose`.

    That is the hand's wrist point; where a detector left it out, the body's wrist; where that is missing as well, the
    middle of the hand's points. A hand without points is at the origin.
    """
    seen = present(pose.hands, pose.hand_scores)
    count = np.maximum(seen.sum(axis=-1, keepdims=True), 1)
    root = np.where(seen[..., None], pose.hands, 0.0).sum(axis=2) / count
    if pose.bodies is not None:
        wrists = list(BODY_WRISTS)
        known = (pose.body_scores[:, wrists] > 0) & seen.any(axis=-1)
        root = np.where(known[..., None], pose.bodies[:, wrists], root)
    return np.where(seen[..., :1], pose.hands[:, :, 0], root)


def hand_confidence(scores: np.ndarray) -> float:
    """Hand keypoint confidence (HKC): the mean of all hand scores (F, 2, 21), each clipped to 1, missing points as 0.

    The name is CyberHost's (arXiv 2409.01876), which EchoMimicV2 cites for it; neither publishes its code.
    """
    return float(np.clip(scores, 0, 1).mean()) if np.size(scores) else 0.0


def check_canvas(width, height, region, where: str) -> None:
    """ValueError with a sentence for a canvas, or a region of it, that no pose has; `where` follows "the canvas".

    Sides of a million pixels in a file of 300 bytes would ask for gigabytes once the pose is drawn.
    """
    sides = (width, height)
    if not all(type(side) is int and MIN_SIDE <= side <= MAX_SIDE for side in sides):
        raise ValueError(
            f"the canvas {where} is {width!r:.40} x {height!r:.40} instead of two whole numbers from {MIN_SIDE} to "
            f"{MAX_SIDE}"
        )
    if region is None:
        return
    if not isinstance(region, tuple) or len(region) != 4 or not all(type(v) is int for v in region):
        raise ValueError(f"the region {where} is {region!r:.60} instead of four whole numbers")
    row, row_end, column, column_end = region
    if any(abs(v) > MAX_SIDE for v in region) or min(row_end - row, column_end - column) < MIN_REGION_SIDE:
        raise ValueError(
            f"the region {where} is {list(region)!r:.80}, but it needs increasing rows and columns at least "
            f"{MIN_REGION_SIDE} apart and within {MAX_SIDE}"
        )


def check_points(points: np.ndarray | None, scores: np.ndarray | None, what: str, finite: bool = False) -> None:
    """ValueError with a sentence for points or scores larger than any detector gives, or, if asked, not finite."""
    for values, limit in ((points, MAX_COORDINATE), (scores, MAX_SCORE)):
        if values is None or values.size == 0:
            continue
        if finite and not np.isfinite(values).all():
            raise ValueError(f"{what} contains values that are not numbers")
        largest = np.abs(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)).max()
        if largest > limit:
            raise ValueError(
                f"{what} holds the value {largest:.3g}, but points are fractions of the canvas, about 0 to 1, and "
                f"no value may exceed {limit:g}: make the pose again"
            )
