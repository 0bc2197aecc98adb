"""What comes of a task."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Loads what the work needs and gives the work itself: a function of a task. Both are sent to other machines.
Start = Callable[[], Callable[[Any], Any]]


OUT_OF_MEMORY = "out of memory: choose a smaller width and height"


@dataclass(frozen=True)
class Done:
    """A task by its index, what came of it, and how many seconds it took."""

    index: int
    value: Any
    seconds: float = 0.0


@dataclass(frozen=True)
class Failed:
    """A task by its index, and why nothing came of it."""

    index: int
    reason: str


Outcome = Done | Failed


def sentence(error: Exception) -> str:
    """What to tell of an error; one that nobody foresaw is logged with its traceback."""
    # Here, for torch is heavy, and processes watch their parent before they load what is.
    from ..runtime import is_out_of_memory, release_memory

    if is_out_of_memory(error):
        release_memory()
        return OUT_OF_MEMORY
    if not isinstance(error, ValueError | OSError):
        logging.error("EchoMimicV2: a task failed", exc_info=error)
    return str(error) or type(error).__name__
