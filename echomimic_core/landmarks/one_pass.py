"""Convolutions on the processor whose weights are laid out once, and whose activation costs no pass of its own.

The operators are those that torch's own compiler takes. They are not promised to stay: where they are missing or give
something else, `available` is False and the layers are run as they are.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

_ACTIVATIONS = {None: ("none", []), "relu": ("relu", []), "relu6": ("hardtanh", [0.0, 6.0])}


@cache
def available() -> bool:
    """Whether this torch has the operators, tried on a small layer."""
    layer = nn.Conv2d(8, 8, 3, padding=1)
    x = torch.linspace(-1, 1, 8 * 36).view(1, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            return torch.allclose(convolve(lay_out(layer, x), layer, x, "relu"), F.relu(layer(x)), atol=1e-5)
    except (AttributeError, RuntimeError, TypeError):
        return False


def lay_out(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """The weights of a layer as oneDNN wants them for inputs like `x` (n, c, height, width)."""
    return torch.ops.mkldnn._reorder_convolution_weight(layer.weight, *_geometry(layer), list(x.shape))


def convolve(weights: torch.Tensor, layer: nn.Conv2d, x: torch.Tensor, activation: str | None) -> torch.Tensor:
    """A layer with `weights` of `lay_out`, then None, "relu" or "relu6"."""
    name, limits = _ACTIVATIONS[activation]
    return torch.ops.mkldnn._convolution_pointwise(x, weights, layer.bias, *_geometry(layer), name, limits, "")


def _geometry(layer: nn.Conv2d) -> tuple[list[int], list[int], list[int], int]:
    return list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups
