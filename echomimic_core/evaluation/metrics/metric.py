"""What a metric is. Each is declared once, in the file of this folder that has its maths."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..clips import Clip

if TYPE_CHECKING:
    from ...pose import HandPose

# Columns of the paper's table on EMTD (arXiv 2411.10061).
PAPER_METHODS = ("AnimateAnyone", "MimicMotion", "EchoMimicV2")


Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Distance:
    """How far apart two sets are.

    Attributes
    ----------
    value : the metric's. deviation : of it over random subsets, where it is taken over some, else nan.
    samples : features of generated and of real clips that it is of.
    """

    value: float
    samples: tuple[int, int]
    deviation: float = math.nan


class Store(Protocol):
    """What a metric may ask of an evaluation's findings; ValueError, with a sentence, for what is not there."""

    def arrays(self, kind: str, clip: Clip, extractor: str) -> dict[str, np.ndarray]:
        """What an extractor found in the "generated", "reference", "portrait" or "pair" frames of a clip."""

    def pose(self, clip: Clip, extractor: str) -> "HandPose":
        """The hands of a clip: its own if it is a pose, else those that the extractor found."""

    def remark(self, clip: Clip, sentence: str) -> None:
        """Tell something about a clip, once."""


@dataclass(frozen=True)
class Metric:
    """A number and what it means.

    Attributes
    ----------
    key : for the command line. name : for reports.
    extractor : what is taken from the frames for it; "compare" for those of frame pairs.
    scope : "set" over all clips at once, "clip" of each clip, "pair" of each clip and its real one.
    better : "higher", "lower", "real" (the nearer to the real clip's value), or "" where no value is better.
    good : what a good value looks like, in words.
    alternative_to : key of the metric it may stand next to when that one's network is missing.
    paper : values of PAPER_METHODS. unlike_paper : why a value may differ from those though nothing is worse.
    score : the value of one clip; "set" metrics have none, they have a `distance`.
    distance : of two sets of what the extractor found in their clips, each an iterable; see `Distance`.
    features : numbers per sample of a "set" metric; with fewer samples it is biased, which reports say.
    other_names : under which publications also have it.
    curve : curves over the frames of one clip, by name, each (F,).
    needs : networks besides those of the extractor.
    of_poses : whether it is defined for a pose without pictures.
    """

    key: str
    name: str
    extractor: str
    scope: str
    better: str
    definition: str
    source: str
    good: str
    alternative_to: str = ""
    paper: dict[str, float] = field(default_factory=dict)
    unlike_paper: str = ""
    score: Callable[[Store, Clip], float] | None = None
    curve: Callable[[Store, Clip], dict[str, np.ndarray]] | None = None
    needs: tuple[str, ...] = ()
    of_poses: bool = False
    distance: Callable[[Iterable[Arrays], Iterable[Arrays]], Distance] | None = None
    features: int = 0
    other_names: tuple[str, ...] = ()


def paper(*values: float | None) -> dict[str, float]:
    """Values of the paper's table in the order of PAPER_METHODS, without those that it does not have."""
    return {method: value for method, value in zip(PAPER_METHODS, values, strict=True) if value is not None}
