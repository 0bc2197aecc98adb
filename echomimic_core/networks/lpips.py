"""LPIPS on AlexNet: a learned distance of two pictures.

Source: Zhang et al. 2018 (arXiv 1801.03924), version 0.1 with the AlexNet backbone of torchvision.
"""

import re

import torch
from torch import nn

# Where the five feature maps leave torchvision's `alexnet().features`, and their channels.
TAPS = {1: 64, 4: 192, 7: 384, 9: 256, 11: 256}
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Distance (N,) of pictures a and b, each (N, 3, H, W) in -1..1."""

    def __init__(self):
        super().__init__()
        # AlexNet as torchvision numbers its layers; whoever has no torchvision can use it as well.
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in TAPS.values())
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def _maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps, x = [], (x - self.shift) / self.scale
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in TAPS:
                maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps

    def forward(self, a, b):
        pairs = zip(self.heads, self._maps(a), self._maps(b), strict=True)
        return sum(head((x - y).square()).mean((1, 2, 3)) for head, x, y in pairs)


def rename(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of torchvision's AlexNet, of the `lpips` package or of its heads alone, under the names above."""
    renamed = {}
    for name, value in state_dict.items():
        if m := re.match(r"(?:net\.slice\d|features)\.(\d+)\.(weight|bias)$", name):
            renamed[f"features.{m[1]}.{m[2]}"] = value
        elif m := re.match(r"lin(\d)\.(?:model\.1\.)?weight$", name):
            renamed[f"heads.{m[1]}.weight"] = value
        elif re.match(r"heads\.\d\.weight$", name):
            renamed[name] = value
    return renamed
