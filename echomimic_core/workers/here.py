"""One worker: this process."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from .outcome import Done, Failed, Outcome, Start, sentence


def here(start: Start, tasks: Sequence[Any]) -> Iterator[Outcome]:
    """The outcomes of all tasks, one after the other; what `start` raises, nothing can be done about."""
    work = start()
    for index, task in enumerate(tasks):
        begun = time.monotonic()
        try:
            value = work(task)
        except Exception as error:
            yield Failed(index, sentence(error))
        else:
            yield Done(index, value, time.monotonic() - begun)
