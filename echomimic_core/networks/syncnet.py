"""SyncNet: lips and sound in one embedding space. Parameter names are those of the public `syncnet_v2.model`.

Source: Chung & Zisserman, "Out of time: automated lip sync in the wild", ACCV 2016 workshop.
"""

import torch
from torch import nn

EMBEDDING = 1024


def _stack(conv, norm, layers: list) -> nn.Sequential:
    """Convolution, norm and ReLU for each (in, out, kernel, stride, padding); pooling modules go in as they are."""
    modules = []
    for layer in layers:
        if isinstance(layer, nn.Module):
            modules.append(layer)
        else:
            modules += [conv(*layer), norm(layer[1]), nn.ReLU()]
    return nn.Sequential(*modules)


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


class SyncNet(nn.Module):
    """Two towers that give 1024-d embeddings of 0.2 s of lips and of sound."""

    def __init__(self):
        super().__init__()
        self.netcnnaud = _stack(
            nn.Conv2d,
            nn.BatchNorm2d,
            [
                (1, 64, 3, 1, 1),
                nn.MaxPool2d((1, 1), (1, 1)),
                (64, 192, 3, 1, 1),
                nn.MaxPool2d((3, 3), (1, 2)),
                (192, 384, 3, 1, 1),
                (384, 256, 3, 1, 1),
                (256, 256, 3, 1, 1),
                nn.MaxPool2d((3, 3), (2, 2)),
                (256, 512, (5, 4), 1, 0),
            ],
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        side = (0, 1, 1)
        self.netcnnlip = _stack(
            nn.Conv3d,
            nn.BatchNorm3d,
            [
                (3, 96, (5, 7, 7), (1, 2, 2), 0),
                nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
                (96, 256, (1, 5, 5), (1, 2, 2), side),
                nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=side),
                (256, 256, (1, 3, 3), 1, side),
                (256, 256, (1, 3, 3), 1, side),
                (256, 256, (1, 3, 3), 1, side),
                nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
                (256, 512, (1, 6, 6), 1, 0),
            ],
        )

    def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, 13, 20) MFCC at 100 Hz to (N, 1024)."""
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 5, 224, 224) BGR face crops in 0..255 at 25 fps to (N, 1024)."""
        return self.netfclip(self.netcnnlip(x).flatten(1))
