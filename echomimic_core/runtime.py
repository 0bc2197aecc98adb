"""The seam between the core and whoever runs it.

Layers are built from an `operations` namespace handed to every constructor (`TorchOperations`, or ComfyUI's
`comfy.ops`), and all attention goes through `attention`, whose backend ComfyUI's node replaces by its own.
Long loops take a `progress(done, total)` callable, which may raise to cancel.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

Progress = Callable[[int, int], None]


class TorchOperations:
    """Plain torch layers, for tests, training, evaluation and benchmarks."""

    Linear = nn.Linear
    Conv2d = nn.Conv2d
    GroupNorm = nn.GroupNorm
    LayerNorm = nn.LayerNorm


def torch_attention(q, k, v, heads, mask=None, transformer_options=None):
    """Scaled dot-product attention on (batch, tokens, heads * dim) tensors, same shape out."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


_attention = torch_attention


def set_attention(function: Callable) -> None:
    """Replace the attention backend: a function (q, k, v, heads, transformer_options=...) as `torch_attention`."""
    global _attention
    _attention = function


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, transformer_options: dict | None = None
) -> torch.Tensor:
    """Attention of q (batch, n, channels) over k and v (batch, m, channels) by the current backend."""
    return _attention(q, k, v, heads, transformer_options=transformer_options or {})
