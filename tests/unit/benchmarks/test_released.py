"""The released size, once: its weights are in memory a single time, and little else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.streaming import GUIDED
from echomimic_core.config import RELEASED
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.pose_encoder import PoseEncoder

GIB = 2**30
REPO = Path(__file__).resolve().parents[3]


@pytest.mark.release
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most a process ever held")
def test_a_window_of_the_released_size_takes_its_weights_and_little_else():
    """One guided window of 8x8 latents in float32, with seeded weights, in a process of its own."""
    with torch.device("meta"):
        weights = sum(p.nbytes for part in (DenoisingUNet, PoseEncoder) for p in part(RELEASED).parameters())
    command = [sys.executable, "-m", "benchmarks.memory", "cpu", "released", "float32", "64", "12", GUIDED]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 0, done.stderr[-2000:]
    peak = int(done.stdout.split()[-1])
    assert weights < peak < weights + 2 * GIB < 20 * GIB, f"{peak / GIB:.1f} GiB with {weights / GIB:.1f} of weights"
