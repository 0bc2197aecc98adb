"""Processes that work off tasks and never outlive the process that started them: one function, `run_tasks`.

Imports nothing heavy, so that a worker watches its parent before it loads what its tasks need.
"""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any

POLL_SECONDS = 0.2
ENDS_WITHIN = 1.0  # Seconds that workers are given before they are killed.


@dataclass(frozen=True)
class Lost:
    """Stands for the result of a task whose process ended: `reason` is a sentence without a subject."""

    reason: str


def run_tasks(
    work: Callable[[Any, Callable[[int], None]], Any],
    tasks: Iterable,
    count: int,
    tick: Callable[[int], None],
    prepare: Callable[[], None] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (task, result) as they are done by `count` processes; a process that dies costs the task it was at.

    Leaving early ends the processes, and so does the end of this process, however it comes.

    Parameters
    ----------
    work : work(task, tick) -> result, importable and picklable like its tasks and results; tick(n) counts n units.
    tick : called here with the units done since the last call, several times per second; may raise to cancel.
    prepare : called once in each process.

    Raises
    ------
    What a task raised, of the kind it was.
    """
    # Spawned, not forked: MediaPipe and CUDA do not survive a fork.
    context = get_context("spawn")
    waiting, idle, busy = deque(tasks), [], {}
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _Worker(context, work, prepare)
                busy[worker.link] = worker
                worker.give(waiting.popleft())
            units = 0
            for link in connection.wait(list(busy), POLL_SECONDS):
                worker = busy[link]
                said, value = worker.answer()
                if said == "tick":
                    units += value
                    continue
                del busy[link]
                if said != "lost":
                    idle.append(worker)
                if said == "failed":
                    raise value
                yield worker.task, value
            tick(units)
    finally:
        _end([*busy.values(), *idle])


class _Worker:
    def __init__(self, context, work: Callable, prepare: Callable | None):
        self.link, far = context.Pipe()
        self.task: Any = None
        self.process = context.Process(target=_serve, args=(far, _Later(work), _Later(prepare)), daemon=True)
        self.process.start()
        far.close()

    def give(self, task) -> None:
        self.task = task
        # One that has died meanwhile answers so.
        with suppress(OSError):
            self.link.send(task)

    def answer(self) -> tuple[str, Any]:
        try:
            return self.link.recv()
        except (EOFError, OSError):
            self.process.join(ENDS_WITHIN)
            return "lost", Lost(_ended(self.process.exitcode))


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(-code).name}, possibly because memory ran out"
    return f"its process ended with exit code {code}, possibly because memory ran out"


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.link.close()
        worker.process.terminate()
    # Together, not one after the other: many that are stuck are gone as soon as one.
    deadline = time.monotonic() + ENDS_WITHIN
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))
    for worker in workers:
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


class _Later:
    """A function that is imported when it is first asked for, not when it is unpickled."""

    def __init__(self, function: Callable | None):
        self.place = (function.__module__, function.__qualname__) if function else None

    def __call__(self) -> Callable | None:
        if self.place is None:
            return None
        from importlib import import_module

        return getattr(import_module(self.place[0]), self.place[1])


def _serve(link, work: _Later, prepare: _Later) -> None:
    """What a worker does: tasks as they come, until its parent closes the link or is gone."""
    end_with_parent()
    # Ctrl-C reaches the whole group; the parent says what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    silence()
    begin = prepare()
    if begin:
        begin()
    function = work()
    with suppress(EOFError, OSError):
        while True:
            task = link.recv()
            try:
                answer = ("done", function(task, lambda units: link.send(("tick", units))))
            except Exception as error:
                answer = ("failed", error)
            link.send(answer)


def end_with_parent() -> None:
    """From now on this process ends as soon as its parent does."""

    def watch() -> None:
        connection.wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def silence() -> None:
    """What native libraries, warnings and logs of this process would print goes nowhere: results say what is wrong."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
