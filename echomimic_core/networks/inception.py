"""Inception v3 with the pooling of the original FID network, up to its last pooling layer (2048 features).

Parameter names are those of the public FID weights (`pt_inception-2015-12-05`) and of torchvision's `Inception3`.
The FID network differs from torchvision's in its pooling branches: averages leave the padding out, and the last block
takes a maximum.
"""

import torch
import torch.nn.functional as F
from torch import nn

SIZE = 299
FEATURES = 2048


class Conv(nn.Module):
    """Convolution, batch norm, ReLU; `same` keeps the size at stride 1, otherwise there is no padding."""

    def __init__(self, channels: int, out: int, kernel, stride: int = 1, same: bool = True):
        super().__init__()
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = tuple(k // 2 for k in kernel) if same else 0
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel branches of convolutions, concatenated, the pooling branch last.

    Parameters
    ----------
    branches : each a list of (name, channels out, kernel); a list in the last place means both run on the same input.
    pool : "average" or "max" in front of `branch_pool` (`pool_channels` wide), or "stride" for a halving maximum.
    """

    def __init__(self, channels: int, branches: list[list], pool: str, pool_channels: int = 0):
        super().__init__()
        self.pool, self.branches = pool, []
        for branch in branches:
            self.branches.append([self._add(channels, branch, step) for step in range(len(branch))])
        if pool_channels:
            self.branch_pool = Conv(channels, pool_channels, 1)

    def _add(self, channels: int, branch: list, step: int) -> list[str]:
        layers = branch[step] if isinstance(branch[step], list) else [branch[step]]
        into = channels if step == 0 else branch[step - 1][1]
        last = step == len(branch) - 1
        for name, out, kernel in layers:
            halve = self.pool == "stride" and last
            self.add_module(name, Conv(into, out, kernel, stride=2 if halve else 1, same=not halve))
        return [name for name, _, _ in layers]

    def forward(self, x):
        outputs = []
        for branch in self.branches:
            y = x
            for names in branch:
                y = torch.cat([getattr(self, name)(y) for name in names], 1)
            outputs.append(y)
        if self.pool == "stride":
            outputs.append(F.max_pool2d(x, 3, stride=2))
        elif self.pool == "max":
            outputs.append(self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1)))
        else:
            outputs.append(self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)))
        return torch.cat(outputs, 1)


def _block_35(channels: int, pool_channels: int) -> Mixed:
    return Mixed(
        channels,
        [
            [("branch1x1", 64, 1)],
            [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        ],
        "average",
        pool_channels,
    )


def _block_17(middle: int) -> Mixed:
    wide, tall = (1, 7), (7, 1)
    return Mixed(
        768,
        [
            [("branch1x1", 192, 1)],
            [("branch7x7_1", middle, 1), ("branch7x7_2", middle, wide), ("branch7x7_3", 192, tall)],
            [
                ("branch7x7dbl_1", middle, 1),
                ("branch7x7dbl_2", middle, tall),
                ("branch7x7dbl_3", middle, wide),
                ("branch7x7dbl_4", middle, tall),
                ("branch7x7dbl_5", 192, wide),
            ],
        ],
        "average",
        192,
    )


def _block_8(channels: int, pool: str) -> Mixed:
    wide, tall = (1, 3), (3, 1)
    return Mixed(
        channels,
        [
            [("branch1x1", 320, 1)],
            [("branch3x3_1", 384, 1), [("branch3x3_2a", 384, wide), ("branch3x3_2b", 384, tall)]],
            [
                ("branch3x3dbl_1", 448, 1),
                ("branch3x3dbl_2", 384, 3),
                [("branch3x3dbl_3a", 384, wide), ("branch3x3dbl_3b", 384, tall)],
            ],
        ],
        pool,
        192,
    )


def as_torch_does(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (N, 3, H, W) in 0..1 at the network's size in -1..1, as pytorch-fid prepares them."""
    return F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", align_corners=False) * 2 - 1


def as_tensorflow_does(pictures: torch.Tensor) -> torch.Tensor:
    """The same as TensorFlow 1 and torch-fidelity prepare them: pixels lie at their corners, grey is 128."""
    height, width = pictures.shape[2:]
    rows, columns = _between(height).to(pictures), _between(width).to(pictures)
    return (rows @ pictures @ columns.T * 255 - 128) / 128


def _between(length: int) -> torch.Tensor:
    """(299, length) weights of the pixels that each new one lies between."""
    places = torch.arange(SIZE, dtype=torch.float64) * (length / SIZE)
    first = places.floor().long()
    weights = torch.zeros(SIZE, length, dtype=torch.float64)
    at = torch.arange(SIZE)
    weights[at, first] = 1 - (places - first)
    weights[at, (first + 1).clamp(max=length - 1)] += places - first
    return weights


RESIZED = {"torch": as_torch_does, "tensorflow": as_tensorflow_does}


class FIDInception(nn.Module):
    """Pictures (N, 3, H, W) in 0..1 to pool3 features (N, 2048); `resize` is one of `RESIZED`.

    Source: Heusel et al. 2017 (arXiv 1706.08500).
    """

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2, same=False)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3, same=False)
        self.Mixed_5b = _block_35(192, 32)
        self.Mixed_5c = _block_35(256, 64)
        self.Mixed_5d = _block_35(288, 64)
        double = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
        self.Mixed_6a = Mixed(288, [[("branch3x3", 384, 3)], double], "stride")
        self.Mixed_6b = _block_17(128)
        self.Mixed_6c = _block_17(160)
        self.Mixed_6d = _block_17(160)
        self.Mixed_6e = _block_17(192)
        seven = [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1))]
        branches = [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)], [*seven, ("branch7x7x3_4", 192, 3)]]
        self.Mixed_7a = Mixed(768, branches, "stride")
        self.Mixed_7b = _block_8(1280, "average")
        self.Mixed_7c = _block_8(2048, "max")

    def forward(self, x: torch.Tensor, resize: str = "torch") -> torch.Tensor:
        x = RESIZED[resize](x)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))
