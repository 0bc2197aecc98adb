"""Weights that stay in main memory and visit the device layer by layer, as ComfyUI's `--lowvram` has them."""

from functools import partial

import torch
from torch import nn

GUIDED, UNGUIDED, STREAMED = "guided", "without guidance", "weights in main memory"


def stream_weights(network: nn.Module, device: torch.device) -> None:
    """Move every layer's weights to main memory, whence they come to `device` only while the layer computes."""
    for layer in network.modules():
        homes = {name: frozen(weight.data.cpu()) for name, weight in layer.named_parameters(recurse=False)}
        if homes:
            leave(homes, layer)
            layer.register_forward_pre_hook(partial(visit, homes, device))
            layer.register_forward_hook(partial(leave, homes))


def frozen(weight: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def visit(homes: dict[str, nn.Parameter], device: torch.device, layer: nn.Module, *_) -> None:
    for name, weight in homes.items():
        setattr(layer, name, frozen(weight.data.to(device)))


def leave(homes: dict[str, nn.Parameter], layer: nn.Module, *_) -> None:
    for name, weight in homes.items():
        setattr(layer, name, weight)
