"""The seam between the core and its host.

Layers are built from an `operations` namespace handed to every constructor (`TorchOperations`, or ComfyUI's
`comfy.ops`), all attention goes through `attention`, and free memory is asked for by `free_memory`: inside ComfyUI
the bridge replaces what they do. Long loops take a `progress(done, total)` callable, which may raise to cancel.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

Progress = Callable[[int, int], None]

FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)
"""What weights are only stored in."""


class TorchOperations:
    """Plain torch layers, for tests, training, evaluation and benchmarks."""

    Linear = nn.Linear
    Conv2d = nn.Conv2d
    GroupNorm = nn.GroupNorm
    LayerNorm = nn.LayerNorm


def torch_attention(q, k, v, heads, mask=None, transformer_options=None):
    """Scaled dot-product attention on (batch, tokens, heads * dim) tensors, same shape out."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


_attention = torch_attention


def set_attention(function: Callable) -> None:
    """Replace the attention backend: a function (q, k, v, heads, transformer_options=...) as `torch_attention`."""
    global _attention
    _attention = function


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, transformer_options: dict | None = None
) -> torch.Tensor:
    """Attention of q (batch, n, channels) over k and v (batch, m, channels) by the current backend."""
    return _attention(q, k, v, heads, transformer_options=transformer_options or {})


def torch_layer_weights(layer: nn.Module, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a layer as they are."""
    return layer.weight, layer.bias


_layer_weights = torch_layer_weights


def set_layer_weights(function: Callable) -> None:
    """Let the host of the core say how a layer's weights are read: a function as `torch_layer_weights`."""
    global _layer_weights
    _layer_weights = function


def layer_weights(layer: nn.Module, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a layer, on the device and in the dtype of what it is run on."""
    return _layer_weights(layer, like)


FreeMemory = Callable[[torch.device], int | None]
Release = Callable[[], None]


def torch_free_memory(device: torch.device) -> int | None:
    """Bytes that a device has left, or None where torch cannot tell; what torch caches is left too."""
    if device.type != "cuda":
        return None
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + cached


def torch_release() -> None:
    """Give cached blocks back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


_free_memory: FreeMemory = torch_free_memory
_release: Release = torch_release


def set_memory_hooks(free_memory: FreeMemory, release: Release) -> None:
    """Let the host of the core (ComfyUI) say how much memory a device has left, and give back what it caches."""
    global _free_memory, _release
    _free_memory, _release = free_memory, release


def free_memory(device: torch.device) -> int | None:
    return _free_memory(device)


def release_memory() -> None:
    """Have cached blocks given back to the device."""
    _release()


OUT_OF_MEMORY = (
    "out of memory",  # CUDA, ROCm, MPS
    "can't allocate memory",  # Processors
    "out_of_device_memory",  # Level Zero, Intel
    "status_alloc_failed",  # CuBLAS and cuDNN, for their own scratch memory
    "not enough gpu video memory",  # DirectML
)


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether memory has run out, of the machine or of a device; each kind of device says so in its own way."""
    if isinstance(problem, (MemoryError, getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError))):
        return True
    said = str(problem).lower()
    return isinstance(problem, RuntimeError) and any(words in said for words in OUT_OF_MEMORY)
