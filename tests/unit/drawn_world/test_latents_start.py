"""The small model's latents before training: the encoder keeps what frames are made of; and how hands are counted."""

from pathlib import Path

import numpy as np
import pytest
import torch
import training_clips as clips

if not (Path(__file__).resolve().parents[3] / "drawn_world").is_dir():
    pytest.skip("the drawn world is left out of this copy", allow_module_level=True)
pytest.importorskip("diffusers")

from drawn_world import train_latents
from drawn_world.found import MISSED, FoundHands
from echomimic_core.training.data.shards import read_manifest


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(train_latents, "FRAMES", 8)
    monkeypatch.setattr(train_latents, "WIDTH", 8)
    return clips.two_clips(tmp_path / "world", frames=6)


def test_latents_spread_as_much_as_they_should_and_decode_to_the_colours(world):
    vae = train_latents.start(read_manifest(world), 16, seed=0)
    frames = read_manifest(world)[0].frames([0, 5])
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        latents = vae.encode(pictures * 2 - 1).latents
        made = vae.decode(latents).sample / 2 + 0.5
    assert latents.shape == (2, 16, 16, 16) and latents.std((0, 2, 3)).max() < 2 * train_latents.SPREAD
    cells = [torch.nn.functional.avg_pool2d(x, 16) for x in (made, pictures)]
    assert (cells[0] - cells[1]).abs().mean() < 0.1


def test_a_missed_hand_counts_in_the_error():
    seen = FoundHands(np.array([[True, False]]), np.array([[0.02, np.nan]]))
    assert seen.share == 0.5 and seen.error == pytest.approx((0.02 + MISSED) / 2)
