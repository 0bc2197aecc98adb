"""What can be counted without running, on the meta device: floating-point operations, and bytes that live or move."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


def run_as_devices(function, args: tuple, kwargs: dict | None):
    """What an operation makes; of pictures whose channels come last, convolutions make such, as on real devices."""
    out = function(*args, **(kwargs or {}))
    last = function.overloadpacket.__name__ == "convolution" and channels_last(args[0])
    return out.contiguous(memory_format=torch.channels_last) if last else out


def channels_last(x: torch.Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class LiveBytes(TorchDispatchMode):
    """Follow the storages that operations make, and the most bytes of them that lived at one moment."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = run_as_devices(function, args, kwargs)
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


class Traffic(TorchDispatchMode):
    """Bytes that operations bound by memory read and write, and what they do only because of how tensors lie.

    Attributes
    ----------
    bytes : by kind of operation; products, convolutions and attention are left out, and views move nothing.
    mixed_adds : additions of two tensors of one shape that lie in memory in different orders.
    copying_norms : layer norms whose input is not contiguous, which is copied before.
    chunk_copies : bytes read and written to bring a piece to its place in a larger tensor.
    """

    COMPUTED = ("convolution", "mm", "attention", "empty", "_unsafe_view")

    def __init__(self):
        super().__init__()
        self.bytes: Counter[str] = Counter()
        self.mixed_adds = self.copying_norms = self.chunk_copies = 0

    @property
    def total(self) -> int:
        return sum(self.bytes.values())

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = run_as_devices(function, args, kwargs)
        name = function.overloadpacket.__name__
        if not function.is_view and not any(part in name for part in self.COMPUTED):
            given = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
            made = [x for x in tree_iter(out) if isinstance(x, torch.Tensor)]
            if function.namespace == "echomimic":  # Torch's own return what they change
                schema = zip(function._schema.arguments, args, strict=False)
                made += [x for argument, x in schema if argument.alias_info is not None]
            self.count(name, given, made)
        return out

    def count(self, name: str, given: list[torch.Tensor], made: list[torch.Tensor]) -> None:
        if name == "copy_":
            given = given[1:]  # What is overwritten is not read
            self.chunk_copies += sum(x.nbytes for x in (*given, *made))
        elif name in ("add", "add_"):
            self.mixed_adds += lie_differently(given)
        elif name == "native_layer_norm" and not given[0].is_contiguous():
            self.copying_norms += 1
            self.bytes["copies in layer norms"] += 2 * given[0].nbytes
        elif name == "native_group_norm":
            self.bytes[name] += given[0].nbytes  # Read a second time, with the statistics
        self.bytes[name] += sum(x.nbytes for x in (*given, *made))


def lie_differently(tensors: list[torch.Tensor]) -> bool:
    """Whether two tensors of one shape have their neighbours in memory along different dimensions: one is read across.

    Sides of length 1 lie anyhow.
    """
    if len(tensors) < 2 or tensors[0].shape != tensors[1].shape:
        return False
    one, other = (min((x.stride(dim), dim) for dim in range(x.ndim) if x.shape[dim] > 1) for x in tensors[:2])
    return one[1] != other[1]


def fused_attention(q, k, v, heads, mask=None, transformer_options=None):
    """Stand-in for a fused kernel, which keeps no attention matrix: the memory of attention without its work."""
    return torch.empty_like(q)


@contextmanager
def without_attention() -> Iterator[None]:
    before = runtime._attention
    runtime.set_attention(fused_attention)
    try:
        with torch.no_grad():
            yield
    finally:
        runtime.set_attention(before)


def peak_live_bytes(function: Callable[[], object]) -> int:
    """Most bytes of tensors alive at once that a call on the meta device makes, its result counted."""
    with without_attention(), LiveBytes() as live:
        function()
    return live.peak


def traffic(function: Callable[[], object]) -> Traffic:
    """What a call on the meta device moves."""
    with without_attention(), Traffic() as moved:
        function()
    return moved
