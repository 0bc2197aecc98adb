"""What is worth it on a card, found by trying: each way runs beside plain torch, for equality and for time.

Ways are the memory layout of pictures, and kernels in the place of the steps of `fused`. A trial costs a few
milliseconds, and where kernels are asked for, the seconds in which Triton compiles them.
"""

import importlib.util
import logging
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn

from . import fused
from .motion import frame_positions

CHANNELS_LAST = "channels_last"
TOLERANCE = 1e-3
"""How far a way may be from plain torch in float16, as a part of the largest value."""

_GAIN = 0.97
_ROUNDS = 7
# The largest maps of a window at 512x512
_FRAMES, _CELLS, _CHANNELS, _HEADS, _GROUPS = 12, 64, 320, 8, 32

_layout: ContextVar[str | None] = ContextVar("layout", default=None)


@dataclass(frozen=True)
class Case:
    """Plain torch, a way that may take its place, and what they are given and may write into."""

    plain: Callable[..., torch.Tensor]
    way: Callable[..., torch.Tensor]
    given: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Outcome:
    """How a way compares with plain torch: the largest difference, as a part of the largest value, and the time."""

    difference: float
    time: float

    @property
    def helps(self) -> bool:
        return self.difference <= TOLERANCE and self.time < _GAIN


def helpful_ways(device: torch.device, dtype: torch.dtype, kernels: bool) -> tuple[str, ...]:
    """Names of the ways that are equal and faster on a device, kernels only if they are wanted; tried once a process.

    Nothing is tried off CUDA: a processor's layout is known, and Triton's kernels are for these cards.
    """
    if device.type != "cuda":
        return ()
    return tuple(name for name, outcome in try_all(device, dtype, kernels).items() if outcome.helps)


@cache
def try_all(device: torch.device, dtype: torch.dtype, kernels: bool) -> dict[str, Outcome]:
    """The outcome of every trial that could be made on a device, by name."""
    outcomes = {}
    for name, case in cases(device, dtype, kernels).items():
        try:
            with torch.inference_mode():
                outcomes[name] = compare(case(), partial(_seconds, device))
        # Whatever a compiler or a card says to it: the clip is made without
        except Exception as error:
            logging.info("EchoMimicV2: %s is not used on %s: %s", name, device, error)
    logging.info("EchoMimicV2: tried on %s in %s: %s", device, dtype, outcomes)
    return outcomes


def compare(case: Case, seconds: Callable[[Callable[[], object]], float]) -> Outcome:
    """Run both sides on the same numbers, then time them in turns; `seconds` times one call."""
    wanted, got = (side(*(x.clone() for x in case.given)).float() for side in (case.plain, case.way))
    times = [[seconds(partial(side, *case.given)) for side in (case.plain, case.way)] for _ in range(_ROUNDS)]
    plain, way = (statistics.median(column) for column in zip(*times, strict=True))
    return Outcome(float((got - wanted).abs().max() / wanted.abs().max()), way / plain)


def _seconds(device: torch.device, call: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.cuda.device(device):
        begin.record()
        call()
        end.record()
        end.synchronize()
    return begin.elapsed_time(end)


def cases(device: torch.device, dtype: torch.dtype, kernels: bool) -> dict[str, Callable[[], Case]]:
    """What makes each case, by the name of the way."""
    made = {CHANNELS_LAST: partial(_layout_case, device, dtype)}
    if kernels and importlib.util.find_spec("triton"):
        made |= {name: partial(case, device, dtype) for name, case in _KERNEL_CASES.items()}
    return made


def _random(device: torch.device, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randn(shape, device=device, dtype=dtype)


def _layout_case(device: torch.device, dtype: torch.dtype) -> Case:
    first = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, device=device, dtype=dtype)
    last = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, device=device, dtype=dtype)
    last.load_state_dict(first.state_dict())
    last.to(memory_format=torch.channels_last)
    given = _random(device, dtype, _FRAMES, _CHANNELS, _CELLS, _CELLS)
    laid_out = given.contiguous(memory_format=torch.channels_last)
    return Case(lambda _: first(given), lambda _: last(laid_out), (given[:1],))


def _geglu_case(device: torch.device, dtype: torch.dtype) -> Case:
    return _fused_case("geglu", fused.geglu, _random(device, dtype, _FRAMES, _CELLS**2, 8 * _CHANNELS))


def _group_norm_case(device: torch.device, dtype: torch.dtype) -> Case:
    norm = nn.GroupNorm(_GROUPS, _CHANNELS, device=device, dtype=dtype)
    hidden = _random(device, dtype, _FRAMES, _CHANNELS, _CELLS, _CELLS).contiguous(memory_format=torch.channels_last)
    return _fused_case("group_norm", partial(fused.group_norm, norm, silu=True), hidden)


def _add_norm_case(device: torch.device, dtype: torch.dtype) -> Case:
    norm = nn.LayerNorm(_CHANNELS, device=device, dtype=dtype)
    hidden = _random(device, dtype, _CELLS**2, _FRAMES, _CHANNELS)
    more, positions = torch.zeros_like(hidden), frame_positions(_FRAMES, hidden)
    return _fused_case("add_norm", lambda x: fused.add_norm(norm, x, more, positions=positions)[1], hidden)


def _frames_case(device: torch.device, dtype: torch.dtype) -> Case:
    tokens = [_random(device, dtype, _CELLS**2, _FRAMES, _CHANNELS) for _ in range(3)]

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return fused.attend_over_frames(q, (k, v), _HEADS, {})

    return _fused_case("attend_over_frames", attend, *tokens)


_KERNEL_CASES = {
    "geglu": _geglu_case,
    "group_norm": _group_norm_case,
    "add_norm": _add_norm_case,
    "attend_over_frames": _frames_case,
}


# The steps of `fused` that a kernel takes
_STEPS = {**{name: (name,) for name in _KERNEL_CASES}, "add_norm": ("add_norm", "layer_norm")}


def _fused_case(name: str, step: Callable[..., torch.Tensor], *given: torch.Tensor) -> Case:
    def way(*tensors: torch.Tensor) -> torch.Tensor:
        with ways_in_use((name,)):
            return step(*tensors)

    return Case(step, way, given)


@contextmanager
def ways_in_use(names: tuple[str, ...]) -> Iterator[None]:
    """Take these ways, and no others, in what is run inside."""
    wanted = [step for name in names for step in _STEPS.get(name, ())]
    with ExitStack() as stack:
        if wanted:
            from . import kernels

            stack.enter_context(fused.with_kernels({name: getattr(kernels, name) for name in wanted}))
        token = _layout.set(CHANNELS_LAST if CHANNELS_LAST in names else None)
        stack.callback(_layout.reset, token)
        yield


def are_channels_last(device: torch.device) -> bool:
    """Whether the channels of pictures come last in memory here: on the processor, and where that is in use."""
    return device.type == "cpu" or _layout.get() == CHANNELS_LAST
