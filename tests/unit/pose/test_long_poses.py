"""A long pose is changed some frames at a time: with progress, a cancel that is heard, and the same result."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from echomimic_core.pose import clean, edit, gestures

CHANGES = {
    "mirror": edit.mirror,
    "move, about the frame": lambda pose, progress: edit.transform(pose, 0.1, 0, 1.2, 7, "frame", progress),
    "move, about the person": lambda pose, progress: edit.transform(pose, 0.1, 0, 1.2, 7, "person", progress),
    "move, about the wrists": lambda pose, progress: edit.transform(pose, 0.1, 0, 1.2, 7, "wrists", progress),
    "smooth": lambda pose, progress: edit.smooth(pose, 0.5, progress),
    "limit speed": lambda pose, progress: edit.limit_speed(pose, 0.5, progress),
    "retime": lambda pose, progress: edit.retime(pose, 130, progress),
}


class Cancelled(BaseException):
    """As ComfyUI's own: no Exception."""


@pytest.fixture
def pose(monkeypatch):
    monkeypatch.setattr(edit, "BLOCK", 10)
    monkeypatch.setattr(clean, "FRAMES_TOLD", 10)
    return gestures.clip("waving", 105)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_tells_its_progress_and_gives_the_same(pose, monkeypatch, change):
    told = []
    found = change(pose, lambda done, total: told.append((done, total)))
    assert len(told) >= 9 and [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(0 < done <= total for done, total in told)
    monkeypatch.setattr(edit, "BLOCK", 1000)
    whole = change(pose, None)
    for field in fields(whole):
        assert np.array_equal(getattr(found, field.name), getattr(whole, field.name)), field.name


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_step_between_two_words_is_longer_than_a_block(pose, change):
    """A cancel is heard at every word, so of a pose of any length no more than a block is done before it is heard."""
    told = [0]
    change(pose, lambda done, total: told.append(len(pose) * done // total))
    assert max(after - before for before, after in pairwise(told)) <= 10
    assert len(pose) - told[-1] <= 10


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_cancel_ends_it(pose, change):
    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        change(pose, cancel)


def test_a_gesture_tells_its_progress_while_it_is_made():
    told = []
    gestures.clip("idle", 12, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 10 and told[-1][0] == told[-1][1]
