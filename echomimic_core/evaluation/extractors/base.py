"""What extractors have in common."""

from abc import ABC, abstractmethod

import numpy as np

from ..clips import Clip
from ..faces import Face
from ..metrics.frechet import Moments
from ..metrics.kernel import RowSample
from ..settings import Settings


class Extractor(ABC):
    """Base: context manager; `needs_face` asks for the face of each frame.

    `networks` are the files it needs, `optional` those it uses where they are.
    """

    networks: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    needs_face = False

    def __init__(self, clip: Clip, fps: float, settings: Settings):
        self.clip, self.fps, self.settings = clip, fps, settings

    @classmethod
    def options(cls, settings: Settings) -> tuple:
        """Settings that change the result, for the cache."""
        return ()

    @classmethod
    def lacks(cls, settings: Settings) -> str:
        """A sentence on what is missing besides the files of its networks, empty if nothing is."""
        return ""

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:  # noqa: B027 (nothing to close, unless a subclass opens something)
        pass

    @abstractmethod
    def frame(self, seconds: float, picture: np.ndarray, face: Face | None) -> None:
        """Look at one frame, RGB (H, W, 3) uint8."""

    @abstractmethod
    def finish(self) -> dict[str, np.ndarray]:
        """What was found, by name."""


class Batched(Extractor):
    """Collects items and hands them over in batches of equal shapes."""

    def __init__(self, clip: Clip, fps: float, settings: Settings):
        super().__init__(clip, fps, settings)
        self._waiting: list[np.ndarray] = []

    def add(self, item: np.ndarray) -> None:
        if self._waiting and self._waiting[0].shape != item.shape:
            self.flush()
        self._waiting.append(item)
        if len(self._waiting) == self.settings.batch:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            items, self._waiting = self._waiting, []
            self.process(items)

    def process(self, items: list[np.ndarray]) -> None:  # noqa: B027 (only for subclasses that add items)
        """Evaluate items of one shape."""


class Distribution(Batched):
    """Features of a network as moments of a Gaussian; with `keeps_rows` also the features themselves, for KID."""

    keeps_rows = False

    def __init__(self, clip: Clip, fps: float, settings: Settings):
        super().__init__(clip, fps, settings)
        self.moments: Moments | None = None
        self.rows = RowSample()

    def take(self, features: np.ndarray) -> None:
        features = features.reshape(len(features), -1)
        self.moments = self.moments or Moments(features.shape[1])
        self.moments.add(features)
        if self.keeps_rows:
            self.rows.add(features)

    def finish(self) -> dict[str, np.ndarray]:
        self.flush()
        if not self.moments:
            return {"count": np.array(0)}
        arrays = self.moments.arrays()
        # Few rows are in the moments as they came.
        needed = self.keeps_rows and len(arrays["rows"]) < self.moments.count
        return arrays | ({"sample": self.rows.array()} if needed else {})
