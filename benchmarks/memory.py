"""One denoising step of a clip, in a process of its own; prints the most bytes it took (device, or process on the CPU).

`python -m benchmarks.memory DEVICE SIZE DTYPE PIXELS FRAMES`
"""

import sys

import torch

from echomimic_core.config import SamplingConfig

from .measure import Machine, process_peak_bytes
from .runs import Settings


def main() -> None:
    device, size, dtype, pixels, frames = sys.argv[1:]
    machine = Machine(torch.device(device), getattr(torch, dtype))
    settings = Settings(machine, size, [int(pixels)], int(frames), [], 1)
    settings.run(int(pixels), int(frames), SamplingConfig(1, 2.5))
    machine.wait()
    on_gpu = machine.device.type == "cuda"
    print(torch.cuda.max_memory_allocated() if on_gpu else process_peak_bytes())


if __name__ == "__main__":
    main()
