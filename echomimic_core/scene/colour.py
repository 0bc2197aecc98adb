"""One colour transform for a whole clip, so that it meets its surroundings: a gain and an offset for each channel."""

import numpy as np
import torch

# A model shifts colours by little; what would need more is another picture.
_LARGEST_GAIN, _LARGEST_OFFSET = 1.12, 24.0
_LEAST_PIXELS = 200
IDENTITY = (np.ones(3), np.zeros(3))


class ColourMatch:
    """Collects what a clip and its surroundings look like where both show the same, in so much memory as one frame."""

    def __init__(self):
        self.count = 0
        self.sums = np.zeros((2, 3))
        self.squares = np.zeros((2, 3))

    def add(self, ground: torch.Tensor, clip: torch.Tensor, where: torch.Tensor) -> None:
        """A frame of both, (h, w, 3) floats in 0..255, and where they are compared, (h, w) bool."""
        for index, picture in enumerate((ground, clip)):
            pixels = picture[where].double()
            self.sums[index] += pixels.sum(dim=0).cpu().numpy()
            self.squares[index] += (pixels**2).sum(dim=0).cpu().numpy()
        self.count += int(where.sum())

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Gains and offsets (3,) that bring the clip's mean and spread to those of the surroundings, within limits."""
        if self.count < _LEAST_PIXELS:
            return IDENTITY
        means = self.sums / self.count
        spreads = np.sqrt(np.maximum(self.squares / self.count - means**2, 0.0))
        # A plain wall has no spread to go by: there only the mean counts.
        gain = np.where(spreads.min(axis=0) > 4.0, spreads[0] / np.maximum(spreads[1], 1e-6), 1.0)
        gain = gain.clip(1 / _LARGEST_GAIN, _LARGEST_GAIN)
        # Around the clip's own mean, so that a limited gain leaves the mean right.
        offset = (means[0] - means[1]).clip(-_LARGEST_OFFSET, _LARGEST_OFFSET) + means[1] * (1 - gain)
        return gain, offset
