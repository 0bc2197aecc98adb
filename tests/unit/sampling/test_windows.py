"""How a clip is cut into windows, and how what they say is averaged."""

import pytest
import torch

from echomimic_core.sampling.denoiser import WindowAverage, WindowSettings
from echomimic_core.sampling.windows import open_windows, shift_windows, uniform_windows, windows_at_step


def test_windows_overlap_and_the_last_ones_wrap_to_the_beginning():
    assert uniform_windows(20, 12, 3) == [
        list(range(12)),
        [*range(9, 20), 0],
        [18, 19, *range(10)],
    ]
    assert uniform_windows(12, 12, 3) == [list(range(12))] and uniform_windows(5, 12, 3) == [list(range(5))]


def test_windows_move_round_the_clip_by_three_frames_a_step():
    settings = WindowSettings()
    first = settings.at_step(20, 0)
    assert first == uniform_windows(20, 12, 3)
    for step in (1, 2, 9):
        assert settings.at_step(20, step) == [[(f + 3 * step) % 20 for f in window] for window in first]
    assert shift_windows([[18, 19]], 20, 3) == [[1, 2]]


@pytest.mark.parametrize("shift", [0, 3, 7])
def test_open_windows_hold_every_frame_and_never_wrap(shift):
    windows = open_windows(20, 12, 3, shift)
    assert {frame for window in windows for frame in window} == set(range(20))
    assert all(window == list(range(window[0], window[0] + 12)) for window in windows)
    assert windows_at_step(20, 12, 3, shift, wrap=False) == windows


def test_frames_in_several_windows_are_the_mean_of_what_these_say():
    windows = [[0, 1, 2], [2, 3, 0]]
    average = WindowAverage(1, torch.zeros(4, 1))
    average.add(torch.tensor(windows), torch.tensor([[[1.0], [2.0], [3.0], [5.0], [7.0], [9.0]]]))
    (mean,) = average.mean(windows)
    assert mean.flatten().tolist() == [5.0, 2.0, 4.0, 7.0]
