"""Hand keypoints of each frame."""

import numpy as np

from ...landmarks import load_networks
from ...networks import dwpose
from ...pose.detectors import open_detector
from ..clips import CLIP
from .base import Extractor


class Hands(Extractor):
    """Hand keypoints in pixels by the built-in detector of the Hand Pose node, on batches of frames.

    The networks are MediaPipe's, which are confident of whole hands, not of points: all 21 points of a hand carry the
    same score.
    """

    @classmethod
    def options(cls, settings) -> tuple:
        return ("built-in", settings.device)

    def __enter__(self):
        self._detector = open_detector(load_networks().to(self.settings.device))
        self._begin()
        return self

    def _begin(self) -> None:
        self._batch: list[np.ndarray] = []
        self._times: list[float] = []
        self.points, self.scores, self.size = [], [], None

    def frame(self, seconds, picture, face) -> None:
        self.size = self.size or picture.shape[1::-1]
        self._batch.append(picture)
        self._times.append(seconds)
        if len(self._batch) == self._full:
            self._flush()

    @property
    def _full(self) -> int:
        return self._detector.batch

    def _flush(self) -> None:
        if self._batch:
            found = self._detector(np.stack(self._batch), self._times)
            self.keep(np.stack([frame.hands for frame in found]), np.stack([frame.hand_scores for frame in found]))
            self._batch, self._times = [], []

    def keep(self, points: np.ndarray, scores: np.ndarray) -> None:
        self.points.append(points.astype(np.float32))
        self.scores.append(scores.astype(np.float32))

    def finish(self):
        self._flush()
        if not self.points:
            raise ValueError(f"{CLIP} has no frames")
        return {
            "points": np.concatenate(self.points),
            "scores": np.concatenate(self.scores),
            "size": np.array(self.size),
            "fps": np.array(self.fps),
        }


class DWPoseHands(Hands):
    """Hand keypoints by DWPose, each with a confidence of its own."""

    networks = ("dwpose",)
    _full = dwpose.BATCH

    @classmethod
    def options(cls, settings) -> tuple:
        return ()

    def __enter__(self):
        self.network, _ = self.settings.load("dwpose")
        self._begin()
        return self

    def _flush(self) -> None:
        if self._batch:
            self.keep(*dwpose.hands(self.network, self._batch, self.settings.device))
            self._batch, self._times = [], []
