"""The small VAE's decoder is trained: stopped and started again it is the one that was never stopped."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("diffusers")

from safetensors.torch import load_file  # noqa: E402

from drawn_world import train_latents  # noqa: E402
from echomimic_core.pose import gestures  # noqa: E402
from echomimic_core.training.data.shards import SEMI_BODY  # noqa: E402


class Shown:
    """A clip of noise around a library pose."""

    info = SimpleNamespace(kind=SEMI_BODY)

    def __len__(self):
        return 2

    def pose(self):
        return gestures.clip("explaining", 2)

    def frames(self, indices):
        return [np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8) for index in indices]


def test_stopped_and_resumed_it_is_the_same_vae(tmp_path, monkeypatch):
    monkeypatch.setattr(train_latents, "read_manifest", lambda folder: [Shown()])
    for name, value in (("BATCH", 1), ("CROP", 16), ("FRAMES", 4)):
        monkeypatch.setattr(train_latents, name, value)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train_latents.train(tmp_path, whole, 3, 1, channels=4)
    rate = train_latents.rate
    monkeypatch.setattr(train_latents, "rate", lambda step, steps: rate(step, 3))
    train_latents.train(tmp_path, parts, 2, 1, channels=4)
    train_latents.train(tmp_path, parts, 3, 1, channels=4)
    one, other = load_file(whole), load_file(parts)
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)
    assert len(parts.with_suffix(".progress.jsonl").read_text().splitlines()) == 3
