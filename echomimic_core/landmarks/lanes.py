"""Work side by side on the processor: a thread for each core, each of which computes alone.

These networks have hundreds of small operators. Cores that share each of them wait for each other hundreds of times;
cores that each have a picture of their own never do.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Result = TypeVar("Result")
_here = threading.local()


def lanes(device: torch.device) -> int:
    """How many tasks may run side by side: 1 on a graphics card, inside a lane, and where gradients are wanted."""
    if device.type != "cpu" or torch.is_grad_enabled() or getattr(_here, "in_lane", False):
        return 1
    return torch.get_num_threads()


def side_by_side(tasks: list[Callable[[], Result]], device: torch.device) -> list[Result]:
    """What the tasks give, in order; they must not depend on each other."""
    count = lanes(device)
    if count == 1 or len(tasks) < 2:
        return [task() for task in tasks]
    return list(_pool(count).map(_without_gradients, tasks))


def _without_gradients(task: Callable[[], Result]) -> Result:
    # Torch's modes belong to threads.
    with torch.inference_mode():
        return task()


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    started = threading.Barrier(count + 1)

    def start() -> None:
        _here.in_lane = True
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="landmarks")
    for _ in range(count):
        pool.submit(start)
    started.wait()
    # The setting is a thread's own, but it is also what threads that start later begin with.
    torch.set_num_threads(count)
    return pool
