"""Motion modules: self-attention over the frames of a window at every pixel, as in AnimateDiff."""

import math
from functools import lru_cache

import torch
from torch import nn

from ..config import MAX_CONTEXT_FRAMES
from .attention import GROUP_NORM_EPS, Attention, FeedForward
from .chunks import in_chunks, rows_at_once
from .context import FEED_FORWARD_GROWTH, WindowContext


@lru_cache(maxsize=64)
def _positions(channels: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    position = torch.arange(MAX_CONTEXT_FRAMES, dtype=torch.float32)[:, None]
    angles = position * torch.exp(torch.arange(0, channels, 2, dtype=torch.float32) * (-math.log(10000.0) / channels))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(device, dtype)


def frame_positions(frames: int, like: torch.Tensor) -> torch.Tensor:
    """Sinusoidal position table (frames, channels), sines and cosines interleaved, for tokens `like` (..., channels).

    Raises
    ------
    ValueError : for more than 32 frames, which the motion modules were never trained for.
    """
    if frames > MAX_CONTEXT_FRAMES:
        raise ValueError(
            f"a window of {frames} frames is longer than the {MAX_CONTEXT_FRAMES} that the motion modules support"
        )
    # A compiler traces through caches, and warns of them
    table = _positions.__wrapped__ if torch.compiler.is_compiling() else _positions
    return table(like.shape[-1], like.device, like.dtype)[:frames]


class TemporalBlock(nn.Module):
    def __init__(self, channels: int, heads: int, operations, **factory):
        super().__init__()
        self.attention_blocks = nn.ModuleList(
            [Attention(channels, channels, heads, operations, **factory) for _ in range(2)]
        )
        self.norms = nn.ModuleList([operations.LayerNorm(channels, **factory) for _ in range(2)])
        self.ff = FeedForward(channels, operations, **factory)
        self.ff_norm = operations.LayerNorm(channels, **factory)

    def forward(self, hidden: torch.Tensor, transformer_options: dict) -> torch.Tensor:
        positions = frame_positions(hidden.shape[1], hidden)
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            hidden = hidden + attention(norm(hidden) + positions, transformer_options)
        return hidden + self.ff(self.ff_norm(hidden))


class TemporalTransformer(nn.Module):
    def __init__(self, channels: int, heads: int, groups: int, operations, **factory):
        super().__init__()
        self.norm = operations.GroupNorm(groups, channels, eps=GROUP_NORM_EPS, **factory)
        self.proj_in = operations.Linear(channels, channels, **factory)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, heads, operations, **factory)])
        self.proj_out = operations.Linear(channels, channels, **factory)

    def forward(self, hidden: torch.Tensor, context: WindowContext) -> torch.Tensor:
        height, width = hidden.shape[-2:]
        tokens = self.proj_in(self.norm(hidden).flatten(2).transpose(1, 2))
        # (windows * frames, pixels, channels) -> every pixel of every window attends over its frames
        tokens = tokens.unflatten(0, (-1, context.frames)).transpose(1, 2).flatten(0, 1)
        at_once = rows_at_once(len(tokens), FEED_FORWARD_GROWTH * tokens[0].numel(), context.chunk_elements)
        tokens = in_chunks(lambda x: self.transformer_blocks[0](x, context.transformer_options), at_once, tokens)
        tokens = tokens.unflatten(0, (-1, height * width)).transpose(1, 2).flatten(0, 1)
        return hidden + self.proj_out(tokens).transpose(1, 2).unflatten(2, (height, width))


class MotionModule(nn.Module):
    """Temporal transformer over the windows of the batch (n, channels, height, width), of `context.frames` each."""

    def __init__(self, channels: int, heads: int, groups: int, operations, **factory):
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, heads, groups, operations, **factory)

    def forward(self, hidden: torch.Tensor, context: WindowContext) -> torch.Tensor:
        return self.temporal_transformer(hidden, context)
