"""Hand keypoints of each frame."""

import numpy as np

from ...landmarks import load_networks
from ...networks import dwpose, yolox
from ..clips import CLIP
from ..hand_finder import HandFinder
from .base import Extractor


class Hands(Extractor):
    """Hand keypoints in pixels by the built-in networks, followed from frame to frame.

    The networks are MediaPipe's, which are confident of whole hands, not of points: all 21 points of a hand carry the
    same score.
    """

    @classmethod
    def options(cls, settings) -> tuple:
        return ("built-in", settings.device)

    def __enter__(self):
        self._finder = HandFinder(load_networks().to(self.settings.device))
        self._begin()
        return self

    def _begin(self) -> None:
        self.points, self.scores, self.size = [], [], None

    def frame(self, seconds, picture, face) -> None:
        self.size = self.size or picture.shape[1::-1]
        points, scores = self._finder(picture, seconds)
        self.keep(points[None], scores[None])

    def keep(self, points: np.ndarray, scores: np.ndarray) -> None:
        self.points.append(points.astype(np.float32))
        self.scores.append(scores.astype(np.float32))

    def finish(self):
        if not self.points:
            raise ValueError(f"{CLIP} has no frames")
        return {
            "points": np.concatenate(self.points),
            "scores": np.concatenate(self.scores),
            "size": np.array(self.size),
            "fps": np.array(self.fps),
        }


class DWPoseHands(Hands):
    """Hand keypoints by DWPose, each with a confidence of its own; in the box that YOLOX finds, where it is there."""

    networks = ("dwpose",)
    optional = ("yolox",)

    @classmethod
    def options(cls, settings) -> tuple:
        return ()

    def __enter__(self):
        self.network, _ = self.settings.load("dwpose")
        self.boxes = self.settings.load("yolox")[0] if self.settings.find("yolox") else None
        self._batch: list[np.ndarray] = []
        self._begin()
        return self

    def frame(self, seconds, picture, face) -> None:
        self.size = self.size or picture.shape[1::-1]
        self._batch.append(picture)
        if len(self._batch) == dwpose.BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            boxes = [yolox.person_box(self.boxes, picture) for picture in self._batch] if self.boxes else None
            self.keep(*dwpose.hands(self.network, self._batch, self.settings.device, boxes))
            self._batch = []

    def finish(self):
        self._flush()
        return super().finish()
