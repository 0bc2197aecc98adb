"""Both hands of a person through a video: followed frame by frame, searched around the wrists while one is lost."""

import numpy as np
import torch

from ..config import HANDS
from ..landmarks import HANDS as HAND_KIND
from ..landmarks import Tracker, Wanted, as_pictures, find_bodies, find_in_areas
from ..pose.detectors.frame import make_frame
from ..pose.detectors.sides import Sides, hand_areas

_WANTED = Wanted(limit=HANDS, detection=0.4, presence=0.4)
# While a hand is lost, the body's wrists are searched after so many seconds: a search costs five times a look.
_SEARCH_EVERY = 0.12


class HandFinder:
    """Hands of one frame after another, without body and face: a third of the work of the Hand Pose node's detector."""

    def __init__(self, networks):
        self.networks = networks
        self._tracker = Tracker(HAND_KIND, networks, _WANTED)
        self._sides = Sides()
        self._searched = -_SEARCH_EVERY

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Points (2, 21, 2) in pixels and scores (2, 21) of the left and right hand in an RGB picture (H, W, 3) uint8.

        All points of a hand carry its score; a hand that is not found has 0.
        """
        pictures = as_pictures(picture, self.networks)
        hands = self._tracker(pictures)
        if len(hands) < HANDS and seconds - self._searched >= _SEARCH_EVERY:
            self._searched = seconds
            hands = HAND_KIND.distinct([*hands, *self._around_wrists(pictures)])[:HANDS]
            self._tracker.last = hands
        chosen = self._sides.choose(hands, None, None, seconds)
        self._sides.remember(chosen, seconds)
        found = make_frame(chosen, None, None, None)
        return found.hands, found.hand_scores

    def _around_wrists(self, pictures: torch.Tensor) -> list:
        bodies = find_bodies(pictures, self.networks)[0]
        squares = hand_areas(bodies[0].points, *pictures.shape[1:3]) if bodies else []
        if not squares:
            return []
        areas = np.array([[*middle, 2 * radius, 0.0] for middle, radius in squares])
        found = find_in_areas(HAND_KIND, pictures, np.zeros(len(areas), int), areas, self.networks, _WANTED)
        return [hand for hands in found for hand in hands]
