"""Hand keypoints of each frame."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from ..networks import dwpose
from .base import Extractor


class Hands(Extractor):
    """Hand keypoints in pixels by the detector of the Hand Pose node.

    MediaPipe is confident of whole hands, not of points: all 21 points of a hand carry the same score.
    """

    networks = ("hands", "bodies")

    def __enter__(self):
        from ...pose.detect import Bundles, Detector

        paths = {key: self.settings.find(key) for key in self.networks}
        for key, path in paths.items():
            if path is None:
                raise ValueError(self.settings.missing(key))
        self._stack = ExitStack()
        self.detector = self._stack.enter_context(Detector(Bundles(paths["hands"], paths["bodies"])))
        self.points, self.scores, self.size = [], [], None
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def frame(self, seconds, picture, face) -> None:
        points, scores = self.detector(picture, seconds)[:2]
        self.keep(points[None], scores[None], picture)

    def keep(self, points: np.ndarray, scores: np.ndarray, picture: np.ndarray) -> None:
        self.size = self.size or picture.shape[1::-1]
        self.points.append(points.astype(np.float32))
        self.scores.append(scores.astype(np.float32))

    def finish(self):
        if not self.points:
            raise ValueError(f"{self.clip.name} has no frames")
        return {
            "points": np.concatenate(self.points),
            "scores": np.concatenate(self.scores),
            "size": np.array(self.size),
            "fps": np.array(self.fps),
        }


class DWPoseHands(Hands):
    """Hand keypoints by DWPose, each with a confidence of its own."""

    networks = ("dwpose",)

    def __enter__(self):
        self.network, _ = self.settings.load("dwpose")
        self._stack, self._waiting = ExitStack(), []
        self.points, self.scores, self.size = [], [], None
        return self

    def frame(self, seconds, picture, face) -> None:
        self._waiting.append(picture)
        if len(self._waiting) == dwpose.BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            points, scores = dwpose.hands(self.network, self._waiting, self.settings.device)
            self.keep(points, scores, self._waiting[0])
            self._waiting = []

    def finish(self):
        self._flush()
        return super().finish()
