"""One denoising step of a clip, in a process of its own; prints the most bytes it took (device, or process on the CPU).

`python -m benchmarks.memory DEVICE SIZE DTYPE PIXELS FRAMES WAY`
"""

import sys

import torch

from echomimic_core.config import SamplingConfig
from echomimic_core.sampling.memory import ON_CPU, Batching

from .measure import Machine, process_peak_bytes
from .runs import Settings
from .streaming import STREAMED, UNGUIDED, stream_weights


def main() -> None:
    device, size, dtype, pixels, frames, way = sys.argv[1:]
    machine = Machine(torch.device(device), getattr(torch, dtype))
    settings = Settings(machine, size, [int(pixels)], int(frames), [], 1)
    if way == STREAMED:
        stream_weights(settings.denoiser, machine.device)
    settings.make_denoiser()  # Before memory is watched
    machine.reset_peak()
    on_gpu = machine.device.type == "cuda"
    # The least that is fast, not as much as there is
    batching = Batching() if on_gpu else ON_CPU
    settings.run(int(pixels), int(frames), SamplingConfig(1, 1.0 if way == UNGUIDED else 2.5), batching=batching)
    machine.wait()
    print(torch.cuda.max_memory_allocated() if on_gpu else process_peak_bytes())


if __name__ == "__main__":
    main()
