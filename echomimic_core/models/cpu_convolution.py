"""3x3 convolutions on the CPU as matrix products, by Winograd's minimal filtering F(2x2, 3x3).

Four outputs take 16 products in place of 36 (Lavin and Gray, arXiv 1509.09308). What is added on the way is exact up to
rounding: 1e-6 of the result in float32. Where a map has few pixels, the sums over the weights would cost more than they
save, and its neighbourhoods are laid out in a row instead, which costs no sums at all.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..runtime import layer_weights

NARROWEST = 64
"""Fewer channels than this, on either side, are no work to save."""

FEWEST_TILES = 64
"""Below so many squares of 2x2 outputs in a batch, transforming the weights costs more than it saves."""

PIECE_ELEMENTS = 4 * 2**20
"""Largest intermediate of a piece, of so many samples as fit."""


def convolution(layer: nn.Conv2d, hidden: torch.Tensor) -> torch.Tensor:
    """layer(hidden), by fewer products where that is sooner: on the CPU in float32, if no gradient is needed."""
    seen = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if seen or hidden.device.type != "cpu" or hidden.dtype != torch.float32 or not is_worth_it(layer):
        return layer(hidden)
    return convolve(hidden, *layer_weights(layer, hidden))


def is_worth_it(layer: nn.Conv2d) -> bool:
    """Whether `convolve` does what a layer does, and the layer is wide enough to gain by it."""
    same_size = layer.kernel_size == (3, 3) and layer.padding == layer.stride == layer.dilation == (1, 1)
    return same_size and layer.groups == 1 and min(layer.in_channels, layer.out_channels) >= NARROWEST


def lay_out_weights(network: nn.Module) -> None:
    """Lay the weights of convolutions on the CPU out with their channels last, as pictures are there.

    Torch and `convolve` would otherwise do so in every call. What is being trained stays as it is.
    """
    for module in network.modules():
        weight = getattr(module, "weight", None) if isinstance(module, nn.Conv2d) else None
        if weight is not None and weight.device.type == "cpu" and not weight.requires_grad:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def convolve(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Convolution of (n, c, height, width) with weights (o, c, 3, 3), padded by zeros to the same size.

    The result (n, o, height, width) has its channels last in memory.
    """
    rows, (height, width) = hidden.permute(0, 2, 3, 1), hidden.shape[2:]
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    tiles = -(-height // 2) * -(-width // 2)
    if len(rows) * tiles < FEWEST_TILES:
        return _by_neighbourhoods(rows, weight, bias).permute(0, 3, 1, 2)
    filters = _filters(weight)
    out = rows.new_empty(len(rows), 2 * -(-height // 2), 2 * -(-width // 2), len(weight))
    at_once = max(PIECE_ELEMENTS // (16 * tiles * max(weight.shape[:2])), 1)
    for start in range(0, len(rows), at_once):
        piece = slice(start, start + at_once)
        _combine(torch.bmm(_squares(rows[piece]).flatten(1, 3), filters), bias, out[piece])
    return out[:, :height, :width].contiguous().permute(0, 3, 1, 2)


def _by_neighbourhoods(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    around = F.pad(rows, (0, 0, 1, 1, 1, 1)).unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3)
    matrix = weight.permute(0, 2, 3, 1).flatten(1)
    return torch.addmm(bias, around.flatten(3).flatten(0, 2), matrix.T).unflatten(0, rows.shape[:3])


def _filters(weight: torch.Tensor) -> torch.Tensor:
    """G g Gᵀ of every filter: (16, c, o)."""
    g = weight.new_tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
    return torch.matmul(torch.kron(g, g), weight.permute(0, 2, 3, 1).flatten(1, 2)).permute(1, 2, 0)


def _squares(rows: torch.Tensor) -> torch.Tensor:
    """Bᵀ d B of every square of 4x4 that is 2 away from the next: (16, n, height / 2, width / 2, c)."""
    _, height, width, _ = rows.shape
    padded = F.pad(rows, (0, 0, 1, 1 + width % 2, 1, 1 + height % 2))
    return _differences(_differences(padded, 2), 2).flatten(0, 1)


def _differences(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Bᵀ along a dimension, of which it leaves half; its four results lie along a new first one."""
    a, b, c, d = values.unfold(dim, 4, 2).unbind(-1)
    out = a.new_empty(4, *a.shape)
    torch.sub(a, c, out=out[0])
    torch.add(b, c, out=out[1])
    torch.sub(c, b, out=out[2])
    torch.sub(b, d, out=out[3])
    return out


def _combine(products: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """Aᵀ m A of products (16, n * height / 2 * width / 2, o), with the bias, into `out` (n, height, width, o)."""
    shape = (len(out), out.shape[1] // 2, out.shape[2] // 2)
    for row, lines in enumerate(_sums(products.unflatten(1, shape).unflatten(0, (4, 4)))):
        for column, values in enumerate(_sums(lines)):
            torch.add(values, bias, out=out[:, row::2, column::2])


def _sums(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Aᵀ along the first dimension."""
    a, b, c, d = values
    return (a + b).add_(c), (b - c).sub_(d)
