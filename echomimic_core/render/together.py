"""One clip on several devices: a process for each device, of which the first leads, decodes and writes the videos."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch

from ..sampling.team import Team, TeamStoppedError, joined
from ..workers import sentence
from ..workers.processes import end_with_parent
from .jobs import Job
from .make import follow_job, render_job
from .models import Models

# What the leader says in place of a job's number.
NO_MORE = -1

# Loads the model on a device.
Load = Callable[[str], Models]


@contextmanager
def led(load: Load, devices: Sequence[str], jobs: list[Job]) -> Iterator[Callable]:
    """A function that makes the video of a job, as `render_job` (job, progress), on all devices together.

    The other processes end with this one, and with the context.

    Parameters
    ----------
    load : importable and picklable, for other processes.
    jobs : all that may be asked for.
    """
    with tempfile.TemporaryDirectory(prefix="echomimic-") as folder:
        meeting, size = Path(folder, "meeting"), len(devices)
        # Spawned, not forked: CUDA does not survive a fork
        start = get_context("spawn").Process
        others = [
            start(target=_follow, args=(load, devices[rank], jobs, rank, size, meeting), daemon=True)
            for rank in range(1, size)
        ]
        for process in others:
            process.start()
        try:
            with joined(0, size, meeting) as team:
                yield _leader(load, devices[0], jobs, team)
                with suppress(RuntimeError):  # One that is gone needs not be told
                    team.leaders(NO_MORE)
        finally:
            for process in others:
                process.terminate()
                process.join()


def _leader(load: Load, device: str, jobs: list[Job], team: Team) -> Callable:
    with team.at_work():
        models = replace(load(device), team=team)

    def make(job: Job, progress=None) -> None:
        team.leaders(jobs.index(job))
        with team.at_work():
            render_job(models, job, progress)

    return make


def _follow(load: Load, device: str, jobs: list[Job], rank: int, size: int, meeting: Path) -> None:
    """What every other process does: load the model, then help with jobs as the leader names them."""
    import signal

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the leader says what to do about it
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    with joined(rank, size, meeting) as team:
        try:
            with team.at_work():
                models = replace(load(device), team=team)
            while (index := _next(team)) != NO_MORE:
                _help(models, jobs[index], team)
        except Exception as error:
            print(f"process {rank + 1} on {device}: {sentence(error)}", file=sys.stderr, flush=True)


def _next(team: Team) -> int:
    """The number of the next job; what the leader could not finish after sampling is not ours to mind."""
    while True:
        try:
            return team.leaders(NO_MORE)
        except TeamStoppedError:
            continue


def _help(models: Models, job: Job, team: Team) -> None:
    try:
        with team.at_work():
            follow_job(models, job)
    except TeamStoppedError:
        pass
    except Exception as error:
        print(f"process {team.rank + 1} of {team.size}: {sentence(error)}", file=sys.stderr, flush=True)
