"""Workers on a Ray cluster: one a graphics card, which keeps what it has loaded. The only importer of ray.

Nothing listens beyond this machine unless the address of a cluster is given; there is no dashboard and no report.
"""

import asyncio
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .outcome import Done, Failed, Outcome, Start, sentence

# A task whose worker is lost is tried again so often: a task that kills its worker must not kill them all.
MOST_ATTEMPTS = 3
LOCAL = "local"
_ANSWER_SECONDS = 10
# So often, while nothing comes, it is looked whether the machines are still there.
_LOOK_SECONDS = 20


@lru_cache(maxsize=1)
def code_version() -> str:
    """A name for the code of this package, as it lies on this machine."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def on_ray(
    start: Start,
    tasks: Sequence[Any],
    address: str = LOCAL,
    workers: int = 0,
    *,
    cores: int = 0,
    same: Callable[[], str] | None = None,
    found: Callable[[Any], Any] | None = None,
) -> Iterator[Outcome]:
    """The outcomes of all tasks as they come.

    Parameters
    ----------
    address : of a cluster, or "local" for one that lives as long as this call.
    workers : how many; 0 is as many as there is room for.
    cores : of each worker, which then takes no graphics card; 0 is one worker a card, or where there is none one a
        machine, with its share of the cores.
    same : names what, besides the code, has to be the same on every machine; asked on each before the first task.
    found : what a lost worker left as the result of a task after all; None where it has to be done again.

    Raises
    ------
    ValueError : ray is not installed, the cluster is not there, other machines have other code or other files, or
        `start` failed.
    """
    ray = _ray(address)
    with _cluster(ray, address):
        machines = _machines(ray)
        _compare(ray, machines, same)
        yield from _Pool(ray, _Share.of(machines, len(tasks), workers, cores), start, tasks, found).outcomes()


def _machines(ray) -> list[dict]:
    """The machines that can work."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return [node for node in alive if node["Resources"].get("CPU", 0) or node["Resources"].get("GPU", 0)]


