"""float8 weights as ComfyUI runs them: cast for every use, or multiplied as they are (`--fast fp8_matrix_mult`)."""

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from echomimic_core.config import CONTEXT_FRAMES

from .measure import Machine, best_time, psnr
from .shapes import window_pair

FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max
OLDEST_WITH_PRODUCTS = (8, 9)  # Compute capability


class CastLinear(nn.Linear):
    """A linear layer whose weight is kept in float8 and cast to the input's dtype for every use."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight.to(x.dtype), self.bias)


class ProductLinear(CastLinear):
    """A linear layer that multiplies in float8, its input clamped to what float8 can hold."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).clamp(-LARGEST, LARGEST).to(FLOAT8)
        one = torch.ones((), device=x.device)
        bias = self.bias if self.bias is None else self.bias.to(x.dtype)
        out = torch._scaled_mm(rows, self.weight.t(), scale_a=one, scale_b=one, bias=bias, out_dtype=x.dtype)
        return out.unflatten(0, x.shape[:-1])


class CastConv2d(nn.Conv2d):
    """A convolution whose weight is kept in float8 and cast to the input's dtype for every use."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight.to(x.dtype), self.bias)


def in_float8(network: nn.Module, products: bool = False) -> nn.Module:
    """A copy of a network whose matrices are float8; `products` multiplies them as they are."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if type(module) in (nn.Linear, nn.Conv2d):
            linear = isinstance(module, nn.Linear)
            module.__class__ = (ProductLinear if products else CastLinear) if linear else CastConv2d
            module.weight.data = module.weight.data.clamp(-LARGEST, LARGEST).to(FLOAT8)
    # Asked by the network for its dtype; it takes no part in a matrix product worth speaking of
    network.conv_in.__class__ = nn.Conv2d
    network.conv_in.weight.data = network.conv_in.weight.data.to(network.conv_in.bias.dtype)
    return network


def multiplies_float8(machine: Machine) -> bool:
    if machine.device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(machine.device) >= OLDEST_WITH_PRODUCTS


def float8_rows(settings, rate: float) -> Iterator[dict]:
    """A guided window with float8 weights, by time and by the distance of its velocity from the exact."""
    machine, pixels = settings.machine, max(settings.pixels)
    unet = settings.denoiser.denoising_unet

    def window(network: nn.Module):
        torch.manual_seed(3)
        return window_pair(network, pixels, CONTEXT_FRAMES)[0]

    exact = window(unet)
    before, velocity = best_time(exact, machine, settings.repeat).seconds, exact()
    ways = {"cast for every use": False} | ({"multiplied as they are": True} if multiplies_float8(machine) else {})
    for name, products in ways.items():
        held = machine.held_bytes()  # The exact network and all that belongs to it
        changed = window(in_float8(unet, products))
        machine.reset_peak()
        seconds = best_time(changed, machine, settings.repeat).seconds
        yield {
            "name": f"float8 weights {name}, {pixels}x{pixels}",
            "seconds": seconds,
            "speedup": before / seconds,
            "psnr_latents": psnr(changed(), velocity),
            "peak_gib": machine.peak_gib(besides=held),
        }
        del changed
    if not multiplies_float8(machine):
        yield {"name": "float8 weights multiplied as they are", "note": "this device has no float8 products"}
