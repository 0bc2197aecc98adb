"""How fast a run goes: the seconds of its steps and of waiting for data, its memory, and a word when a step hangs."""

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

logger = logging.getLogger(__name__)

PATIENCE = 10
"""A step that takes so many times the usual is spoken of."""

_STEPS = 21
_FEWEST = 3
_LOOK_EVERY = 1.0  # seconds


class Pace:
    """Measures steps of so many samples each; while it is open, a thread watches the one at hand.

    values : of the last step: `seconds`, `data_wait` of them, `samples_per_second`, and `peak_memory` in GiB, of the
        graphics card or else of the process.
    """

    def __init__(self, samples: int, device: torch.device, clock: Callable[[], float] = time.perf_counter):
        self.samples, self.device, self.clock = samples, device, clock
        self.values: dict[str, float] = {}
        self._waited = self._most = 0.0
        self._last: deque[float] = deque(maxlen=_STEPS)
        self._at_hand: tuple[int, float] | None = None
        self._ended = threading.Event()

    def __enter__(self) -> "Pace":
        self._ended.clear()
        threading.Thread(target=self._watch, name="pace", daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._ended.set()

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """A step, as long as this is open."""
        begun, self._waited = self.clock(), 0.0
        self._at_hand = number, begun
        try:
            yield
        finally:
            self._at_hand = None
        seconds = self.clock() - begun
        self._last.append(seconds)
        self.values = {
            "seconds": seconds,
            "data_wait": self._waited,
            "samples_per_second": self.samples / max(seconds, 1e-9),
            "peak_memory": self._peak_memory(),
        }

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Part of a step in which data is waited for."""
        begun = self.clock()
        yield
        self._waited += self.clock() - begun

    def look(self) -> None:
        """Say once if the step at hand takes far longer than those before it."""
        at_hand = self._at_hand
        if at_hand is None or len(self._last) < _FEWEST:
            return
        number, begun = at_hand
        usual, taken = statistics.median(self._last), self.clock() - begun
        if taken > PATIENCE * usual:
            self._at_hand = None
            logger.warning(
                "step %d has taken %.0f s so far, where %.1f s are usual: the disk, a process that loads data, another "
                "process of this run, or another program on the device may be in the way",
                *(number, taken, usual),
            )

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.look()

    def _peak_memory(self) -> float:
        """GiB: the most that was in use of a CUDA card, else of this process at the end of any step."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**30
        import psutil

        self._most = max(self._most, psutil.Process().memory_info().rss / 2**30)
        return self._most
