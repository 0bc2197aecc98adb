"""Motion modules: self-attention over the frames of a window at every pixel, as in AnimateDiff."""

import math
from functools import lru_cache

import torch
from torch import nn

from ..config import MAX_CONTEXT_FRAMES
from .attention import GROUP_NORM_EPS, Attention, FeedForward
from .chunks import pieces, rows_at_once
from .context import FEED_FORWARD_GROWTH, KeysValues, WindowContext
from .fused import add, add_norm, as_picture, as_tokens, attend_over_frames, group_norm, layer_norm


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


class FrameAttention(Attention):
    """Self-attention over the few frames of each pixel, for which there is a kernel of its own."""

    def attend(self, q: torch.Tensor, keys_values: KeysValues, transformer_options: dict) -> torch.Tensor:
        return attend_over_frames(q, keys_values, self.heads, transformer_options)


class TemporalBlock(nn.Module):
    def __init__(self, channels: int, heads: int, operations, **factory):
        super().__init__()
        self.attention_blocks = nn.ModuleList(
            [FrameAttention(channels, channels, heads, operations, **factory) for _ in range(2)]
        )
        self.norms = nn.ModuleList([operations.LayerNorm(channels, **factory) for _ in range(2)])
        self.ff = FeedForward(channels, operations, **factory)
        self.ff_norm = operations.LayerNorm(channels, **factory)

    def forward(self, hidden: torch.Tensor, transformer_options: dict) -> torch.Tensor:
        positions = frame_positions(hidden.shape[1], hidden)
        normed = layer_norm(self.norms[0], hidden, positions)
        attended = self.attention_blocks[0](normed, transformer_options)
        hidden, normed = add_norm(self.norms[1], hidden, attended, positions=positions)
        attended = self.attention_blocks[1](normed, transformer_options)
        hidden, normed = add_norm(self.ff_norm, hidden, attended)
        return add(hidden, self.ff(normed))


class TemporalTransformer(nn.Module):
    def __init__(self, channels: int, heads: int, groups: int, operations, **factory):
        super().__init__()
        self.norm = operations.GroupNorm(groups, channels, eps=GROUP_NORM_EPS, **factory)
        self.proj_in = operations.Linear(channels, channels, **factory)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, heads, operations, **factory)])
        self.proj_out = operations.Linear(channels, channels, **factory)

    def forward(self, hidden: torch.Tensor, context: WindowContext) -> torch.Tensor:
        size, frames = tuple(hidden.shape[-2:]), context.frames
        normed, hidden = as_tokens(group_norm(self.norm, hidden)), as_tokens(hidden)
        # (windows * frames, pixels, channels) -> every pixel of every window attends over its frames
        normed, hidden = (x.unflatten(0, (-1, frames)).permute(2, 0, 1, 3) for x in (normed, hidden))
        at_once = rows_at_once(len(hidden), FEED_FORWARD_GROWTH * hidden[0].numel(), context.chunk_elements)
        if at_once == len(hidden):
            hidden = self.move(hidden, normed, context.transformer_options)
        else:
            for part, tokens in pieces(at_once, hidden, normed):
                self.move(part, tokens, context.transformer_options)
        return as_picture(hidden.permute(1, 2, 0, 3).flatten(0, 1), size)

    def move(self, hidden: torch.Tensor, normed: torch.Tensor, transformer_options: dict) -> torch.Tensor:
        """Hidden states plus what the block makes of normed ones, both (pixels, windows, frames, channels)."""
        tokens = self.transformer_blocks[0](self.proj_in(normed.flatten(0, 1)), transformer_options)
        return add(hidden, self.proj_out(tokens).view_as(hidden))


class MotionModule(nn.Module):
    """Temporal transformer over the windows of the batch (n, channels, height, width), of `context.frames` each."""

    def __init__(self, channels: int, heads: int, groups: int, operations, **factory):
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, heads, groups, operations, **factory)

    def forward(self, hidden: torch.Tensor, context: WindowContext) -> torch.Tensor:
        return self.temporal_transformer(hidden, context)
