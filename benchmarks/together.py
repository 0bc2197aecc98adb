"""One clip of sixteen windows by one process and by two: `python -m benchmarks.together`.

Pairs in turn, each process with one thread. Where cores are shared with others only processor time says what a core of
its own would give: that of one process over that of the busier of two.
"""

import statistics
import time
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from echomimic_core.config import TINY, SamplingConfig
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.pose_encoder import PoseEncoder
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.sampling.clip import ClipConditions
from echomimic_core.sampling.denoiser import ClipDenoiser
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.team import joined

from .shapes import fill_randomly, reference_tokens

FRAMES, CELLS, PAIRS = 144, 16, 5
CONFIG = SamplingConfig(steps=2, guidance_scale=2.5)


def member(rank: int, size: int, meeting: Path, link) -> None:
    """Sample the clip as number `rank` of `size` processes; sends (wall seconds, processor seconds, latents)."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ClipDenoiser(fill_randomly(DenoisingUNet(TINY)), fill_randomly(PoseEncoder(TINY)))
    conditions = ClipConditions(ReferenceFeatures(reference_tokens(TINY, CELLS, CELLS), CELLS, CELLS))
    noise = torch.randn(FRAMES, 4, CELLS, CELLS)
    with joined(rank, size, meeting) as team:
        shared = team if size > 1 else None
        sample(model, conditions, noise[:12], CONFIG, team=shared)  # Lays out weights, which is done once
        team.together()
        begun, worked = time.monotonic(), time.process_time()
        latents = sample(model, conditions, noise, CONFIG, team=shared)
        link.send((time.monotonic() - begun, time.process_time() - worked, latents.numpy()))


def run(size: int) -> list[tuple]:
    """What each of so many processes measured."""
    context = get_context("spawn")
    with TemporaryDirectory() as folder:
        links = [context.Pipe() for _ in range(size)]
        given = [(rank, size, Path(folder, "meeting"), links[rank][1]) for rank in range(size)]
        processes = [context.Process(target=member, args=arguments) for arguments in given]
        for process in processes:
            process.start()
        answers = [link.recv() for link, _ in links]
        for process in processes:
            process.join()
    return answers


def main() -> None:
    wall, core, equal = [], [], True
    for _ in range(PAIRS):
        (alone,), both = run(1), run(2)
        wall.append(alone[0] / max(seconds for seconds, _, _ in both))
        core.append(alone[1] / max(seconds for _, seconds, _ in both))
        equal = equal and all((latents == alone[2]).all() for _, _, latents in both)
    for name, ratios in (("by the clock", wall), ("by processor time", core)):
        print(f"{statistics.median(ratios):.2f} x as fast {name} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"{PAIRS} pairs, {-(-FRAMES // 9)} windows a step; bits are {'equal' if equal else 'NOT equal'}")


if __name__ == "__main__":
    main()
