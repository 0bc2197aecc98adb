"""Working memory with a ceiling: layers that treat every sample (or pixel) alone run over a few of them at a time.

At 768x768 the feed-forward of a guided window would need 1.7 GB at once in float16. Cut into rows it needs a fixed
amount, and the numbers stay the same, since no row ever sees another.
"""

from collections.abc import Callable

import torch

CHUNK_ELEMENTS = 128 * 2**20
"""Largest intermediate tensor of a layer, in elements: 256 MB in float16, still wide enough to fill any GPU."""

CPU_CHUNK_ELEMENTS = 4 * 2**20
"""On the CPU: what stays in the caches, and in memory that the allocator need not ask the system for again."""

SMALLEST_CHUNK_ELEMENTS = 2 * 2**20
"""Below this, chunks only cost time: convolutions and attention of one frame need as much."""


def rows_at_once(rows: int, elements_per_row: int, ceiling: int | None) -> int:
    """Rows to treat together: equal shares of `rows` whose intermediate stays below `ceiling`, at least 1.

    Gradients need every intermediate anyway, so under autograd, and without a ceiling, all rows go together.
    """
    if ceiling is None or torch.is_grad_enabled() or rows * elements_per_row <= ceiling:
        return rows
    parts = -(-rows // max(ceiling // elements_per_row, 1))
    return -(-rows // parts)


def in_chunks(function: Callable[..., torch.Tensor], size: int, *tensors: torch.Tensor | None) -> torch.Tensor:
    """`function(*tensors)`, over `size` leading rows of all tensors at a time; None and single rows are shared."""
    rows = len(tensors[0])
    if size >= rows:
        return function(*tensors)
    out = None
    for start in range(0, rows, size):
        part = [x if x is None or len(x) == 1 else x[start : start + size] for x in tensors]
        values = function(*part)
        if out is None:
            layout = torch.contiguous_format
            if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
                layout = torch.channels_last
            out = torch.empty((rows, *values.shape[1:]), dtype=values.dtype, device=values.device, memory_format=layout)
        out[start : start + size] = values
    return out
