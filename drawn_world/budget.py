"""What training the small model costs, counted and measured here: python -m drawn_world.budget.

Floating-point operations of a sample, forward and backward, counted without computing; processor seconds of the same on
one thread; and the hours of one core that the settings' steps take at that pace.
"""

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from echomimic_core.config import PIXELS_PER_LATENT, ModelConfig
from echomimic_core.models.build import NETWORKS
from echomimic_core.models.pose_encoder import MAP_CHANNELS
from echomimic_core.training.model.networks import Conditions, TrainingModel
from echomimic_core.training.settings import load_settings

from .train import CONFIGS, RECIPES, STAGES


def sample_of(config: ModelConfig, size: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    """One noisy clip, its timestep and conditions."""
    side = size // PIXELS_PER_LATENT
    noisy = torch.randn(1, frames, config.latent_channels, side, side)
    maps = torch.rand(1, frames, MAP_CHANNELS, size, size)
    audio = torch.randn(1, frames, 50, config.audio_dim) if frames > 1 else None
    return noisy, torch.tensor([500]), Conditions(noisy[:, 0], torch.tensor([False]), maps, None, audio)


def costs(config: ModelConfig, size: int, frames: int, repeats: int) -> tuple[float, float]:
    """GFLOP of a sample, and processor seconds of one thread; the fastest of some."""
    torch.manual_seed(0)
    model = TrainingModel({name: network(config) for name, network in NETWORKS.items()})
    model.set_motion(frames > 1)
    given = sample_of(config, size, frames)

    def step() -> None:
        model.zero_grad()
        model(*given).square().mean().backward()

    with FlopCounterMode(display=False) as counter:
        step()
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        step()
        seconds.append(time.process_time() - begin)
    return counter.get_total_flops() / 1e9, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | stage | output | GFLOP a sample | seconds | samples a core's hour | samples | core hours |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in given.models:
        for stage in STAGES[2:4]:
            start = {"init.file": "start.safetensors"} if stage == "clips" else {}
            settings = load_settings(CONFIGS / f"{name}_{stage}.yaml", start)
            work, seconds = costs(settings.model, settings.data.size, settings.clip_frames, given.repeats)
            # As many samples in both recipes: the shipped model's stages ran as two processes
            processes = 2 if name == "nano" else 1
            samples = settings.train.steps * settings.train.batch_size * processes
            row = (name, stage, settings.model.output, f"{work:.1f}", f"{seconds:.2f}", f"{3600 / seconds:,.0f}")
            print(f"| {' | '.join(row)} | {samples:,} | {samples * seconds / 3600:.1f} |", flush=True)


if __name__ == "__main__":
    main()
