"""The optimizer and its learning rates: warm-up, schedule, and a factor for each part."""

import dataclasses
import math

import pytest
import training_clips as clips

from echomimic_core.training.model.initialise import build_model
from echomimic_core.training.model.networks import PARTS, part_of
from echomimic_core.training.run.engine import learning_rate, make_optimizer, set_rates
from echomimic_core.training.settings import Settings, parse


def settings(**optimizer):
    options = {"learning_rate": 2.0, "warmup_steps": 10, **optimizer}
    train = {"stage": 3, "steps": 110}
    return parse(Settings, {"model": dataclasses.asdict(clips.MICRO), "train": train, "optimizer": options})


def rates(options, *steps):
    return [learning_rate(options, step) for step in steps]


def test_a_constant_rate_rises_in_its_warm_up_and_stays():
    assert rates(settings(), 0, 4, 9, 10, 109) == pytest.approx([0.2, 1.0, 2.0, 2.0, 2.0])
    assert rates(settings(warmup_steps=0), 0, 50) == [2.0, 2.0]


def test_a_cosine_falls_from_the_warm_up_to_its_share_at_the_last_step():
    found = rates(settings(schedule="cosine", final_share=0.1), 4, 9, 59, 109)
    assert found == pytest.approx([1.0, 2.0, (2.0 + 0.2) / 2, 0.2])
    quarter = learning_rate(settings(schedule="cosine"), 34)
    assert quarter == pytest.approx(1 + math.cos(math.pi / 4))
    early = settings(schedule="cosine", decay_steps=60, final_share=0.5)
    assert rates(early, 34, 59, 109) == pytest.approx([1.5, 1.0, 1.0])


def test_each_part_learns_at_its_factor_of_the_rate_of_the_step():
    options = settings(part_rates={"audio_attention": 5.0, "denoising_unet": 0.1, "reference_unet": 0.1})
    parameters = dict(build_model(options).named_parameters())
    optimizer = make_optimizer(options, parameters)
    set_rates(optimizer, 3.0)
    names = {id(parameter): name for name, parameter in parameters.items()}
    found = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found.setdefault(part_of(names[id(parameter)]), set()).add(round(group["lr"], 6))
    slower, faster = {0.3}, {15.0}
    assert found == dict(zip(PARTS, (slower, slower, {3.0}, {3.0}, faster), strict=True))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(parameters)


def test_without_factors_there_is_one_group_as_in_states_of_before():
    parameters = dict(build_model(settings()).named_parameters())
    (group,) = make_optimizer(settings(), parameters).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in parameters.values()]
