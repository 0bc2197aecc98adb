"""Layers on the CPU by faster ways than torch's own, in float32 and without gradients.

Linear layers go to oneDNN, which torch uses for convolutions but not for them: with AVX-512 it is as fast as the
default where that is fast, and about twice as fast on processors for which the default library has no such code.
Convolutions of 3x3 become matrix products, see `cpu_convolution`. The numbers differ by rounding only.
"""

from contextlib import nullcontext
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from .cpu_convolution import convolve, is_worth_it


@lru_cache(maxsize=1)
def onednn_available() -> bool:
    """Whether this processor gains, and this torch has the function (it is not part of torch's public face)."""
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        torch.backends.mkldnn.is_available()
        and capability.startswith("AVX512")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class FastLayers(TorchFunctionMode):
    """Within this context, float32 layers on the CPU that need no gradient are computed by the faster ways."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (F.linear, F.conv2d) and not kwargs and not torch.is_grad_enabled():
            hidden, weight, bias, *settings = args if len(args) > 2 else (*args, None)
            tensors = (hidden, weight) if bias is None else (hidden, weight, bias)
            if all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors):
                if function is F.linear and onednn_available():
                    return torch.ops.mkldnn._linear_pointwise(hidden, weight, bias, "none", [], "")
                if function is F.conv2d and is_worth_it(hidden, weight, *settings):
                    return convolve(hidden, weight, bias)
        return function(*args, **(kwargs or {}))


def lay_out_weights(network: nn.Module) -> None:
    """Lay the weights of convolutions on the CPU out with their channels last, as pictures are there.

    Torch and `cpu_convolution` would otherwise do so in every call. What is being trained stays as it is.
    """
    for module in network.modules():
        weight = getattr(module, "weight", None) if isinstance(module, nn.Conv2d) else None
        if weight is not None and weight.device.type == "cpu" and not weight.requires_grad:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


# Outside of compiled graphs, but in sight of the compiler.
@torch.compiler.disable(recursive=False)
def fast_layers(device: torch.device):
    """A context manager for running a network on a device; it does nothing where nothing is to be gained."""
    # What is compiled gets its kernels from the compiler, which a mode would hinder. Torch before 2.6 does not tell
    # whether a compiler watches: the layers stay as they are there. All in this frame: others would be compiled.
    watcher = getattr(getattr(torch._C._dynamo, "eval_frame", None), "get_eval_frame_callback", None)
    watched = watcher is None or watcher() not in (None, False)
    return FastLayers() if device.type == "cpu" and not watched else nullcontext()
