"""What can be counted without running: floating-point operations, and bytes of live tensors, on the meta device."""

import weakref
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode

from echomimic_core import runtime


def count_flops(function: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention in a call on any device."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


class LiveBytes(TorchDispatchMode):
    """Follow the storages that operations make, and the most bytes of them that lived at one moment."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        given = {x.untyped_storage()._cdata for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)}
        for x in tree_iter(out):
            if isinstance(x, torch.Tensor):
                self.follow(x.untyped_storage(), given)
        return out

    def follow(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or key in given:
            return
        self.known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self.release, key, size)

    def release(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def fused_attention(q, k, v, heads, mask=None, transformer_options=None):
    """Stand-in for a fused kernel, which keeps no attention matrix: the memory of attention without its work."""
    return torch.empty_like(q)


def peak_live_bytes(function: Callable[[], object]) -> int:
    """Most bytes of tensors alive at once that a call on the meta device makes, its result counted."""
    before = runtime._attention
    runtime.set_attention(fused_attention)
    try:
        with torch.no_grad(), LiveBytes() as live:
            function()
    finally:
        runtime.set_attention(before)
    return live.peak
