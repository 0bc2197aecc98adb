"""Track: the points of one part of the body over time, with their scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A mark at -1 of its picture may lie nearer after a region or an alignment, but beyond this in one direction.
_FAR = -0.5

# The tracks of a pose: names of their points and scores, wherever a pose is spelled out (files, shards, HandPose).
PAIRS = (("hands", "hand_scores"), ("bodies", "body_scores"), ("faces", "face_scores"))


@dataclass(frozen=True)
class Track:
    """Points of one part over F frames.

    Attributes
    ----------
    points : (F, ..., 2), x to the right and y down. scores : (F, ...), confidence; 0 means absent.
    """

    points: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def take(self, frames: np.ndarray | slice) -> "Track":
        """The track at the given frame indices (any order, repeats allowed), or at those of a slice."""
        return Track(self.points[frames], self.scores[frames])

    def present(self) -> np.ndarray:
        """Which points are somewhere, a bool for each; see `present`."""
        return present(self.points, self.scores)

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> "Track":
        """The track with `move`, a function on (..., 2) coordinates, applied to every point that is somewhere.

        Absent points and points of no finite place stay at the origin, where nothing is drawn; marks of points not
        seen stay where they are, or they could come to lie in the picture.
        """
        kept = np.where(((self.scores > 0) & np.isfinite(self.points).all(-1))[..., None], self.points, 0.0)
        return Track(np.where(self.present()[..., None], move(self.points), kept), self.scores)

    def finite(self) -> "Track":
        """The track whose points of no finite place or score are absent (0, with score 0)."""
        known = np.isfinite(self.points).all(-1) & np.isfinite(self.scores)
        if known.all():
            return self
        return Track(np.where(known[..., None], self.points, 0.0), np.where(known, self.scores, 0.0))


def present(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which points (..., 2) of scores (...) are somewhere: a bool for each.

    Besides those of score 0, the points that DWPose's public files mark as not seen are nowhere: they keep a low score
    but lie at -1, -1 of their picture, far up and left of every canvas. The model's map never shows them, HKC counts
    them.
    """
    far = (points < 0).all(axis=-1) & (points < _FAR).any(axis=-1)
    return (scores > 0) & np.isfinite(points).all(axis=-1) & ~far


def non_empty(tracks: dict[str, Track]) -> dict[str, Track]:
    """Those of some tracks in which any point is present in any frame."""
    return {name: track for name, track in tracks.items() if track.scores.any()}
