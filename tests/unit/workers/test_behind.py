"""Writing behind changes nothing but the time it takes, ends at once when cancelled, and keeps little in memory."""

import threading

import pytest

from echomimic_core.workers.behind import DEPTH, Behind


def test_values_are_written_whole_and_in_order():
    written = []
    with Behind(written.append) as write:
        for value in range(100):
            write(value)
    assert written == list(range(100))


def test_the_next_value_is_made_while_the_last_one_is_written():
    made_two, finished = threading.Event(), []

    def write_out(value: int) -> None:
        # Waits for what is made later: without a thread of its own it would wait for ever
        if value == 1:
            finished.append(made_two.wait(60))

    with Behind(write_out) as write:
        write(1)
        write(2)
        made_two.set()
    assert finished == [True]


def test_no_more_than_a_few_wait():
    may_go, made = threading.Event(), []

    def make(write) -> None:
        for value in range(DEPTH + 5):
            made.append(value)
            if value == DEPTH + 1:
                may_go.set()
            write(value)

    seen_at_first = []

    def write_out(value: int) -> None:
        may_go.wait(60)
        if value == 0:
            seen_at_first.append(len(made))

    with Behind(write_out) as write:
        make(write)
    # One being written, those that wait, and one in hand
    assert seen_at_first[0] <= 1 + DEPTH + 1


def test_cancelling_drops_what_waits():
    started, written, threads = threading.Event(), [], threading.active_count()

    def write_out(value: int) -> None:
        started.set()
        behind._dropped.wait(60)  # Still at the first value when the rest is dropped
        written.append(value)

    behind = Behind(write_out)
    with pytest.raises(KeyboardInterrupt), behind as write:
        write(0)
        write(1)
        started.wait(60)
        raise KeyboardInterrupt
    assert written == [0], "it went on after it was cancelled"
    assert threading.active_count() == threads


def test_a_failure_to_write_ends_the_making():
    def full(value: int) -> None:
        raise OSError("the disk is full")

    made = []
    with pytest.raises(OSError, match="the disk is full"), Behind(full) as write:
        for value in range(10_000):
            made.append(value)
            write(value)
    assert len(made) <= 10 * DEPTH
