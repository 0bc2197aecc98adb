"""Reading ahead changes nothing but the time it takes."""

import threading

import pytest

from echomimic_core.workers.ahead import read_ahead


def test_items_come_whole_and_in_order():
    assert list(read_ahead(range(100))) == list(range(100))
    assert list(read_ahead([])) == []


def test_an_error_is_raised_after_the_items_before_it():
    def source():
        yield 1
        yield 2
        raise ValueError("damaged")

    seen = []
    with pytest.raises(ValueError, match="damaged"):
        for item in read_ahead(source()):
            seen.append(item)
    assert seen == [1, 2]


def test_no_more_than_the_depth_is_made_in_advance():
    made = []

    def source():
        for item in range(1000):
            made.append(item)
            yield item

    frames = read_ahead(source(), depth=3)
    next(frames)
    threading.Event().wait(0.3)
    # Taken, waiting, and one in the thread's hand.
    assert len(made) <= 1 + 3 + 1
    frames.close()


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    frames = read_ahead(iter(int, 1))
    next(frames)
    frames.close()
    assert threading.active_count() == before
