"""L_low: how different two pictures look, by LPIPS, or by a stand-in where it is asked for."""

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ...networks.torchscript import load_script

logger = logging.getLogger(__name__)

STAND_IN, STOOD_FOR = "stand-in", "multi-scale gradients and SSIM"
SCALES = 3
SSIM_WINDOW = 7
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


class MultiScaleGradientSSIM(nn.Module):
    """Stand-in for LPIPS: structure (1 - SSIM) and gradients at three scales; distance (n,) of pictures in 0..1."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(a), device=a.device, dtype=a.dtype)
        for scale in range(SCALES):
            if scale:
                a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
            if min(a.shape[-2:]) < SSIM_WINDOW:
                break
            gradients = sum((_slope(a, axis) - _slope(b, axis)).abs().mean((1, 2, 3)) for axis in (-1, -2))
            total = total + (1.0 - ssim(a, b)) / 2 + gradients
        return total / SCALES


class LPIPSDistance(nn.Module):
    """LPIPS (n,) of pictures (n, 3, H, W) in 0..1."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.network(a * 2 - 1, b * 2 - 1)


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity (n,) of pictures (n, c, H, W) in 0..1, over windows of 7 pixels."""

    def mean(x):
        return F.avg_pool2d(x, SSIM_WINDOW, stride=1)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    cov = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    structure = (2 * cov + SSIM_C2) / (var_a + var_b + SSIM_C2)
    return (luminance * structure).mean((1, 2, 3))


def _slope(x: torch.Tensor, axis: int) -> torch.Tensor:
    return x.narrow(axis, 1, x.shape[axis] - 1) - x.narrow(axis, 0, x.shape[axis] - 1)


def build_perceptual(weights: str | Path | None) -> nn.Module:
    """The frozen distance of L_low: LPIPS (AlexNet) from the files that the evaluation reads, or the stand-in where
    `weights` is its name.

    A TorchScript file may hold any other distance, from two batches of pictures in -1..1 to (n,), as LPIPS has it.

    Raises
    ------
    ValueError : no file is given; it is missing or holds no LPIPS network.
    """
    from ...networks import local

    if weights is None:
        backbone, heads = local.NETWORKS["lpips"].files[0], local.LPIPS_HEADS[-1]
        raise ValueError(
            f"L_low compares by LPIPS: give loss.lpips the path of {backbone} with {heads} next to it (see "
            f"docs/training.md), or set loss.lpips={STAND_IN} to compare by {STOOD_FOR}, or loss.low=0"
        )
    if weights == STAND_IN:
        logger.warning("L_low: %s stand in for LPIPS", STOOD_FOR)
        return MultiScaleGradientSSIM()
    path = Path(weights)
    if not path.is_file():
        raise ValueError(f"{path} does not exist: loss.lpips is the path of LPIPS' weights, or {STAND_IN}")
    if local.is_torchscript(path):
        logger.info("L_low: the distance of %s", path)
        return LPIPSDistance(load_script(path, 2, "a distance (n,) of pictures a and b, each (n, 3, H, W)"))
    network, _ = local.load("lpips", path)
    logger.info("L_low: LPIPS from %s", path)
    return LPIPSDistance(network).requires_grad_(False).eval()