@dataclass(frozen=True)
class _Share:
    """How many workers there are, and what each takes of a machine."""

    count: int
    cores: int
    cards: float = 0.0

    @classmethod
    def of(cls, machines: list[dict], tasks: int, workers: int, cores: int) -> "_Share":
        has = [int(machine["Resources"].get("CPU", 0)) for machine in machines] or [1]
        if cores:
            return cls(min(workers or max(sum(own // cores for own in has), 1), tasks), cores)
        cards = int(sum(machine["Resources"].get("GPU", 0) for machine in machines))
        count = max(min(workers or cards or len(machines), tasks), 1)
        # No more than the smallest machine has.
        return cls(count, max(min(sum(has) // count, *has), 1), min(cards / count, 1.0))


def _about(same: Callable[[], str] | None, folder: str) -> tuple[str, str]:
    _enter(folder)
    try:
        return code_version(), same() if same else ""
    except (ValueError, OSError) as error:
        return code_version(), str(error)


def _compare(ray, machines: list[dict], same: Callable[[], str] | None) -> None:
    """ValueError unless every machine has the code and the files that this one has."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    here, ask = _about(same, os.getcwd()), ray.remote(_about)
    asked = []
    for machine in machines:
        there = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=On(machine["NodeID"], soft=False))
        asked.append((machine["NodeManagerAddress"], there.remote(same, os.getcwd())))
    for name, answer in asked:
        try:
            version, files = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            raise ValueError(f"the pack does not run on {name}: {error.cause or error}") from error
        except ray.exceptions.RayError:
            continue  # Lost before it had any work
        _check_version(version, name)
        if files != here[1]:
            raise ValueError(f"the model on {name} is another: {files}, here it is {here[1]}")


def _check_version(version: str, machine: str) -> None:
    if version != code_version():
        raise ValueError(
            f"{machine} has other code ({version}, here it is {code_version()}): install the same version of the pack "
            "everywhere"
        )


def _enter(folder: str) -> None:
    """Work in the folder that relative paths are meant from, where a machine has it."""
    with suppress(OSError):
        os.chdir(folder)


class _Worker:
    """Lives on one of the machines."""

    def __init__(self, start: Start, threads: int, folder: str):
        self.start, self.threads, self.work = start, threads, None
        _enter(folder)

    def ready(self) -> tuple[str, str]:
        """Load everything: the version of the code here, and what went wrong."""
        import torch

        torch.set_num_threads(self.threads)
        try:
            self.work = self.start()
        except Exception as error:
            return code_version(), sentence(error)
        return code_version(), ""

    def do(self, index: int, task: Any) -> Outcome:
        begun = time.monotonic()
        try:
            return Done(index, self.work(task), time.monotonic() - begun)
        except Exception as error:
            return Failed(index, sentence(error))


class _Pool:
    def __init__(self, ray, share: _Share, start: Start, tasks: Sequence[Any], found: Callable[[Any], Any] | None):
        self.ray, self.share, self.start, self.tasks, self.found = ray, share, start, tasks, found
        needs = {"num_cpus": share.cores, "num_gpus": share.cards}
        self.made = ray.remote(_Worker).options(scheduling_strategy="SPREAD", max_restarts=0, **needs)
        self.waiting: deque[int] = deque(range(len(tasks)))
        self.attempts = [0] * len(tasks)
        # What is awaited: the worker, and the task it has; None while it loads.
        self.busy: dict[Any, tuple[Any, int | None]] = {}
        self.losses = 0
        for _ in range(share.count):
            self.hire()

    def hire(self) -> None:
        worker = self.made.remote(self.start, self.share.cores, os.getcwd())
        self.busy[worker.ready.remote()] = (worker, None)

    def outcomes(self) -> Iterator[Outcome]:
        missing = len(self.tasks)
        while missing:
            future = self.next()
            worker, index = self.busy.pop(future)
            try:
                result = self.ray.get(future)
            except self.ray.exceptions.RayTaskError as error:
                result = Failed(index, sentence(error.cause or error)) if index is not None else ("", str(error.cause))
            except self.ray.exceptions.RayError:
                for outcome in self.lost(index):
                    missing -= 1
                    yield outcome
                if missing:
                    self.hire()
                continue
            if index is None:
                self.check(*result)
            else:
                missing -= 1
                yield result
            if self.waiting:
                task = self.waiting.popleft()
                self.attempts[task] += 1
                self.busy[worker.do.remote(task, self.tasks[task])] = (worker, task)

    def next(self) -> Any:
        """What is ready first; ValueError where no machine is left that could make anything."""
        while True:
            ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=_LOOK_SECONDS)
            if ready:
                return ready[0]
            if not _machines(self.ray):
                raise ValueError("no machine of the cluster is left: what is done is kept, run it again for the rest")

    def lost(self, index: int | None) -> Iterator[Outcome]:
        """A worker is gone, with its machine or alone: its task is done, given to another, or given up."""
        if index is None:
            self.losses += 1
            if self.losses >= MOST_ATTEMPTS * self.share.count:
                raise ValueError("workers are lost while they load: they may need more memory")
            return
        value = None if self.found is None else self.found(self.tasks[index])
        if value is not None:
            yield Done(index, value)
        elif self.attempts[index] < MOST_ATTEMPTS:
            self.waiting.appendleft(index)
        else:
            yield Failed(index, f"its worker was lost {MOST_ATTEMPTS} times: it may need more memory")

    def check(self, version: str, problem: str) -> None:
        if problem:
            raise ValueError(problem)
        # Of a machine that came later.
        _check_version(version, "a machine of the cluster")
        self.losses = 0


def _ray(address: str):
    # Read when ray is imported: no reports of use, and a local cluster that only this machine can reach.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # As fast as without Ray: its own default lets every other program of the machine go first.
        os.environ.setdefault("RAY_worker_niceness", "0")  # noqa: SIM112 (its name)
    try:
        import ray
    except ImportError as error:
        raise ValueError("ray is not installed: python -m pip install '.[ray]'") from error
    return ray


def _knock(address: str) -> None:
    """OSError where nobody answers: ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an address is HOST:PORT, usually with port 6379")

    async def knock() -> None:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _ANSWER_SECONDS)
        writer.close()

    asyncio.run(knock())


@contextmanager
def _cluster(ray, address: str) -> Iterator[None]:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    alone = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if address == LOCAL else {}
    try:
        if address != LOCAL:
            _knock(address)
        ray.init(address=address, **quiet, **alone)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ValueError(f"no Ray cluster at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
