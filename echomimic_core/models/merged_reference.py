"""Self-attention that also sees the reference, whose tokens may be merged to save work (a shortcut, off by default).

Attention must weight each merged token by the number of tokens it replaces: the logarithm of that number is added to
what queries find there, by a channel of its own in every head.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

HEAD_PADDING = 8
"""Channels added to each head to carry a weight; kernels want heads in multiples of eight."""

Attend = Callable[[torch.Tensor, tuple[torch.Tensor, torch.Tensor]], torch.Tensor]


def attend_with_reference(
    attend: Attend,
    heads: int,
    q: torch.Tensor,
    own: tuple[torch.Tensor, torch.Tensor],
    reference: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Attention of q (n, tokens, channels) to the keys and values [own, reference].

    `reference` has one row for all samples or one for each; with padded heads (`merged_keys_values`) it is weighted.
    """
    merged = reference[0].shape[-1] > own[0].shape[-1]
    if merged:
        q, own = weighing_queries(q, heads), (weighed_keys(own[0], heads, 1), pad_heads(own[1], heads))
    keys_values = tuple(
        torch.cat([mine, shared.to(mine).expand(len(mine), -1, -1)], dim=1)
        for mine, shared in zip(own, reference, strict=True)
    )
    out = attend(q, keys_values)
    return out.unflatten(-1, (heads, -1))[..., :-HEAD_PADDING].flatten(-2) if merged else out


def merged_keys_values(k: torch.Tensor, v: torch.Tensor, heads: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values (r, n, channels) that stand for so many `tokens`, with the weight in padded heads."""
    return weighed_keys(k, heads, round(tokens / k.shape[1])), pad_heads(v, heads)


def pad_heads(x: torch.Tensor, heads: int, first: float = 0.0) -> torch.Tensor:
    """Add channels to every head of x (n, tokens, heads * dim): the first of them filled with `first`, the rest 0."""
    padded = F.pad(x.unflatten(-1, (heads, -1)), (0, HEAD_PADDING))
    padded[..., -HEAD_PADDING] = first
    return padded.flatten(-2)


def weighed_keys(k: torch.Tensor, heads: int, stands_for: int) -> torch.Tensor:
    """Keys that count as often as the tokens they stand for."""
    return pad_heads(k, heads, math.log(stands_for))


def weighing_queries(q: torch.Tensor, heads: int) -> torch.Tensor:
    """Queries for `weighed_keys`, scaled to the size of head that attention will divide by."""
    dim = q.shape[-1] // heads
    return pad_heads(q * math.sqrt((dim + HEAD_PADDING) / dim), heads, math.sqrt(dim + HEAD_PADDING))
