"""Core-seconds of a call by the kind of kernel that spent them, as torch's profiler sees it."""

from collections import Counter
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

KINDS = {
    "attention": ("attention",),
    "convolution": ("convolution", "conv2d"),
    "products": ("mm", "linear", "matmul", "_linear_pointwise"),
    "norms": ("norm",),
    "copies": ("copy_", "cat", "clone", "index", "contiguous", "pad", "repeat", "upsample"),
    "pointwise": ("add", "sub", "mul", "div", "gelu", "silu"),
}
"""Kinds by parts of the operators' names; the first that fits counts, and what fits none is "other"."""


def kind_of(operator: str) -> str:
    name = operator.rpartition("::")[2]
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")


def seconds_by_kind(function: Callable[[], object], on_gpu: bool = False) -> dict[str, float]:
    """Seconds of a call by kind, spent in the operators themselves, on the processor or on the GPU.

    Convolutions that are computed as matrix products count as products.
    """
    with profile(activities=[ProfilerActivity.CPU] + on_gpu * [ProfilerActivity.CUDA]) as seen:
        function()
    spent: Counter[str] = Counter()
    for event in seen.key_averages():
        spent[kind_of(event.key)] += (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
    return dict(spent)
