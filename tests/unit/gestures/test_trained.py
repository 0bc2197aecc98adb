"""A trained planner: step by step it plans what it would at once, bones keep their lengths, files are checked."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from echomimic_core.gestures.chains import chains_of
from echomimic_core.gestures.library import built_in
from echomimic_core.gestures.trained import (
    CHUNK,
    GesturePlanner,
    PlannerConfig,
    chains_from,
    features_of,
    load_planner,
    pose_from,
    save_planner,
)
from echomimic_core.pose import gestures
from echomimic_core.training.gestures import fit_motion

SMALL = PlannerConfig(width=16, layers=2, heads=2, latent=8, head=16, reach=1, context=6)


@pytest.fixture(scope="module")
def planner() -> GesturePlanner:
    torch.manual_seed(0)
    made = GesturePlanner(SMALL)
    motion = features_of(chains_of(gestures.clip("explaining", 240)))
    fit_motion(made, [motion])
    return made.eval()


def states(frames: int) -> torch.Tensor:
    return torch.randn(round(frames / 24 * 50), 5, 384, generator=torch.Generator().manual_seed(1))


def test_features_are_chains_exactly():
    chains = chains_of(gestures.clip("waving", 60))
    again = chains_from(features_of(chains), chains.lengths.min(0), chains.lengths.max(0))
    for one, other in zip(chains.parts(), again.parts(), strict=True):
        turns = np.round((one - other) / (2 * np.pi)) * 2 * np.pi if one.ndim == 3 and one.shape[-1] == 22 else 0
        np.testing.assert_allclose(one, other + turns, atol=1e-9)


def test_step_by_step_is_as_at_once(planner):
    count = 3 * SMALL.context
    heard, before = torch.randn(1, count, SMALL.width), torch.randn(1, count, SMALL.latent)
    known, memory = torch.ones(1, count, 1), [[] for _ in planner.blocks]
    with torch.no_grad():
        at_once = planner.plan(heard, before, known)
        steps = [
            planner.plan(heard[:, i : i + 1], before[:, i : i + 1], known[:, i : i + 1], memory) for i in range(count)
        ]
    torch.testing.assert_close(torch.cat(steps, 1), at_once, atol=1e-5, rtol=1e-4)


def test_the_past_does_not_know_the_motion_to_come(planner):
    heard, before = torch.randn(1, 10, SMALL.width), torch.randn(1, 10, SMALL.latent)
    later = before.clone()
    later[:, 6:] += 1
    with torch.no_grad():
        known = torch.ones(1, 10, 1)
        one, other = planner.plan(heard, before, known), planner.plan(heard, later, known)
    torch.testing.assert_close(one[:, :6], other[:, :6])
    assert not torch.allclose(one[:, 6:], other[:, 6:])


def test_a_long_voice_is_heard_piece_by_piece_as_at_once(planner):
    with torch.no_grad():
        whole, pieces = planner.hear_all(states(400), 100), planner.hear_all(states(400), 100, block=7)
    torch.testing.assert_close(whole, pieces, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, CHUNK, 50])
def test_any_length_is_planned_exactly_and_calmly(planner, frames):
    pose = pose_from(planner, states(frames), frames)
    assert len(pose) == frames and np.isfinite(pose.hands).all()
    if frames > 2:
        assert np.abs(np.diff(pose.hands, 2, axis=0)).max() <= built_in().haste


def test_bones_keep_lengths_that_were_seen(planner):
    lengths = chains_of(pose_from(planner, states(96), 96)).lengths
    assert (lengths >= planner.least.numpy() - 1e-5).all() and (lengths <= planner.most.numpy() + 1e-5).all()


def test_seeds_decide(planner):
    first, again, other = (pose_from(planner, states(48), 48, seed).hands for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_progress_cancels(planner):
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planner.move(states(48), 48, progress=cancel)


def test_what_is_saved_is_loaded(planner, tmp_path):
    loaded = load_planner(save_planner(planner, tmp_path / "p.safetensors"))
    assert loaded.config == SMALL
    assert np.array_equal(pose_from(loaded, states(24), 24).hands, pose_from(planner, states(24), 24).hands)


@pytest.mark.parametrize("fault", ["missing", "format", "config", "shape", "nan"])
def test_a_damaged_planner_is_a_sentence_with_its_name(planner, tmp_path, fault):
    path = save_planner(planner, tmp_path / "p.safetensors")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    if fault == "format":
        metadata["format"] = "something"
    elif fault == "config":
        metadata["config"] = metadata["config"].replace('"layers": 2', '"layers": 20000')
    elif fault == "shape":
        tensors["norm.weight"] = torch.ones(3)
    elif fault == "nan":
        tensors["norm.weight"][0] = torch.nan
    path.unlink()
    if fault != "missing":
        save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="p.safetensors"):
        load_planner(path)
