"""Soft Canny edges: the steps of the Canny detector, each made smooth so that a loss on them has a gradient."""

import torch
import torch.nn.functional as F

GREY = (0.299, 0.587, 0.114)
# Canny's usual settings, for grey values in 0..1 (OpenCV's 100 and 200 of 255, gradients being four times a slope).
BLUR_SIGMA = 1.4
BLUR_RADIUS = 2
LOW_THRESHOLD = 100 / 255
HIGH_THRESHOLD = 200 / 255
# How sharply a gradient passes a threshold, and by how much, of itself, it must exceed its neighbours.
THRESHOLD_WIDTH = 0.08
THINNING_WIDTH = 0.05


def soft_canny(pictures: torch.Tensor) -> torch.Tensor:
    """Edge strength (n, 1, H, W) in 0..1 of pictures (n, 3, H, W) in 0..1, differentiable everywhere.

    Blur, Sobel gradient, thinning to ridges across the gradient, and a soft double threshold: weak edges count where
    a strong one is within two pixels. It is float32 also inside autocast: bfloat16 cannot count above 256, so places
    in a larger picture would miss their pixels.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        return _edges(pictures.float())


def _edges(pictures: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(GREY, device=pictures.device)
    grey = _blur((pictures * weights[:, None, None]).sum(1, keepdim=True))
    gx, gy = _sobel(grey)
    # The constant keeps the root's slope finite where the picture is flat
    magnitude = (gx.square() + gy.square() + 1e-8).sqrt()
    ridge = _thin(magnitude, gx, gy)
    weak = torch.sigmoid((magnitude - LOW_THRESHOLD) / THRESHOLD_WIDTH)
    strong = torch.sigmoid((magnitude - HIGH_THRESHOLD) / THRESHOLD_WIDTH) * ridge
    near_strong = F.max_pool2d(strong, 5, stride=1, padding=2)
    return ridge * weak * (strong + (1.0 - strong) * near_strong)


def _blur(grey: torch.Tensor) -> torch.Tensor:
    x = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=grey.device, dtype=grey.dtype)
    kernel = torch.exp(-x.square() / (2 * BLUR_SIGMA**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(grey, (BLUR_RADIUS,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])


def _sobel(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=grey.device, dtype=grey.dtype)
    kernels = torch.stack([kernel, kernel.T])[:, None]
    return F.conv2d(F.pad(grey, (1,) * 4, mode="replicate"), kernels).split(1, dim=1)


def _thin(magnitude: torch.Tensor, gx: torch.Tensor, gy: torch.Tensor) -> torch.Tensor:
    """Near 1 where the gradient is the largest along its own direction, near 0 next to such a ridge."""
    height, width = magnitude.shape[-2:]
    direction = torch.cat([gx, gy], dim=1).detach()
    direction = direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-6)
    ys = torch.arange(height, device=magnitude.device, dtype=magnitude.dtype)
    xs = torch.arange(width, device=magnitude.device, dtype=magnitude.dtype)
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1)
    size = torch.tensor([width, height], device=magnitude.device, dtype=magnitude.dtype)
    ridge = torch.ones_like(magnitude)
    for side in (1.0, -1.0):
        places = grid + side * direction.permute(0, 2, 3, 1)
        neighbour = F.grid_sample(
            magnitude, (places + 0.5) / size * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False
        )
        excess = (magnitude - neighbour) / (magnitude + neighbour)
        ridge = ridge * torch.sigmoid(excess / THINNING_WIDTH)
    # On a ridge both sides fall off and each factor is near 1; on a flat slope each is one half
    return ridge
