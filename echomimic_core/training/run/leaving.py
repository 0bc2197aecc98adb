"""Leaving when asked to: the step at hand is finished and its checkpoint written, then the run ends."""

import signal
import threading
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class LeftError(Exception):
    """A run was asked to stop and has saved all that it needs to go on.

    number : of the signal that asked. checkpoint : where the state is.
    """

    def __init__(self, number: int, checkpoint: Path):
        super().__init__(f"stopped by {signal.Signals(number).name} after {checkpoint.name} was saved")
        self.number, self.checkpoint = number, checkpoint


class Requests:
    """While it is open, the first SIGTERM or SIGINT is only noted; the second does what it always does.

    asked : the number of the signal, None if there was none. Outside of a process's first thread nothing is noted.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Requests":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        self.__exit__()
