"""What the command does with its terminal: progress on one line, no chatter of libraries, an orderly stop."""

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

# Seconds between two signs of progress: on a terminal, and in a log file, where every one is a line.
ON_A_TERMINAL, IN_A_FILE = 0.25, 30.0


class Parser(argparse.ArgumentParser):
    """Options of a command; what is wrong with them is one sentence, a ValueError, instead of all the usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (--help lists the options)")


def check_number(option: str, value: float, least: float, most: float = math.inf) -> None:
    """ValueError, with the option's name, for a number out of its range."""
    if not least <= value <= most:
        room = f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{option} is {value:g}, but it must be {room}")


class ProgressLine:
    """Frames done and time left: one line of a terminal, rewritten, or a line now and then in a log file."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.in_place = self.stream.isatty()
        self.pause = ON_A_TERMINAL if self.in_place else IN_A_FILE
        self.begun = time.monotonic()
        self.shown = -self.pause
        self.last: tuple[int, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show frames done of all, unless the last time was a moment ago."""
        now = time.monotonic()
        if (done, total) == self.last or (now - self.shown < self.pause and done < total):
            return
        self.last = done, total
        self.shown = now
        line = f"{done}/{total} frames, {self._left(now, done, total)}"
        end = "\n" if done >= total or not self.in_place else ""
        self.stream.write(f"\r{line:40}{end}" if self.in_place else line + end)
        self.stream.flush()

    def _left(self, now: float, done: int, total: int) -> str:
        if not done:
            return "starting"
        left = int((now - self.begun) * (total - done) / done)
        return (
            f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
            if left >= 3600
            else (f"{left // 60}:{left % 60:02d} left")
        )


@contextmanager
def own_terminal() -> Iterator[None]:
    """In the block only our own words reach the terminal, and being terminated ends it like Ctrl-C.

    Native libraries (MediaPipe, FFmpeg) write straight to the error stream; there they find nothing to write to.
    """
    for stream in (sys.stdout, sys.stderr):
        # Consoles of old code pages know no arrows and no infinity.
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")
    with _without_native_chatter(), _terminated_in_order():
        yield


@contextmanager
def _without_native_chatter() -> Iterator[None]:
    ours, sys_stderr = os.dup(2), sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        # A stream that a test or another program has put there has no such number, and stays.
        is_native = _number_of(sys_stderr) == 2
        sys_stderr.flush()
        os.dup2(nowhere, 2)
        if is_native:
            sys.stderr = os.fdopen(os.dup(ours), "w", encoding=sys_stderr.encoding, errors="replace", buffering=1)
        yield
    finally:
        if sys.stderr is not sys_stderr:
            sys.stderr.close()
            sys.stderr = sys_stderr
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _number_of(stream) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    def stop(*_) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
