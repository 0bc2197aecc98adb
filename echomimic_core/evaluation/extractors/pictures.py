"""Whole frames for FID, and stretches of them for FVD."""

import numpy as np
import torch

from ...networks import i3d
from ..clips import CLIP
from .base import Distribution


class Inception(Distribution):
    """Pool3 features of every frame, for FID."""

    networks = ("inception",)

    def __enter__(self):
        self.network, self.scripted = self.settings.load("inception")
        return self

    def frame(self, seconds, picture, face) -> None:
        self.add(picture)

    @torch.inference_mode()
    def process(self, items) -> None:
        x = torch.from_numpy(np.stack(items)).to(self.settings.device).permute(0, 3, 1, 2)
        if self.scripted and _takes(self.network, "return_features"):
            features = self.network(x, return_features=True)
        else:
            features = self.network(x.float() / 255)
        self.take(features.float().cpu().numpy())


class Video(Distribution):
    """I3D logits of stretches of frames that follow one another without overlap, for FVD."""

    networks = ("i3d",)

    @classmethod
    def options(cls, settings):
        return (settings.clip_frames,)

    def __enter__(self):
        self.network, self.scripted = self.settings.load("i3d")
        self._stretch: list[np.ndarray] = []
        return self

    def frame(self, seconds, picture, face) -> None:
        self._stretch.append(short_side(picture, i3d.SIZE))
        if len(self._stretch) == self.settings.clip_frames:
            self.add(np.stack(self._stretch))
            self._stretch = []

    @torch.inference_mode()
    def process(self, items) -> None:
        x = torch.from_numpy(np.stack(items)).to(self.settings.device).permute(0, 4, 1, 2, 3).float()
        if self.scripted and _takes(self.network, "return_features"):
            logits = self.network(x, rescale=True, resize=False, return_features=True)
        else:
            logits = self.network(x / 127.5 - 1)
        self.take(logits.float().cpu().numpy())

    def finish(self):
        arrays = super().finish()
        if not self.moments:
            raise ValueError(f"{CLIP} has fewer than {self.settings.clip_frames} frames, too few for FVD")
        return arrays


def short_side(picture: np.ndarray, size: int) -> np.ndarray:
    """The picture with its short side at `size` (bilinear, as FVD's networks expect), its middle square."""
    height, width = picture.shape[:2]
    scale = size / min(height, width)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    shape = (max(round(height * scale), size), max(round(width * scale), size))
    x = torch.nn.functional.interpolate(x, shape, mode="bilinear", align_corners=False)[0]
    top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
    return x[:, top : top + size, left : left + size].round().byte().permute(1, 2, 0).numpy()


def _takes(network, argument: str) -> bool:
    """Whether a TorchScript network has a parameter of that name."""
    try:
        return any(a.name == argument for a in network.forward.schema.arguments)
    except (AttributeError, RuntimeError):
        return False
