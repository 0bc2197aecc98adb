"""Convolutional layers of both U-Nets: timestep embedding, residual block, down- and upsampling."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .cpu_convolution import convolution
from .fused import add, add_into, group_norm

NORM_EPS = 1e-5


def timestep_embedding(timesteps: torch.Tensor, channels: int) -> torch.Tensor:
    """Sinusoids of timesteps (n,) as float32 (n, channels): cosines first, then sines, periods 2π to 20000π."""
    half = channels // 2
    frequencies = torch.exp(
        torch.arange(half, device=timesteps.device, dtype=torch.float32) * (-math.log(10000.0) / half)
    )
    angles = timesteps.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedding(nn.Module):
    def __init__(self, channels: int, out_channels: int, operations, **factory):
        super().__init__()
        self.linear_1 = operations.Linear(channels, out_channels, **factory)
        self.linear_2 = operations.Linear(out_channels, out_channels, **factory)

    def forward(self, sinusoids: torch.Tensor) -> torch.Tensor:
        return self.linear_2(F.silu(self.linear_1(sinusoids)))


class ResnetBlock(nn.Module):
    """Two convolutions with the timestep added in between; input and output (n, channels, height, width)."""

    def __init__(self, in_channels: int, out_channels: int, time_channels: int, groups: int, operations, **factory):
        super().__init__()
        self.norm1 = operations.GroupNorm(groups, in_channels, eps=NORM_EPS, **factory)
        self.conv1 = operations.Conv2d(in_channels, out_channels, 3, padding=1, **factory)
        self.time_emb_proj = operations.Linear(time_channels, out_channels, **factory)
        self.norm2 = operations.GroupNorm(groups, out_channels, eps=NORM_EPS, **factory)
        self.conv2 = operations.Conv2d(out_channels, out_channels, 3, padding=1, **factory)
        self.conv_shortcut = (
            operations.Conv2d(in_channels, out_channels, 1, **factory) if in_channels != out_channels else None
        )

    def forward(
        self, hidden: torch.Tensor, time_embedding: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`out` is where the result goes, if it has a place."""
        residual = hidden if self.conv_shortcut is None else self.conv_shortcut(hidden)
        hidden = convolution(self.conv1, group_norm(self.norm1, hidden, silu=True))
        hidden = add(hidden, self.time_emb_proj(F.silu(time_embedding))[:, :, None, None])
        hidden = convolution(self.conv2, group_norm(self.norm2, hidden, silu=True))
        return add_into(out, hidden, residual)

    def empty_output(self, hidden: torch.Tensor) -> torch.Tensor:
        """A tensor for the result of hidden states of this size, in memory as they are."""
        last = hidden.is_contiguous(memory_format=torch.channels_last)
        shape = (len(hidden), self.conv2.out_channels, *hidden.shape[2:])
        layout = torch.channels_last if last else torch.contiguous_format
        return torch.empty(shape, dtype=hidden.dtype, device=hidden.device, memory_format=layout)


class Downsample(nn.Module):
    """Halve height and width; odd sizes round up."""

    def __init__(self, channels: int, operations, **factory):
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, stride=2, padding=1, **factory)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.conv(hidden)


class Upsample(nn.Module):
    """Grow to the size of the skip connection that comes next, which need not be twice as large."""

    def __init__(self, channels: int, operations, **factory):
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, padding=1, **factory)

    def forward(self, hidden: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return convolution(self.conv, F.interpolate(hidden, size=size, mode="nearest"))
