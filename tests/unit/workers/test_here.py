"""Tasks in this process: loaded once, each with its own outcome."""

import pytest

from echomimic_core.workers import Done, Failed, here


def test_the_model_is_loaded_once_and_a_failed_task_stops_no_other():
    loaded = []

    def start():
        loaded.append(1)

        def work(task):
            if task == "broken":
                raise ValueError("this voice cannot be read")
            return task.upper()

        return work

    first, second, third = here(start, ["a", "broken", "b"])
    assert (first.index, first.value) == (0, "A") and isinstance(third, Done) and third.value == "B"
    assert second == Failed(1, "this voice cannot be read") and len(loaded) == 1


def test_what_cannot_be_loaded_stops_everything():
    def start():
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        list(here(start, [1]))


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "out of memory"), (KeyError(), "KeyError"), (OSError("disk full"), "disk full")],
)
def test_every_error_is_a_sentence(error, words):
    def work(_):
        raise error

    (outcome,) = here(lambda: work, [1])
    assert words in outcome.reason
