"""Shortcuts: off they change nothing, on they do less work and stay near."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from benchmarks.counting import count_flops
from echomimic_core.config import SamplingConfig
from echomimic_core.models.merged_reference import weighed_keys, weighing_queries
from echomimic_core.runtime import torch_attention
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.speed import EXACT, PRESETS, SpeedOptions, merge_tokens

from ..tiny import conditions, denoiser, relative_error

FRAMES = 14
CONFIG = SamplingConfig(steps=4, guidance_scale=2.5, context_frames=8, context_overlap=2)


def run(speed: SpeedOptions = EXACT, config: SamplingConfig = CONFIG) -> torch.Tensor:
    noise = torch.randn(FRAMES, 4, 4, 8, generator=torch.Generator().manual_seed(1))
    return sample(denoiser(), conditions(FRAMES, 4, 8), noise, config, speed=speed)


@cache
def counted(speed: SpeedOptions = EXACT) -> tuple[torch.Tensor, int]:
    """Latents of a run, and the operations it took."""
    made = []
    work = count_flops(lambda: made.append(run(speed)))
    return made[0], work


@pytest.mark.parametrize(
    "speed",
    [
        SpeedOptions(guidance_phases=(True, True, False)),
        SpeedOptions(reuse_steps=2),
        SpeedOptions(merge_reference=2),
        SpeedOptions(most_overlap=0),
    ],
    ids=["guidance", "reuse", "merge", "overlap"],
)
def test_a_shortcut_saves_work_and_stays_near(speed):
    (exact, whole), (latents, work) = counted(), counted(speed)
    assert 1e-6 < relative_error(latents, exact) < 1.0
    if speed.merge_reference == 1:  # Attention is not counted on the CPU
        assert work < 0.9 * whole


def test_no_guidance_in_any_phase_is_a_run_without_guidance():
    unguided = SamplingConfig(steps=4, guidance_scale=1.0, context_frames=8, context_overlap=2)
    assert torch.equal(run(SpeedOptions((False, False, False))), run(config=unguided))


def test_windows_overlap_no_more_than_the_shortcut_allows_and_no_more_than_was_asked():
    apart, asked = replace(CONFIG, context_overlap=0), replace(CONFIG, context_overlap=1)
    assert torch.equal(run(SpeedOptions(most_overlap=0)), run(config=apart))
    assert torch.equal(run(SpeedOptions(most_overlap=2), asked), run(config=asked))


def test_each_preset_takes_less_work_than_the_one_before():
    assert PRESETS["exact"] == EXACT
    exact, fast, fastest = (counted(speed)[1] for speed in PRESETS.values())
    assert fast < 0.75 * exact and fastest < 0.85 * fast  # Of four steps; more of them save more


def test_reused_features_of_the_same_step_are_exact():
    unet = denoiser().denoising_unet
    latents, timesteps = torch.randn(8, 4, 8, 8), torch.tensor([300.0])
    from echomimic_core.models.context import WindowContext

    with torch.no_grad():
        whole = unet(latents, timesteps, WindowContext(8))
        velocity, deep = unet.with_deep_features(latents, timesteps, WindowContext(8))
        again, _ = unet.with_deep_features(latents, timesteps, WindowContext(8), deep=deep)
    assert torch.equal(velocity, whole) and torch.equal(again, whole)


def test_a_merged_token_weighs_as_much_as_the_equal_tokens_it_stands_for():
    q, k, v = torch.randn(2, 5, 32), torch.randn(2, 7, 32), torch.randn(2, 7, 32)
    shared_k, shared_v = torch.randn(2, 1, 32), torch.randn(2, 1, 32)
    expected = torch_attention(
        q, torch.cat([k, shared_k.expand(-1, 4, -1)], 1), torch.cat([v, shared_v.expand(-1, 4, -1)], 1), heads=4
    )
    keys = torch.cat([weighed_keys(k, 4, 1), weighed_keys(shared_k, 4, 4)], 1)
    values = torch.nn.functional.pad(torch.cat([v, shared_v], 1).unflatten(-1, (4, -1)), (0, 8)).flatten(-2)
    out = torch_attention(weighing_queries(q, 4), keys, values, heads=4).unflatten(-1, (4, -1))[..., :-8].flatten(-2)
    assert relative_error(out, expected) < 1e-5


def test_only_the_largest_maps_are_merged():
    maps = [(torch.randn(1, 6 * 5, 8),) * 2, (torch.randn(1, 9, 8),) * 2]
    merged = merge_tokens(maps, 6, 5, 2)
    assert [k.shape[1] for k, _ in merged] == [9, 9]
    assert torch.allclose(merged[0][0][0, 0], maps[0][0][0, [0, 1, 5, 6]].mean(0))


def test_zero_is_not_a_number_of_steps():
    with pytest.raises(ValueError, match="reuse_steps is 0"):
        SpeedOptions(reuse_steps=0)
