"""Jobs in several processes, of which one that is killed takes nothing else with it."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

Jobs = list[tuple[str, tuple]]


def in_processes(
    work: Callable, jobs: dict[str, tuple], workers: int, initializer: Callable, arguments: tuple
) -> Iterator[tuple[str, object | None]]:
    """Results (name, what `work(*jobs[name])` gave) as they come; None for a job that kills its process.

    All functions and arguments are picklable; what `work` raises is raised here.
    """
    waiting = list(jobs.items())
    while waiting:
        # When a process dies, its neighbours' jobs are lost too: each is tried again in a process of its own
        for suspect in (yield from _pool(work, waiting, workers, initializer, arguments)):
            if (yield from _pool(work, [suspect], 1, initializer, arguments)):
                yield suspect[0], None


def _pool(work, waiting: Jobs, workers: int, initializer, arguments) -> Iterator[tuple[str, object]]:
    """Take jobs off `waiting` and yield their results; returns the jobs that were running when a process died."""
    running: dict = {}
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer, arguments)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running[pool.submit(work, *waiting[0][1])] = waiting[0]
                waiting.pop(0)
            for job in wait(running, return_when=FIRST_COMPLETED).done:
                result = job.result()
                yield running.pop(job)[0], result
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []
