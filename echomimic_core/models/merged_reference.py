"""Attention to merged reference tokens, each weighted by the number of tokens it replaces."""

import math

import torch
import torch.nn.functional as F

HEAD_PADDING = 8


def pad_heads(x: torch.Tensor, heads: int, first: float = 0.0) -> torch.Tensor:
    """Add channels to every head of x (n, tokens, heads * dim): the first of them filled with `first`, the rest 0."""
    padded = F.pad(x.unflatten(-1, (heads, -1)), (0, HEAD_PADDING))
    padded[..., -HEAD_PADDING] = first
    return padded.flatten(-2)


def weighed_keys(k: torch.Tensor, heads: int, stands_for: int) -> torch.Tensor:
    """Keys that count as often as the tokens they stand for: their logarithm is added to what queries find."""
    return pad_heads(k, heads, math.log(stands_for))


def weighing_queries(q: torch.Tensor, heads: int) -> torch.Tensor:
    """Queries for `weighed_keys`, scaled to the size of head that attention will divide by."""
    dim = q.shape[-1] // heads
    return pad_heads(q * math.sqrt((dim + HEAD_PADDING) / dim), heads, math.sqrt(dim + HEAD_PADDING))
