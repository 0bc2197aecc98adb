"""Working behind: what is made goes to a thread, which writes it while the next is made."""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 2
_END = object()


class Behind(Generic[T]):
    """A function that is called in a thread with one value after the other; a context manager around its use.

    At most `depth` values wait, so that memory stays flat: whoever is faster waits for the other. What the function
    raises is raised at the next value or at the end. The context ends once all is done; left by an exception, such as
    cancelling, it drops what waits.
    """

    def __init__(self, function: Callable[[T], object], depth: int = DEPTH):
        self._function = function
        self._waiting: queue.Queue = queue.Queue(depth)
        self._error: BaseException | None = None
        self._dropped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Behind[T]":
        self._thread.start()
        return self

    def __call__(self, value: T) -> None:
        """Hand a value over, as soon as there is room for it."""
        if self._error is not None:
            raise self._error
        self._waiting.put(value)

    def _work(self) -> None:
        while (value := self._waiting.get()) is not _END:
            if self._error is not None or self._dropped.is_set():
                continue
            try:
                self._function(value)
            except BaseException as error:
                self._error = error

    def __exit__(self, kind, error, traceback) -> None:
        if error is not None:
            self._dropped.set()
        self._waiting.put(_END)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error
