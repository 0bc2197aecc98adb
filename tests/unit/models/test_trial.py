"""What is tried on a card, is used only where it is equal and faster, and never stops a run."""

from functools import partial

import pytest
import torch

from echomimic_core.models import fused, trial
from echomimic_core.models.trial import Case, compare, helpful_ways, ways_in_use
from echomimic_core.sampling.speed import TUNING, SpeedOptions

CPU, CARD = torch.device("cpu"), torch.device("cuda")
GIVEN = (torch.linspace(-1, 1, 64),)


def same(x: torch.Tensor) -> torch.Tensor:
    return 3 * x


def near(x: torch.Tensor) -> torch.Tensor:
    return 3 * x + 1e-4


def other(x: torch.Tensor) -> torch.Tensor:
    return 3 * x + 0.1


def into(x: torch.Tensor) -> torch.Tensor:
    return x.mul_(3)


@pytest.mark.parametrize(
    ("way", "time", "helps"),
    [(near, 0.9, True), (near, 1.0, False), (other, 0.5, False), (into, 0.5, True)],
    ids=["equal and faster", "equal", "faster", "equal in place"],
)
def test_a_way_helps_where_it_is_equal_and_faster(way, time, helps):
    durations = {same: 1.0, way: time}
    outcome = compare(Case(same, way, GIVEN), lambda call: durations[call.func])
    assert outcome.helps == helps


def test_one_slow_moment_decides_nothing():
    times = iter([1.0, 0.8] * 3 + [1.0, 90.0] + [1.0, 0.8] * 3)
    assert compare(Case(same, near, GIVEN), lambda call: next(times)).helps


def test_what_a_card_refuses_is_not_used(monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("no C compiler")

    made = {"geglu": partial(Case, same, near, GIVEN), "add_norm": partial(Case, same, refuse, GIVEN)}
    monkeypatch.setattr(trial, "cases", lambda *_: made)
    monkeypatch.setattr(trial, "_seconds", lambda device, call: 0.5 if call.func is near else 1.0)
    trial.try_all.cache_clear()
    with caplog.at_level("INFO"):
        assert helpful_ways(CARD, torch.float16, True) == ("geglu",)
    trial.try_all.cache_clear()
    assert "add_norm is not used on cuda: no C compiler" in caplog.text


def test_kernels_are_tried_only_where_they_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "try_all", lambda device, dtype, kernels: asked.append(kernels) or {})
    for options in TUNING.values():
        SpeedOptions(**options).ways_on(CARD, torch.float16)
    assert asked == [False, True]
    assert set(trial.cases(CPU, torch.float32, False)) == {trial.CHANNELS_LAST}


def test_nothing_is_tried_on_a_processor(monkeypatch):
    monkeypatch.setattr(trial, "try_all", None)
    assert SpeedOptions(kernels=True).ways_on(CPU, torch.float32) == ()


@pytest.mark.parametrize("name", trial._KERNEL_CASES)
def test_a_case_takes_the_kernel_it_names(name, monkeypatch):
    """Every step that a kernel takes is run by the case that tries it."""
    monkeypatch.setattr(trial, "_CELLS", 2)
    taken = []

    def in_use(names):
        taken.extend(names)
        return fused.with_kernels({step: partial(note, step) for step in trial._STEPS[name]})

    def note(step, *tensors):
        taken.append(step)
        return tensors[0]

    monkeypatch.setattr(trial, "ways_in_use", in_use)
    case = trial._KERNEL_CASES[name](CPU, torch.float32)
    with torch.inference_mode():
        case.way(*case.given)
    assert taken == [name, name]


def test_layouts_are_those_in_use():
    assert trial.are_channels_last(CPU) and not trial.are_channels_last(CARD)
    with ways_in_use((trial.CHANNELS_LAST,)):
        assert trial.are_channels_last(CARD)
        with ways_in_use(()):
            assert not trial.are_channels_last(CARD)
    assert not trial.are_channels_last(CARD)


def test_gradients_go_past_kernels():
    with fused.with_kernels({"geglu": None}), torch.enable_grad():
        x = torch.ones(2, 4, requires_grad=True)
        fused.geglu(x).sum().backward()
    assert x.grad.abs().sum() > 0
