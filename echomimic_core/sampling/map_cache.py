"""Keypoint maps that were drawn once, kept small: a map of two hands is black nearly everywhere."""

from collections.abc import Callable

import torch

MAP_CACHE_BYTES = 128 * 2**20

DrawMaps = Callable[[list[int]], torch.Tensor]


class MapCache:
    """Draws the maps of frames, keeping the rectangle of each that is not black as far as the budget goes.

    Every denoising step goes through all frames in the same order. A cache that throws out the least recently used
    would then throw out each map just before it is needed, so this one keeps what came first.

    Parameters
    ----------
    draw : frame indices -> maps (n, channels, height, width).
    budget : bytes.
    """

    def __init__(self, draw: DrawMaps, budget: int = MAP_CACHE_BYTES):
        self.draw = draw
        self.budget = budget
        self.bytes = 0
        self._crops: dict[int, tuple[torch.Tensor, int, int]] = {}
        self._black: torch.Tensor | None = None

    def __call__(self, frames: list[int]) -> torch.Tensor:
        missing = [frame for frame in dict.fromkeys(frames) if frame not in self._crops]
        if len(missing) == len(frames):
            maps = self.draw(frames)
            for frame, drawn in zip(frames, maps, strict=True):
                self._keep(frame, drawn)
            return maps
        drawn = dict(zip(missing, self.draw(missing), strict=True)) if missing else {}
        for frame, values in drawn.items():
            self._keep(frame, values)
        maps = self._black.expand(len(frames), -1, -1, -1).clone()
        for row, frame in zip(maps, frames, strict=True):
            if frame in drawn:
                row.copy_(drawn[frame])
            else:
                crop, top, left = self._crops[frame]
                row[:, top : top + crop.shape[1], left : left + crop.shape[2]] = crop
        return maps

    def _keep(self, frame: int, drawn: torch.Tensor) -> None:
        if self._black is None:
            self._black = torch.zeros_like(drawn)
        lit = (drawn != 0).any(0)
        rows, columns = lit.any(1).nonzero().flatten().tolist(), lit.any(0).nonzero().flatten().tolist()
        if rows:
            top, left = rows[0], columns[0]
            crop = drawn[:, top : rows[-1] + 1, left : columns[-1] + 1]
        else:
            top = left = 0
            crop = drawn[:, :0, :0]
        if self.bytes + crop.nbytes <= self.budget:
            self._crops[frame] = (crop.clone(), top, left)
            self.bytes += crop.nbytes
