"""Hand keypoints of each frame."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec

import numpy as np

from ...networks import dwpose
from ..clips import CLIP
from .base import Extractor


class Hands(Extractor):
    """Hand keypoints in pixels by the detector of the Hand Pose node.

    MediaPipe is confident of whole hands, not of points: all 21 points of a hand carry the same score. It is the
    slowest part of an evaluation, so two detectors, each in a thread, take turns at the frames; always two, as a
    detector remembers where hands were, and results must not depend on the machine.
    """

    networks = ("hands", "bodies")
    LANES = 2

    @classmethod
    def lacks(cls, settings) -> str:
        return "" if find_spec("mediapipe") else "finding hands needs MediaPipe: python -m pip install mediapipe"

    def __enter__(self):
        from ...pose.detect import Bundles, Detector

        paths = {key: self.settings.find(key) for key in self.networks}
        for key, path in paths.items():
            if path is None:
                raise ValueError(self.settings.missing(key))
        self._begin()
        with self._stack:
            for _ in range(self.LANES):
                detector = self._stack.enter_context(Detector(Bundles(paths["hands"], paths["bodies"])))
                thread = ThreadPoolExecutor(1)
                self._stack.callback(thread.shutdown, cancel_futures=True)
                self._lanes.append((thread, detector))
            self._stack = self._stack.pop_all()
        return self

    def _begin(self) -> None:
        self._stack, self._lanes, self._seen = ExitStack(), [], 0
        self._waiting: deque = deque()
        self.points, self.scores, self.size = [], [], None

    def __exit__(self, *error) -> None:
        self._stack.close()

    def frame(self, seconds, picture, face) -> None:
        self.size = self.size or picture.shape[1::-1]
        thread, detector = self._lanes[self._seen % self.LANES]
        self._seen += 1
        self._waiting.append(thread.submit(detector, picture, seconds))
        if len(self._waiting) == 2 * self.LANES:
            self._take()

    def _take(self) -> None:
        points, scores = self._waiting.popleft().result()[:2]
        self.keep(points[None], scores[None])

    def keep(self, points: np.ndarray, scores: np.ndarray) -> None:
        self.points.append(points.astype(np.float32))
        self.scores.append(scores.astype(np.float32))

    def finish(self):
        while self._waiting:
            self._take()
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

    @classmethod
    def lacks(cls, settings) -> str:
        return ""

    def __enter__(self):
        self.network, _ = self.settings.load("dwpose")
        self._begin()
        self._batch: list[np.ndarray] = []
        return self

    def frame(self, seconds, picture, face) -> None:
        self.size = self.size or picture.shape[1::-1]
        self._batch.append(picture)
        if len(self._batch) == dwpose.BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self.keep(*dwpose.hands(self.network, self._batch, self.settings.device))
            self._batch = []

    def finish(self):
        self._flush()
        return super().finish()
