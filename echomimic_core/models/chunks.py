"""Working memory with a ceiling: layers that treat every sample (or pixel) alone run over a few of them at a time.

At 768x768 the feed-forward of a guided window would need 1.7 GB at once in float16. Cut into rows it needs a fixed
amount, and the numbers stay the same, since no row ever sees another.
"""

from collections.abc import Iterator

import torch

CHUNK_ELEMENTS = 128 * 2**20
"""Largest intermediate tensor of a layer, in elements: 256 MB in float16, still wide enough to fill any GPU."""

NARROW_CHUNK_ELEMENTS = 16 * 2**20
"""What fills a GPU at the least; where memory is short, layers go down to this before windows go apart."""

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


def pieces(size: int, *tensors: torch.Tensor | None) -> Iterator[tuple[torch.Tensor | None, ...]]:
    """The tensors, `size` leading rows of each at a time; None and single rows are shared.

    What is made of a piece is written into its place in one of the tensors, never copied there.
    """
    rows = len(tensors[0])
    for start in range(0, rows, size):
        yield tuple(x if x is None or len(x) == 1 < rows else x[start : start + size] for x in tensors)
