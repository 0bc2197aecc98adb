"""Steps between the matrix products, which cost memory traffic and hardly any arithmetic: one function each.

Each is plain torch, which without gradients writes into tensors that nobody else needs, or one of `kernels` where that
is in use. On the meta device each is one operator, so that the traffic is counted as a kernel would cause it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from ..runtime import attention, layer_weights

_kernels: ContextVar[Mapping[str, Callable]] = ContextVar("kernels", default={})  # noqa: B039 (never written into)


@contextmanager
def with_kernels(functions: Mapping[str, Callable]) -> Iterator[None]:
    """Use these functions of `kernels`, by name, in what is run inside, wherever tensors lie in memory as they need."""
    token = _kernels.set(functions)
    try:
        yield
    finally:
        _kernels.reset(token)


def _kernel(name: str, hidden: torch.Tensor) -> Callable | None:
    """The kernel that is in use for a step, if `hidden` lies in memory as it needs: channels last, without gaps."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return None
    layout = torch.channels_last if hidden.ndim == 4 else torch.contiguous_format
    return _kernels.get().get(name) if hidden.is_contiguous(memory_format=layout) else None


def as_one(name: str, shape_of: Callable, changes: tuple[str, ...] = ()) -> Callable:
    """Let a function of tensors be its kernel where one is in use, or an operator `echomimic::name` once it is counted:
    torch knows one of that name only, and this module may be there twice, in a pack and installed.

    shape_of : of its arguments, makes a tensor like its result. changes : names of the arguments it writes into.
    """

    def made(function: Callable) -> Callable:
        @cache
        def operator() -> Callable:
            made = torch.library.custom_op(f"echomimic::{name}", function, mutates_args=changes)
            made.register_fake(shape_of)
            return made

        def choose(*args):
            if _in_the_open(args[0]):
                return (_kernel(name, args[0]) or function)(*args)
            return operator()(*args)

        return choose

    return made


def _in_the_open(hidden: torch.Tensor) -> bool:
    """Whether the numbers are wanted: everywhere but where traffic is counted."""
    return torch.is_grad_enabled() or torch.compiler.is_compiling() or hidden.device.type != "meta"


def as_tokens(pictures: torch.Tensor) -> torch.Tensor:
    """Tokens (n, height * width, c), contiguous, of pictures (n, c, height, width): a view where channels come last."""
    return pictures.contiguous(memory_format=torch.channels_last).flatten(2).transpose(1, 2)


def as_picture(tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The reverse, a view; its channels come last in memory."""
    return tokens.transpose(1, 2).unflatten(2, size)


def add(hidden: torch.Tensor, more: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """hidden + scale * more; without gradients into `hidden`, which must be nobody else's."""
    if torch.is_grad_enabled():
        return torch.add(hidden, more, alpha=scale)
    return hidden.add_(more, alpha=scale)


def add_into(out: torch.Tensor | None, hidden: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
    """hidden + more as `add` does it, or into a tensor that is given."""
    if out is None:
        return add(hidden, more)
    # A compiler makes one pass of both, and knows no results that lie apart
    return out.copy_(hidden + more) if torch.compiler.is_compiling() else torch.add(hidden, more, out=out)


@as_one("geglu", lambda projected: projected.new_empty(*projected.shape[:-1], projected.shape[-1] // 2))
def geglu(projected: torch.Tensor) -> torch.Tensor:
    """The first half of the channels times GELU of the second."""
    hidden, gate = projected.chunk(2, dim=-1)
    gate = F.gelu(gate)
    return hidden * gate if torch.is_grad_enabled() else gate.mul_(hidden)


@as_one("group_norm", lambda hidden, groups, weight, bias, eps, silu: torch.empty_like(hidden))
def _group_norm(
    hidden: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor, eps: float, silu: bool
) -> torch.Tensor:
    normed = F.group_norm(hidden, groups, weight, bias, eps)
    if silu:
        normed = F.silu(normed, inplace=not torch.is_grad_enabled())
    last = hidden.is_contiguous(memory_format=torch.channels_last)
    return normed.contiguous(memory_format=torch.channels_last) if last else normed


def group_norm(norm: nn.GroupNorm, hidden: torch.Tensor, silu: bool = False) -> torch.Tensor:
    """Group norm of (n, c, height, width), then SiLU if wanted; in memory as `hidden` is."""
    return _group_norm(hidden, norm.num_groups, *layer_weights(norm, hidden), norm.eps, silu)


def attend_over_frames(
    q: torch.Tensor, keys_values: tuple[torch.Tensor, torch.Tensor], heads: int, transformer_options: dict
) -> torch.Tensor:
    """Attention over the frames of each pixel by the current backend: all of (pixels, frames, c)."""
    if kernel := _kernel("attend_over_frames", q):
        return kernel(q, *keys_values, heads)
    return attention(q, *keys_values, heads, transformer_options)


@as_one("layer_norm", lambda hidden, weight, bias, eps, positions: torch.empty_like(hidden))
def _layer_norm(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, positions: torch.Tensor
) -> torch.Tensor:
    return add(F.layer_norm(hidden, weight.shape, weight, bias, eps), positions)


@as_one("add_norm", lambda hidden, more, scale, *rest: torch.empty_like(hidden), changes=("hidden",))
def _add_norm(
    hidden: torch.Tensor,
    more: torch.Tensor,
    scale: float,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float,
    positions: torch.Tensor | None,
) -> torch.Tensor:
    normed = F.layer_norm(hidden.add_(more, alpha=scale), weight.shape, weight, bias, eps)
    return normed if positions is None else normed.add_(positions)


def layer_norm(norm: nn.LayerNorm, hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Layer norm of tokens (n, frames, c), to which `positions` (frames, c) are added."""
    return _layer_norm(hidden, *layer_weights(norm, hidden), norm.eps, positions)


def add_norm(
    norm: nn.LayerNorm,
    hidden: torch.Tensor,
    more: torch.Tensor,
    scale: float = 1.0,
    positions: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(the sum as `add` makes it, its layer norm, to which positions are added if they are given)."""
    if _in_the_open(hidden) and _kernel("add_norm", hidden) is None:
        hidden = add(hidden, more, scale)
        return hidden, norm(hidden) if positions is None else layer_norm(norm, hidden, positions)
    more = more.expand_as(hidden)
    return hidden, _add_norm(hidden, more, scale, *layer_weights(norm, hidden), norm.eps, positions)
