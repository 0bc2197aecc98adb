"""Which of a picture's true hands the landmark networks find."""

from dataclasses import dataclass

import numpy as np

from echomimic_core.landmarks import HANDS, Wanted, as_pictures, find_in_pictures, load_networks
from echomimic_core.media.opencv import cv2

# Pictures are shown to the networks at this size.
DETECTOR_SIZE = 640
# A hand counts as found within this part of its length, the diagonal of its points' box; a missed one counts so many
# widths in the error.
NEAR, MISSED = 0.25, 0.1


@dataclass(frozen=True)
class FoundHands:
    """Of frames with two hands each: found (n, 2) bool, and mean distance of the points (n, 2) in widths of the frame,
    not a number where a hand was not found."""

    found: np.ndarray
    distance: np.ndarray

    @property
    def share(self) -> float:
        return float(self.found.mean())

    @property
    def error(self) -> float:
        """Mean distance in widths, of a missed hand `MISSED`."""
        return float(np.where(self.found, self.distance, MISSED).mean())


def find_true_hands(frames: np.ndarray, hands: np.ndarray, detection: float = 0.3) -> FoundHands:
    """Look for hands (n, 2, 21, 2), in widths of the frame, in frames (n, s, s, 3) uint8."""
    networks = load_networks(("palm", "hand"))
    distance = np.full(hands.shape[:2], np.nan)
    for row, frame in enumerate(frames):
        large = cv2.resize(frame, (DETECTOR_SIZE,) * 2, interpolation=cv2.INTER_CUBIC)
        (seen,) = find_in_pictures(HANDS, as_pictures(large, networks), networks, Wanted(2, detection=detection))
        for side, true in enumerate(hands[row]):
            reach = NEAR * np.linalg.norm(np.ptp(true, axis=0))
            apart = [np.linalg.norm(true - hand.points / DETECTOR_SIZE, axis=-1).mean() for hand in seen]
            if apart and min(apart) < reach:
                distance[row, side] = min(apart)
    return FoundHands(np.isfinite(distance), distance)
