"""All metrics, collected from the files that declare them."""

from . import expression, frechet, gestures, hands, identity, kernel, quality, steadiness, sync
from .metric import Metric

# In the order of reports.
FAMILIES = (frechet, kernel, quality, steadiness, expression, sync, hands, gestures, identity)

METRICS: tuple[Metric, ...] = tuple(metric for family in FAMILIES for metric in family.METRICS)
BY_KEY = {metric.key: metric for metric in METRICS}


def choose(names: list[str] | None) -> list[Metric]:
    """Metrics by key or name, in any case ("FID", "sync-c", "e-fid"; "sync" is both); all of them for None.

    Raises
    ------
    ValueError : an unknown name.
    """
    if not names:
        return list(METRICS)
    chosen = set()
    for name in names:
        plain = name.strip().lower()
        found = {metric.key for metric in METRICS if plain in _names(metric)}
        found |= {"sync-c", "sync-d"} if plain == "sync" else set()
        if not found:
            raise ValueError(f"there is no metric {name!r}: choose from {', '.join(BY_KEY)}")
        chosen |= found
    return [metric for metric in METRICS if metric.key in chosen]


def _names(metric: Metric) -> set[str]:
    return {metric.key, *(name.lower() for name in (metric.name, *metric.other_names))}
