"""Matrix products on the CPU by oneDNN, which torch uses for convolutions but not for float32 linear layers.

With AVX-512 it is as fast as the default where that is fast, and about twice as fast on processors for which the
default library has no such code. The numbers differ by rounding only.
"""

from contextlib import nullcontext
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether this processor gains, and this torch has the function (it is not part of torch's public face)."""
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        torch.backends.mkldnn.is_available()
        and capability.startswith("AVX512")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class OneDNNLinear(TorchFunctionMode):
    """Within this context, float32 linear layers on the CPU that need no gradient are computed by oneDNN."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.linear and not kwargs and not torch.is_grad_enabled():
            hidden, weight, bias = (*args, None)[:3]
            tensors = (hidden, weight) if bias is None else (hidden, weight, bias)
            if all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors):
                return torch.ops.mkldnn._linear_pointwise(hidden, weight, bias, "none", [], "")
        return function(*args, **(kwargs or {}))


# Outside of compiled graphs, but in sight of the compiler.
@torch.compiler.disable(recursive=False)
def fast_linear(device: torch.device):
    """A context manager for running a network on a device; it does nothing where nothing is to be gained."""
    # What is compiled gets its kernels from the compiler, which a mode would hinder. Torch before 2.6 does not tell
    # whether a compiler watches: the layers stay as they are there. All in this frame: others would be compiled.
    watcher = getattr(getattr(torch._C._dynamo, "eval_frame", None), "get_eval_frame_callback", None)
    watched = watcher is None or watcher() not in (None, False)
    return OneDNNLinear() if device.type == "cpu" and not watched and available() else nullcontext()
