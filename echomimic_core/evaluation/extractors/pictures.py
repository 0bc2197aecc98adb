"""Whole frames for FID, and stretches of them for FVD."""

import zlib
from collections import Counter, deque

import numpy as np
import torch

from ...networks import i3d
from ..clips import CLIP
from ..metrics import steadiness
from ..protocols import RANDOM_SAMPLES, WHOLE_FRAMES
from ..settings import LEAST_FRAMES
from .base import Distribution, Extractor


class Inception(Distribution):
    """Pool3 features of every frame, for FID and KID."""

    networks = ("inception",)
    keeps_rows = True

    @classmethod
    def options(cls, settings):
        return (settings.fid_resize,)

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
            # A script resizes by itself.
            how = () if self.scripted else (self.settings.fid_resize,)
            features = self.network(x.float() / 255, *how)
        self.take(features.float().cpu().numpy())


class Video(Distribution):
    """I3D logits of stretches of frames, for FVD: which ones, says `protocols.FVD_PROTOCOLS`."""

    networks = ("i3d",)

    @classmethod
    def options(cls, settings):
        return (settings.fvd, settings.clip_frames, *((settings.set_size,) if settings.fvd == "random" else ()))

    def __enter__(self):
        self.network, self.scripted = self.settings.load("i3d")
        whole = self.settings.fvd == "whole"
        self._stretch: deque = deque(maxlen=WHOLE_FRAMES + 1 if whole else self.settings.clip_frames)
        self._seen = 0
        # How often each stretch counts that waits for the network; once, where nothing is drawn.
        self._times: list[int] = []
        self._starts = self._draws() if self.settings.fvd == "random" else Counter()
        return self

    def _draws(self) -> Counter:
        """How often each start of a stretch was drawn."""
        places = self.clip.count() - self.settings.clip_frames + 1
        generator = np.random.default_rng(zlib.crc32(self.clip.name.encode()))
        share = -(-RANDOM_SAMPLES // self.settings.set_size)
        return Counter(generator.integers(0, places, share).tolist()) if places > 0 else Counter()

    def frame(self, seconds, picture, face) -> None:
        protocol, frames = self.settings.fvd, self.settings.clip_frames
        self._seen += 1
        if protocol == "first" and self._seen > frames:
            return
        self._stretch.append(short_side(picture, i3d.SIZE))
        if protocol == "whole" or len(self._stretch) < frames:
            return
        if protocol != "random":
            self.add(np.stack(self._stretch))
            self._stretch.clear()
        elif times := self._starts[self._seen - frames]:
            self._times.append(times)
            self.add(np.stack(self._stretch))

    @torch.inference_mode()
    def process(self, items) -> None:
        x = torch.from_numpy(np.stack(items)).to(self.settings.device).permute(0, 4, 1, 2, 3).float()
        if self.scripted and _takes(self.network, "return_features"):
            logits = self.network(x, rescale=True, resize=False, return_features=True)
        else:
            logits = self.network(x / 127.5 - 1)
        logits = logits.float().cpu().numpy()
        if self._times:
            logits, self._times = np.repeat(logits, self._times[: len(items)], axis=0), self._times[len(items) :]
        self.take(logits)

    def finish(self):
        if self.settings.fvd == "whole":
            self._add_whole()
        arrays = super().finish()
        if not self.moments:
            raise ValueError(f"{CLIP} has fewer than {self.settings.clip_frames} frames, too few for FVD")
        return arrays

    def _add_whole(self) -> None:
        if self._seen > WHOLE_FRAMES:
            raise ValueError(
                f"{CLIP} has more than {WHOLE_FRAMES} frames, too many for FVD of whole clips: choose --fvd all"
            )
        if self._seen < LEAST_FRAMES:
            raise ValueError(f"{CLIP} has fewer than {LEAST_FRAMES} frames, too few for FVD")
        self.add(np.stack(self._stretch))


class Steadiness(Extractor):
    """How much every small part of the picture changes from frame to frame, for flicker."""

    def __enter__(self):
        self._last, self._changes = None, []
        return self

    def frame(self, seconds, picture, face) -> None:
        grey = steadiness.small_grey(picture)
        if self._last is not None and self._last.shape == grey.shape:
            self._changes.append(steadiness.change_by_block(self._last, grey).astype(np.float16))
        self._last = grey

    def finish(self):
        if not self._changes:
            raise ValueError(f"{CLIP} has fewer than 2 frames, too few for flicker")
        return {"changes": np.stack(self._changes)}


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
