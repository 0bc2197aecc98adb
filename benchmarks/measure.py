"""Clocks, memory gauges and the machine's own rate of matrix products."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from echomimic_core.models.cpu_linear import fast_linear

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    device: torch.device
    dtype: torch.dtype

    def wait(self) -> None:
        """Until the device has done all it was asked to."""
        if self.device.type in ("cuda", "mps", "xpu"):
            getattr(torch, self.device.type).synchronize()

    def reset_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def held_bytes(self) -> int:
        """Memory of the device in use now; 0 where the device does not say."""
        return torch.cuda.memory_allocated() if self.device.type == "cuda" else 0

    def peak_gib(self, besides: int = 0) -> float | None:
        """Most memory of the device in use since `reset_peak`, without so many bytes; None where it does not say."""
        return (torch.cuda.max_memory_allocated() - besides) / GIB if self.device.type == "cuda" else None


def describe(machine: Machine) -> str:
    if machine.device.type == "cuda":
        name = torch.cuda.get_device_name(machine.device)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        name = f"{platform.machine()}, {cores} cores"
    return f"{name}, {str(machine.dtype).removeprefix('torch.')}, torch {torch.__version__}"


@dataclass(frozen=True)
class Timing:
    seconds: float
    cpu_seconds: float


def best_time(function: Callable[[], object], machine: Machine, repeat: int, warm: bool = True) -> Timing:
    """Least wall and processor time of a call; the processor's is fair on a shared machine."""
    if warm:
        function()
        machine.wait()
    timings = []
    for _ in range(repeat):
        wall, processor = time.perf_counter(), time.process_time()
        function()
        machine.wait()
        timings.append(Timing(time.perf_counter() - wall, time.process_time() - processor))
    return Timing(min(t.seconds for t in timings), min(t.cpu_seconds for t in timings))


def matrix_rate(machine: Machine) -> float:
    """Floating-point operations a second in a large matrix product of this dtype, the best of a few."""
    side = 2048 if machine.device.type == "cpu" else 8192
    a = torch.randn(side, side, device=machine.device, dtype=machine.dtype)
    b = torch.randn(side, side, device=machine.device, dtype=machine.dtype)
    times = 1 if machine.device.type == "cpu" else 20

    def multiply() -> None:
        for _ in range(times):
            torch.nn.functional.linear(a, b)

    with torch.no_grad(), fast_linear(machine.device):
        return times * 2 * side**3 / best_time(multiply, machine, 5).seconds


def process_peak_bytes() -> int | None:
    """Most memory this process ever had resident (Linux)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def psnr(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the range of the exact values."""
    error = (ours.cpu().double() - exact.cpu().double()).square().mean().sqrt().item()
    span = (exact.max() - exact.min()).item()
    return float("inf") if error == 0 else 20 * torch.log10(torch.tensor(span / error)).item()
