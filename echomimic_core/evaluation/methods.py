"""Several methods on the same real clips: which is best, and how sure that is."""

from dataclasses import dataclass
from itertools import combinations

from .evaluate import Evaluation
from .metrics.metric import Metric
from .scores import Score
from .statistics import PairedTest, paired_test

# How far a score is from the best one possible, by what is better.
BADNESS = {
    "higher": lambda score: -score.value,
    "lower": lambda score: score.value,
    "real": lambda score: abs(score.value - score.real),
}


@dataclass
class Comparison:
    """Evaluations of the same metrics by the name of the method, in the order in which they were given."""

    methods: dict[str, Evaluation]

    @property
    def metrics(self) -> list[Metric]:
        """Metrics that were asked for, in the order of reports."""
        chosen = {}
        for evaluation in self.methods.values():
            chosen |= {score.metric.key: score.metric for score in evaluation.scores}
        return list(chosen.values())

    def row(self, metric: Metric) -> dict[str, Score]:
        """The score of each method that has one."""
        scores = {name: evaluation.score(metric.key) for name, evaluation in self.methods.items()}
        return {name: score for name, score in scores.items() if score is not None}

    def best(self, metric: Metric) -> set[str]:
        """The methods with the best value, several where they are equal; none where no value is better than another.

        Values of different clips are not compared: then no method is the best.
        """
        if not self.of_the_same(metric):
            return set()
        known = {name: score for name, score in self.row(metric).items() if score.value is not None}
        if not metric.better or len(known) < 2 or (metric.better == "real" and self.real(metric) is None):
            return set()
        badness = {name: BADNESS[metric.better](score) for name, score in known.items()}
        return {name for name, value in badness.items() if value == min(badness.values())}

    def real(self, metric: Metric) -> float | None:
        """The value of the real clips, where all methods that have one were measured against the same."""
        values = {score.real for score in self.row(metric).values() if score.value is not None}
        return values.pop() if len(values) == 1 else None

    def of_the_same(self, metric: Metric) -> bool:
        """Whether the values of all methods are of the same clips, and of as many samples."""
        scores = [score for score in self.row(metric).values() if score.value is not None]
        return len({(frozenset(s.clips), frozenset(s.left_out), s.used, s.samples) for s in scores}) < 2

    def tests(self, metric: Metric) -> dict[tuple[str, str], PairedTest]:
        """Paired tests of every two methods, by their names, over the clips that both have."""
        row = self.row(metric)
        tests = {pair: paired_test(*(row[name].clips for name in pair)) for pair in combinations(row, 2)}
        return {pair: test for pair, test in tests.items() if test is not None}

    def uneven(self) -> str:
        """A sentence if the methods were measured on different clips, else empty."""
        sets = {
            name: frozenset(report.name for report in evaluation.clips) for name, evaluation in self.methods.items()
        }
        if len(set(sets.values())) == 1:
            apart = [metric.name for metric in self.metrics if not self.of_the_same(metric)]
            if not apart:
                return ""
            return (
                f"{', '.join(apart)}: the methods' values are of different clips, so none is marked as the best; "
                "only the paired tests are of the same clips"
            )
        counts = ", ".join(f"{name} {len(clips)}" for name, clips in sets.items())
        common = frozenset.intersection(*sets.values())
        return (
            f"the methods have different clips ({counts}; {len(common)} in common): their values are of different "
            "sets, only the paired tests are of the same clips"
        )
