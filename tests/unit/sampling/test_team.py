"""One clip by two processes: equal bits, half of the windows each, and nobody waits for one that gave up."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from together import CONFIG, FRAMES, latents

from echomimic_core.sampling.memory import Batching, WindowRunner
from echomimic_core.sampling.team import Team
from echomimic_core.sampling.windows import windows_at_step

SCRIPT = Path(__file__).parents[1] / "together.py"


def run(folder: Path, *more: str) -> None:
    """Two members, each a process of its own."""
    members = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), "2", folder, *more], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for member in members:
        _, said = member.communicate(timeout=300)
        assert member.returncode == 0, said[-2000:]


def test_two_processes_make_the_same_clip_to_the_last_bit(tmp_path):
    windows = windows_at_step(FRAMES, CONFIG.context_frames, CONFIG.context_overlap, 0)
    assert len(windows) == 16
    run(tmp_path)
    expected = latents()
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt"), expected)


def test_a_member_that_gives_up_is_heard_and_the_team_goes_on(tmp_path):
    run(tmp_path, "fails")
    assert (tmp_path / "1.txt").read_text(encoding="utf-8") == "this member cannot go on"
    assert "process 2 of 2 gave up this clip" in (tmp_path / "0.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("at_once", [1, 2])
def test_every_window_is_computed_once_and_taken_in_order(at_once, monkeypatch):
    windows = [[2 * i, 2 * i + 1] for i in range(7)]
    buffers: dict[int, list[torch.Tensor]] = {}
    taken, computed = [], []
    for rank in (0, 1):
        team = Team(rank, 2)
        monkeypatch.setattr(team, "least", lambda value: value)

        def gather(values: torch.Tensor, rank: int = rank) -> list[torch.Tensor]:
            buffers.setdefault(rank, []).append(values.clone())
            round_ = len(buffers[rank]) - 1
            return [buffers[member][round_] if member <= rank else torch.zeros_like(values) for member in (0, 1)]

        def compute(first, batch, batching):
            computed.append(first)
            return torch.tensor([frame for window in batch for frame in window]).float().reshape(1, -1, 1, 1, 1)

        def take(first, batch, values, rank: int = rank):
            taken.append((rank, first, values.flatten().tolist()))

        monkeypatch.setattr(team, "gather", gather)
        team.run(windows, WindowRunner(Batching(at_once)), compute, take, torch.zeros(1, 2, 1, 1, 1), guided=False)
    assert sorted(computed) == list(range(0, 7, at_once))
    # The second member has seen what both computed
    seen = [values for rank, _, values in taken if rank == 1]
    assert [frame for values in seen for frame in values] == list(range(14))
