"""Inflated 3-D Inception (I3D) for Kinetics-400: the logits on which FVD is measured.

Parameter names are those of the public PyTorch weights `rgb_imagenet.pt`; padding is TensorFlow's "same".
Source: Carreira & Zisserman 2017 (arXiv 1705.07750); FVD: Unterthiner et al. 2018 (arXiv 1812.01717).
"""

import torch
import torch.nn.functional as F
from torch import nn

SIZE = 224
LOGITS = 400


def pad_same(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """Zeros around (N, C, T, H, W) so that every axis gives ceil(size / stride) outputs, the odd one at the end."""
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (size % s or s), 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


class Unit(nn.Module):
    """3-D convolution with same padding, then batch norm and ReLU (the logits have a bias instead)."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1, plain: bool = False):
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(out, eps=0.001)

    def forward(self, x):
        x = self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else F.relu(self.bn(x))


class Pool(nn.Module):
    """Maximum with same padding."""

    def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        return F.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """Four branches: 1; 1 and 3; 1 and 3; maximum and 1."""

    def __init__(self, channels: int, sizes: tuple[int, ...]):
        super().__init__()
        self.b0 = Unit(channels, sizes[0])
        self.b1a, self.b1b = Unit(channels, sizes[1]), Unit(sizes[1], sizes[2], 3)
        self.b2a, self.b2b = Unit(channels, sizes[3]), Unit(sizes[3], sizes[4], 3)
        self.b3a, self.b3b = Pool((3, 3, 3), (1, 1, 1)), Unit(channels, sizes[5])

    def forward(self, x):
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}


class I3D(nn.Module):
    """Clips (N, 3, T >= 9, 224, 224) in -1..1 to logits (N, 400), averaged over time."""

    def __init__(self):
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        self.MaxPool3d_4a_3x3 = Pool((3, 3, 3), (2, 2, 2))
        self.MaxPool3d_5a_2x2 = Pool((2, 2, 2), (2, 2, 2))
        for name, (channels, sizes) in MIXED.items():
            self.add_module(name, Mixed(channels, sizes))
        self.logits = Unit(1024, LOGITS, plain=True)

    def forward(self, x):
        x = self.MaxPool3d_2a_3x3(self.Conv3d_1a_7x7(x))
        x = self.MaxPool3d_3a_3x3(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))
        x = self.MaxPool3d_4a_3x3(self.Mixed_3c(self.Mixed_3b(x)))
        for name in ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"):
            x = getattr(self, name)(x)
        x = self.Mixed_5c(self.Mixed_5b(self.MaxPool3d_5a_2x2(x)))
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        return self.logits(x).flatten(2).mean(2)
