"""Improved ResNet of ArcFace: face crops to 512-d embeddings. Any depth, read from the weights.

Parameter names are those of the public `backbone.pth` files. Source: Deng et al. 2019 (arXiv 1801.07698).
"""

import re

import torch
from torch import nn

SIZE = 112
WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm, around a shortcut."""

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + self.downsample(x)


class IResNet(nn.Module):
    """Aligned RGB faces (N, 3, 112, 112) in -1..1 to embeddings (N, 512).

    Parameters
    ----------
    depths : blocks of the four stages: (3, 13, 30, 3) is the 100-layer network, (3, 4, 14, 3) the 50-layer one.
    """

    def __init__(self, depths: tuple[int, ...] = (3, 13, 30, 3)):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        channels = WIDTHS[0]
        for stage, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True), start=1):
            blocks = [Block(channels if i == 0 else width, width, 2 if i == 0 else 1) for i in range(depth)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            channels = width
        self.bn2 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels * (SIZE // 16) ** 2, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


def depths_of(state_dict: dict[str, torch.Tensor]) -> tuple[int, ...]:
    """Blocks of each stage, from the names of the weights."""
    blocks = [re.match(r"layer(\d)\.(\d+)\.", name) for name in state_dict]
    return tuple(
        max((int(m[2]) + 1 for m in blocks if m and int(m[1]) == stage), default=0)
        for stage in range(1, len(WIDTHS) + 1)
    )
