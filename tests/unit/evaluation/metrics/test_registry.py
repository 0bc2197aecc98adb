"""Each metric is declared once, where its maths is; what is forgotten is a sentence here."""

import importlib
import pkgutil

import pytest

from echomimic_core.evaluation import metrics
from echomimic_core.evaluation.extractors import EXTRACTORS
from echomimic_core.evaluation.metrics.registry import BY_KEY, METRICS


def test_every_file_that_declares_metrics_is_registered():
    for info in pkgutil.iter_modules(metrics.__path__, f"{metrics.__name__}."):
        declared = getattr(importlib.import_module(info.name), "METRICS", ())
        forgotten = [metric.key for metric in declared if metric not in METRICS]
        assert not forgotten, f"{info.name} declares {forgotten}: add the file to FAMILIES in metrics/registry.py"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_a_metric_says_all_that_the_report_and_the_passes_need(metric):
    assert metric.scope in ("set", "clip", "pair"), f"{metric.key}: scope {metric.scope!r} is none of set, clip, pair"
    assert metric.scope == "set" or metric.score, f"{metric.key} has no score: give the value of one clip"
    known = metric.extractor in EXTRACTORS or metric.extractor == "compare"
    assert known, f"{metric.key}: there is no extractor {metric.extractor!r} in evaluation/extractors"
    assert metric.name and metric.definition and metric.source and metric.good, f"{metric.key} lacks a text"
    assert not metric.alternative_to or metric.alternative_to in BY_KEY, f"{metric.key}: no {metric.alternative_to}"


def test_keys_are_unique():
    keys = [metric.key for metric in METRICS]
    assert len(set(keys)) == len(keys), f"a key is declared twice: {sorted(k for k in keys if keys.count(k) > 1)}"
