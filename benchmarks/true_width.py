"""Decoding with a VAE that was stored with zeros for the channels it lacks: as stored, and at its true width.

`python -m benchmarks.true_width FILE`, such as demo/models/nano.safetensors. Pairs in turn, in processor time.
"""

import statistics
import sys
import time

import torch

from echomimic_core.files.vae import at_true_width, open_vae
from echomimic_core.networks.frozen_vae import FrozenVAE, taesd_of

from .counting import count_flops
from .decoding import FRAMES_AT_ONCE

CELLS, PAIRS = 16, 9


def main() -> None:
    file, prefix = open_vae(sys.argv[1])
    stored = {name: tensor.float() for name, tensor in file.state_dict(prefix).items()}
    vaes = [FrozenVAE(taesd_of(weights), scale=1.0).eval() for weights in (stored, at_true_width(stored))]
    latents = torch.randn(FRAMES_AT_ONCE, 4, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wide, true = (vae.decode(latents) for vae in vaes)
        ratios = [seconds(vaes[0], latents) / seconds(vaes[1], latents) for _ in range(PAIRS)]
    work = [count_flops(lambda vae=vae: vae.decode(latents)) / len(latents) / 1e9 for vae in vaes]
    print(f"{work[0]:.2f} and {work[1]:.2f} GFLOP per frame of {8 * CELLS}x{8 * CELLS}")
    print(f"decodes {statistics.median(ratios):.2f} x as fast ({min(ratios):.2f} to {max(ratios):.2f}, {PAIRS} pairs)")
    print(f"largest difference of the pictures in 0..1: {float((wide - true).abs().max()):.1e}")


def seconds(vae: FrozenVAE, latents: torch.Tensor) -> float:
    """Processor time of one decoding."""
    begun = time.process_time()
    vae.decode(latents)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
