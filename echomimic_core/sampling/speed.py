"""Shortcuts that change the numbers: all off by default, each with its price measured by `python -m benchmarks`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..apdh.steering import phase_of
from ..choices import SPEED_PRESETS, TUNINGS
from ..models.context import KeysValues
from ..models.trial import helpful_ways

DEEP_FEATURE_BYTES = 2**30
"""Deep features kept on the device; those of longer clips wait in main memory."""


@dataclass(frozen=True)
class SpeedOptions:
    """Shortcuts of a sampling run; the defaults take none.

    Attributes
    ----------
    guidance_phases : whether there is guidance in the first 10 %, the middle 60 % and the last 30 % of denoising, the
        phases of the PhD loss (EchoMimicV2, §3.4). A phase without it costs little more than half.
    reuse_steps : every so many steps the whole network runs; in between, its deep features are taken from the last
        whole run and only the outermost layers are new. 1 reuses nothing.
    merge_reference : tokens of the reference's largest maps merged in squares of this side; 1 merges none.
    most_overlap : neighbouring windows share no more frames than this; None leaves that to the sampler.
    kernels : also try Triton's kernels, which take some seconds to compile, and use those that are equal and faster.
    ways : what of `models.trial` is in use; None is what helps on the device, () is nothing.
    """

    guidance_phases: tuple[bool, bool, bool] = (True, True, True)
    reuse_steps: int = 1
    merge_reference: int = 1
    most_overlap: int | None = None
    kernels: bool = False
    ways: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.reuse_steps < 1 or self.merge_reference < 1:
            raise ValueError(
                f"reuse_steps is {self.reuse_steps} and merge_reference {self.merge_reference}, but both must be "
                "at least 1, which is off"
            )

    def guided_at(self, timestep: float) -> bool:
        return self.guidance_phases[phase_of(timestep)]

    def window_step(self, step: int) -> int:
        """The step whose windows are used: those of the last whole run, for deep features belong to windows."""
        return step - step % self.reuse_steps

    def ways_on(self, device: torch.device, dtype: torch.dtype) -> tuple[str, ...]:
        """What of `models.trial` is in use on a device."""
        return helpful_ways(device, dtype, self.kernels) if self.ways is None else self.ways

    def overlap(self, wanted: int) -> int:
        """Frames that neighbouring windows share, where the sampler wants so many."""
        return wanted if self.most_overlap is None else min(wanted, self.most_overlap)


EXACT = SpeedOptions()
_FAST = SpeedOptions((True, True, False), reuse_steps=2)
_FASTEST = SpeedOptions((False, True, False), reuse_steps=3, merge_reference=2, most_overlap=0)
PRESETS = dict(zip(SPEED_PRESETS, (EXACT, _FAST, _FASTEST), strict=True))
"""Shortcuts that go well together, by name; docs/speed.md has the price of each."""

TUNING = dict(zip(TUNINGS, ({}, {"kernels": True}, {"ways": ()}), strict=True))
"""What is tried on a card, by name, as fields of `SpeedOptions`."""


class DeepFeatures:
    """Deep features of every batch of windows, from one step to the next.

    `fresh` says that this step runs the whole network.
    """

    def __init__(self, budget: int = DEEP_FEATURE_BYTES):
        self.budget = budget
        self.fresh = True
        self.bytes = 0
        self._kept: dict[tuple, torch.Tensor] = {}

    @torch.compiler.disable
    def get(self, half: str, frames: list[int], like: torch.Tensor) -> torch.Tensor | None:
        if self.fresh:
            return None
        kept = self._kept.get((half, *frames))
        return None if kept is None else kept.to(like.device, non_blocking=True)

    @torch.compiler.disable
    def put(self, half: str, frames: list[int], deep: torch.Tensor) -> None:
        if not self.fresh:
            return
        if deep.device.type != "cpu":
            if self.bytes + deep.nbytes > self.budget:
                deep = deep.cpu()
            else:
                self.bytes += deep.nbytes
        self._kept[(half, *frames)] = deep

    def leave_device(self) -> None:
        """Wait in main memory from now on: the device is short of its own."""
        self.budget = self.bytes = 0
        self._kept = {key: deep.cpu() for key, deep in self._kept.items()}

    def start_step(self, fresh: bool) -> None:
        """Begin a step that runs the whole network (`fresh`) or continues with what the last such step left."""
        self.fresh = fresh
        if fresh:
            self._kept.clear()
            self.bytes = 0


def merge_tokens(projected: list[KeysValues], height: int, width: int, side: int) -> list[KeysValues]:
    """Average keys and values of the largest maps, those of (height, width), over squares of `side` tokens.

    Other maps stay as they are. Attention must weight each merged token by the number of tokens it replaces.
    """
    if side == 1:
        return projected

    def merge(x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] != height * width:
            return x
        grid = x.transpose(1, 2).unflatten(2, (height, width))
        return F.avg_pool2d(grid, side, ceil_mode=True, count_include_pad=False).flatten(2).transpose(1, 2)

    return [(merge(k), merge(v)) for k, v in projected]
