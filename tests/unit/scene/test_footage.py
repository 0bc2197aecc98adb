"""Footage in any order: every frame is the one that was asked for, and few are held."""

import numpy as np
import pytest

from echomimic_core.scene import footage
from echomimic_core.scene.footage import Footage, at_rate, extended


def numbered(count, fps=24.0):
    return Footage(lambda: (np.full((16, 16, 3), index, np.uint8) for index in range(count)), 16, 16, fps, count)


@pytest.mark.parametrize("held", [2**28, 3 * 16 * 16 * 3])
def test_ping_pong_plays_forth_and_back_and_forth(held, monkeypatch):
    monkeypatch.setattr(footage, "BACKWARD_BYTES", held)
    order = extended(20, 70, "ping-pong")
    assert [int(frame[0, 0, 0]) for frame in numbered(20).ordered(order).read()] == order.tolist()
    assert np.abs(np.diff(order)).max() == 1 and set(order) == set(range(20))


def test_hold_repeats_the_last_frame_and_stop_ends():
    assert extended(3, 5, "hold").tolist() == [0, 1, 2, 2, 2]
    assert extended(3, 5, "stop").tolist() == [0, 1, 2]
    assert extended(5, 3, "stop").tolist() == extended(5, 3, "hold").tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="'loop'"):
        extended(3, 5, "loop")


def test_another_rate_shows_the_frame_of_the_moment():
    assert [index for index, _ in at_rate(numbered(10, 24.0), 12.0)] == [0, 2, 4, 6, 8]
    assert [index for index, _ in at_rate(numbered(4, 12.0), 24.0)] == [0, 0, 1, 1, 2, 2, 3, 3]
