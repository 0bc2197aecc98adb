"""A network's results for squares of pictures: cut out and computed, side by side where that is faster."""

import numpy as np
import torch

from .graph import Graph
from .lanes import lanes, side_by_side
from .regions import sample


def see(
    graph: Graph,
    pictures: torch.Tensor,
    owners: np.ndarray,
    squares: np.ndarray,
    outside: str = "edge",
    wanted: tuple[int, ...] | None = None,
) -> list[torch.Tensor]:
    """The wanted results of a network for squares (n, 4) of pictures, (n, ...) each.

    owners : (n,) picture of each square.
    """

    def part(chosen: slice) -> list[torch.Tensor]:
        return graph(sample(pictures, owners[chosen], squares[chosen], graph.size, graph.range, outside), wanted)

    count = min(lanes(pictures.device), len(squares))
    edges = np.linspace(0, len(squares), count + 1).round().astype(int)
    parts = side_by_side(
        [lambda chosen=slice(a, b): part(chosen) for a, b in zip(edges, edges[1:], strict=False)], pictures.device
    )
    return [torch.cat(results) for results in zip(*parts, strict=True)] if count > 1 else parts[0]
