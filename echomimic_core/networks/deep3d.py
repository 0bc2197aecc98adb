"""Face reconstruction network whose 64 expression coefficients E-FID compares.

A ResNet-50 with seven linear outputs; parameter names are those of the public checkpoint `epoch_20.pth` (`net_recon`).
Source: Deng et al. 2019 (arXiv 1903.08527), PyTorch version.
"""

import torch
from torch import nn

SIZE = 224
# Identity, expression, texture, angles, light, translation x and y, translation z.
OUTPUTS = (80, 64, 80, 3, 27, 2, 1)
EXPRESSION = slice(80, 144)


class Deep3D(nn.Module):
    """Aligned RGB faces (N, 3, 224, 224) in 0..1 to coefficients (N, 257)."""

    def __init__(self):
        super().__init__()
        from torchvision.models import resnet50

        self.backbone = resnet50(weights=None)
        del self.backbone.fc
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, out, 1) for out in OUTPUTS)

    def forward(self, x):
        b = self.backbone
        x = b.maxpool(b.relu(b.bn1(b.conv1(x))))
        x = b.layer4(b.layer3(b.layer2(b.layer1(x))))
        x = x.mean((2, 3), keepdim=True)
        return torch.cat([layer(x) for layer in self.final_layers], 1).flatten(1)
