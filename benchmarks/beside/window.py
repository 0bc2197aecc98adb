"""The window that both sides compute, and how a side answers; the original's Python imports it too."""

import json
import math
import resource
import sys
import time
import zlib
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.beside.kernels import seconds_by_kind
from benchmarks.shapes import block_levels
from echomimic_core.config import AUDIO_DIM, AUDIO_TOKENS, CONTEXT_FRAMES, LATENT_CHANNELS, PIXELS_PER_LATENT, RELEASED

TIMESTEP, GUIDANCE = 500, 2.5


def fill(network: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """Seeded weights by the parameters' names, so that both sides have the same; position tables stay as they are."""
    for name, parameter in network.named_parameters():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        if name.endswith(".bias"):
            low, high = -0.09, 0.09
        elif parameter.ndim == 1:
            low, high = 0.83, 1.17
        else:
            high = math.sqrt(3 / math.prod(parameter.shape[1:]))
            low = -high
        parameter.data = torch.empty(parameter.shape).uniform_(low, high, generator=generator).to(device, dtype)
    return network.to(device, dtype).eval().requires_grad_(False)


def block_names() -> list[str]:
    """The 16 transformer blocks that read the reference, in the order down, middle, up."""
    down = [f"down_blocks.{level}.attentions.{index}" for level in range(3) for index in range(2)]
    up = [f"up_blocks.{level}.attentions.{index}" for level in (1, 2, 3) for index in range(3)]
    return [f"{name}.transformer_blocks.0" for name in (*down, "mid_block.attentions.0", *up)]


def inputs(pixels: int, device: str, dtype: torch.dtype) -> dict:
    """latents (12, 4, h, w), pose features (12, 320, h, w), audio (12, 50, 384), and reference tokens by block."""
    cells = pixels // PIXELS_PER_LATENT
    generator = torch.Generator().manual_seed(pixels)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    channels = RELEASED.block_out_channels
    given = {
        "latents": random(CONTEXT_FRAMES, LATENT_CHANNELS, cells, cells),
        "pose": random(CONTEXT_FRAMES, channels[0], cells, cells),
        "audio": random(CONTEXT_FRAMES, AUDIO_TOKENS, AUDIO_DIM),
        "tokens": {},
    }
    for name, level in zip(block_names(), block_levels(RELEASED), strict=True):
        side = -(-cells // 2**level)
        given["tokens"][name] = random(1, side * side, channels[level])
    return given


def serve(name: str, device: str, prepare: Callable[[int], Callable[[], torch.Tensor]]) -> None:
    """Answer lines of "time|count|profile PIXELS" and "save PIXELS FILE" from the standard input, in JSON.

    prepare : pixels -> a function that computes the guided velocity (12, 4, h, w) of the window.
    """
    ready: dict[int, Callable[[], torch.Tensor]] = {}

    def say(**values) -> None:
        print(json.dumps(values), flush=True)

    say(name=name, torch=torch.__version__, threads=torch.get_num_threads())
    with torch.no_grad():
        for line in sys.stdin:
            what, pixels, *rest = line.split()
            run = ready.setdefault(int(pixels), prepare(int(pixels)) if int(pixels) not in ready else None)
            if what == "save":
                torch.save(run().float().cpu(), rest[0])
                say(saved=rest[0])
            elif what == "count":
                with FlopCounterMode(display=False) as counter:
                    run()
                say(flops=counter.get_total_flops())
            elif what == "profile":
                say(**seconds_by_kind(run, device.startswith("cuda")))
            else:
                say(**_timed(run, device))


def _timed(run: Callable[[], torch.Tensor], device: str) -> dict:
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    # Of a process on the processor: weights and all that its libraries hold, in KiB on Linux.
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": wall, "cpu_seconds": processor, "peak_bytes": peak}
