"""Pose encoder: keypoint maps at pixel resolution -> features added to the first layer of the denoising U-Net."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ..config import PIXELS_PER_LATENT, ModelConfig
from ..runtime import TorchOperations
from .patches import to_patches

MAP_CHANNELS = 3


class PoseEncoder(nn.Module):
    def __init__(self, config: ModelConfig, dtype=None, device=None, operations=TorchOperations):
        super().__init__()
        channels = config.pose_block_channels
        factory = {"dtype": dtype, "device": device}
        self.patch = config.patch
        self.conv_in = operations.Conv2d(MAP_CHANNELS * self.patch**2, channels[0], 3, padding=1, **factory)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(channels):
            self.blocks.append(operations.Conv2d(narrow, narrow, 3, padding=1, **factory))
            self.blocks.append(operations.Conv2d(narrow, wide, 3, padding=1, stride=2, **factory))
        self.conv_out = operations.Conv2d(channels[-1], config.block_out_channels[0], 3, padding=1, **factory)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Features (n, channels, h, w), one cell per patch, of keypoint maps (n, 3, height, width) in 0..1."""
        hidden = F.silu(self.conv_in(to_patches(maps, self.patch, PIXELS_PER_LATENT)))
        for block in self.blocks:
            hidden = F.silu(block(hidden))
        return self.conv_out(hidden)
