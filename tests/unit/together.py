"""A member of a team that samples one clip of sixteen windows: python together.py RANK SIZE FOLDER [fails].

Writes the latents to FOLDER/RANK.pt, or what it was told to FOLDER/RANK.txt. With `fails` the last member gives up.
"""

import sys
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "tests" / "unit")]

from tiny import conditions, denoiser  # noqa: E402

from echomimic_core.config import SamplingConfig  # noqa: E402
from echomimic_core.sampling.loop import sample  # noqa: E402
from echomimic_core.sampling.speed import SpeedOptions  # noqa: E402
from echomimic_core.sampling.team import TeamStoppedError, joined  # noqa: E402

FRAMES, CONFIG = 64, SamplingConfig(steps=3, guidance_scale=2.5, context_frames=6, context_overlap=2)
SPEED = SpeedOptions(reuse_steps=2)


def latents(team=None) -> torch.Tensor:
    """The clip as one process samples it, or the members of a team."""
    noise = torch.randn(FRAMES, 4, 4, 4, generator=torch.Generator().manual_seed(5))
    return sample(denoiser(), conditions(FRAMES, 4, 4), noise, CONFIG, speed=SPEED, team=team)


def main() -> None:
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    with joined(rank, size, folder / "meeting") as team:
        if sys.argv[4:] and rank == size - 1:
            denoiser().denoising_unet.with_deep_features = fail
        try:
            with team.at_work():
                torch.save(latents(team), folder / f"{rank}.pt")
        except (TeamStoppedError, ValueError) as error:
            (folder / f"{rank}.txt").write_text(str(error), encoding="utf-8")
            # All are still together: the next clip can begin
            assert team.leaders(rank + 7) == 7


def fail(*arguments):
    raise ValueError("this member cannot go on")


if __name__ == "__main__":
    main()
