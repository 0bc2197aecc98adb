"""A part of a frame, of which alone the terms on decoded pictures are computed: a whole one costs much more."""

from dataclasses import dataclass

import torch

from ...config import PIXELS_PER_LATENT


@dataclass(frozen=True)
class LossCrop:
    """A square part of a frame, in cells of its latents."""

    left: int
    top: int
    side: int

    def cells(self, latents: torch.Tensor) -> torch.Tensor:
        """The part of latents (..., h, w)."""
        return latents[..., self.top : self.top + self.side, self.left : self.left + self.side]

    def pixels(self, pictures: torch.Tensor) -> torch.Tensor:
        """The part of pictures (..., H, W)."""
        left, top, side = (PIXELS_PER_LATENT * place for place in (self.left, self.top, self.side))
        return pictures[..., top : top + side, left : left + side]

    def squares(self, squares: torch.Tensor, size: int) -> torch.Tensor:
        """Squares (n, 4, 4) of a frame of `size` pixels, see `data.squares`, in widths of the part; what has its middle
        elsewhere is left out."""
        scale = size / (PIXELS_PER_LATENT * self.side)
        moved = squares * squares.new_tensor([scale, scale, scale, 1.0])
        corner = squares.new_tensor([self.left, self.top]) / self.side
        moved = torch.cat([moved[..., :2] - corner, moved[..., 2:]], dim=-1)
        inside = ((moved[..., :2] > 0) & (moved[..., :2] < 1)).all(-1)
        return torch.where(inside[..., None], moved, 0.0)
