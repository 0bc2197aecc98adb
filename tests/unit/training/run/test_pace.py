"""What a run says of its speed, and of a step that hangs."""

import pytest
import torch

from echomimic_core.training.run.pace import Pace


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock) -> Pace:
    return Pace(6, torch.device("cpu"), clock)


def steps(pace: Pace, clock: Clock, count: int, seconds: float = 2.0) -> None:
    for number in range(count):
        with pace.step(number):
            clock.now += seconds


def test_a_step_is_measured_with_its_wait_for_data(pace, clock):
    with pace.step(1):
        for _ in range(2):
            with pace.waiting():
                clock.now += 0.5
            clock.now += 1.0
    assert {name: pace.values[name] for name in ("seconds", "data_wait", "samples_per_second")} == {
        "seconds": 3.0,
        "data_wait": 1.0,
        "samples_per_second": 2.0,
    }
    assert 0.05 < pace.values["peak_memory"] < 1000
    steps(pace, clock, 1)
    assert pace.values["data_wait"] == 0.0


@pytest.mark.parametrize(("seconds", "said"), [(19.0, 0), (21.0, 1)])
def test_a_step_of_ten_times_the_usual_is_spoken_of_once(pace, clock, caplog, seconds, said):
    steps(pace, clock, 5)
    with pace.step(6):
        clock.now += seconds
        pace.look()
        clock.now += seconds
        if said:
            pace.look()
    assert len(caplog.records) == said
    if said:
        assert "step 6 has taken 21 s so far, where 2.0 s are usual" in caplog.text


def test_between_steps_and_before_any_is_usual_nothing_is_said(pace, clock, caplog):
    with pace.step(1):
        clock.now += 1000.0
        pace.look()
    steps(pace, clock, 5)
    clock.now += 1000.0
    pace.look()
    assert not caplog.records
