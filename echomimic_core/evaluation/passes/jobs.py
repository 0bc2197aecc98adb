"""The passes over clips, one after another or in several processes, with what is cached left out."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...runtime import Progress, is_out_of_memory
from ...workers import OUT_OF_MEMORY, Done
from ...workers.processes import Lost, run_tasks
from ..clips import Clip, ClipError
from ..extractors import EXTRACTORS
from ..settings import Settings
from .cache import Cache
from .compare import compare
from .extract import Fact, Result, extract

# Fewer frames than this are done before a second process has started.
FRAMES_WORTH_A_PROCESS = 150
TICKS_AT_ONCE = 8


@dataclass(frozen=True)
class Job:
    """One pass: the extractors `names` over `clip`, or the measures `names` of it against `reference`.

    limit : frames to read, 0 for all. set_size : clips on that side of the evaluation.
    """

    clip: Clip
    names: tuple[str, ...]
    reference: Clip | None = None
    limit: int = 0
    set_size: int = 1

    def frames(self) -> int:
        """About how many frames are read."""
        length = self.clip.length()
        return min(self.limit, length) if self.limit else length

    def cache_key(self, name: str, settings: Settings) -> tuple | None:
        """What the result under a name depends on; None if a clip is in memory."""
        if self.clip.path is None or (self.reference and self.reference.path is None):
            return None
        if self.reference:
            networks, options = (("lpips",) if name == "lpips" else ()), ()
        else:
            networks = EXTRACTORS[name].networks + EXTRACTORS[name].optional
            options = EXTRACTORS[name].options(replace(settings, set_size=self.set_size))
        networks = tuple(settings.fingerprint(network) for network in networks if settings.find(network))
        # Devices round differently, and another MediaPipe scores other expressions with the same bundle.
        networks += (settings.device,) if networks else ()
        networks += (settings.mediapipe_version(),) if name == "blendshapes" else ()
        reference = self.reference.fingerprint() if self.reference else ""
        return (name, self.clip.fingerprint(), reference, self.limit, networks, options)

    def run(self, settings: Settings, tick: Callable[[], None]) -> tuple[dict[str, Result], list[str]]:
        """Results by name, and remarks; a clip that cannot be read gives its sentence under every name."""
        try:
            if self.reference:
                return compare(self.clip, self.reference, list(self.names), settings, tick)
            settings = replace(settings, set_size=self.set_size)
            return extract(self.clip, list(self.names), settings, tick, self.limit), []
        except ValueError as error:
            sentence = Fact(error) if isinstance(error, ClipError) else str(error)
            return dict.fromkeys(self.names, sentence), []
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # Whatever one file does, the others are still to be evaluated.
            logging.debug("%s failed", self.clip.name, exc_info=True)
            return dict.fromkeys(self.names, f"{self.clip.name} failed with {type(error).__name__}: {error}"), []


Outcome = tuple[Job, dict[str, Result], list[str]]


def run_all(
    jobs: Iterable[Job],
    settings: Settings,
    cache: Cache,
    processes: int = 0,
    progress: Progress | None = None,
    ray: str | None = None,
) -> Iterator[Outcome]:
    """Yield each job with its results by name and its remarks, in no particular order.

    Parameters
    ----------
    processes : at most so many at once; 0 is one for each core. Results do not depend on it.
    progress : called with (frames done, frames of all); may raise to cancel.
    ray : the address of a Ray cluster that works instead of processes, or "local".
    """
    remaining = []
    for job in jobs:
        kept, rest = _from_cache(job, settings, cache)
        if kept:
            yield job, {name: result for name, result, _ in kept}, sorted({r for *_, rs in kept for r in rs})
        if rest:
            remaining.append(replace(job, names=tuple(rest)))
    # The longest first, so that none is left over for the end.
    sized = sorted(((job.frames(), job) for job in remaining), key=lambda pair: -pair[0])
    total = sum(frames for frames, _ in sized)
    count = min(processes or cores(), len(sized))
    if not processes and total < FRAMES_WORTH_A_PROCESS * count:
        count = min(count, 1)
    in_memory = any(job.clip.path is None or (job.reference and job.reference.path is None) for job in remaining)
    runner = _in_processes if count > 1 and not in_memory else _in_turn
    runner = partial(_on_ray, ray) if ray and sized and not in_memory else runner
    try:
        for job, results, remarks in runner([job for _, job in sized], settings, count, _Counter(progress, total)):
            _to_cache(job, results, remarks, settings, cache)
            yield job, results, remarks
    except _Cancelled as cancelled:
        raise cancelled.reason from None


def _from_cache(job: Job, settings: Settings, cache: Cache) -> tuple[list, list[str]]:
    kept, rest = [], []
    for name in job.names:
        try:
            key = job.cache_key(name, settings)
        except OSError:
            key = None
        found = cache.get(*key) if key else None
        if found is None:
            rest.append(name)
        else:
            remarks = [str(remark) for remark in found.pop("remarks", ())]
            kept.append((name, Fact(found["sentence"]) if "sentence" in found else found, remarks))
    return kept, rest


def _to_cache(job: Job, results: dict[str, Result], remarks: list[str], settings: Settings, cache: Cache) -> None:
    for name, result in results.items():
        if isinstance(result, Fact):
            result = {"sentence": np.array(str(result))}
        # A file that was taken away meanwhile has no hash any more.
        with suppress(OSError):
            if isinstance(result, dict) and (key := job.cache_key(name, settings)):
                cache.put(result | ({"remarks": np.array(remarks)} if remarks else {}), *key)


class _Cancelled(BaseException):
    """What the progress callable raised, on its way past everything that forgives the failures of a file."""

    def __init__(self, reason: Exception):
        super().__init__(reason)
        self.reason = reason


class _Counter:
    """Frames done, reported to the progress callable."""

    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, frames: int = 1) -> None:
        self._tell(self.done, max(self.total, self.done))
        self.done += frames

    def finish(self) -> None:
        if self.total:
            self._tell(self.total, self.total)

    def _tell(self, done: int, total: int) -> None:
        if self.progress:
            try:
                self.progress(done, total)
            except Exception as error:
                raise _Cancelled(error) from error


def _in_turn(jobs: list[Job], settings: Settings, _count: int, counter: _Counter) -> Iterator[Outcome]:
    for job in jobs:
        yield (job, *job.run(settings, counter))
    counter.finish()


def _in_processes(jobs: list[Job], settings: Settings, count: int, counter: _Counter) -> Iterator[Outcome]:
    tasks = [(job, settings, max(cores() // count, 1)) for job in jobs]
    for (job, *_), outcome in run_tasks(_work, tasks, count, counter):
        if isinstance(outcome, Lost):
            outcome = dict.fromkeys(job.names, f"{job.clip.name} was not read: {outcome.reason}"), []
        yield (job, *outcome)
    counter.finish()


def _on_ray(address: str, jobs: list[Job], settings: Settings, _count: int, counter: _Counter) -> Iterator[Outcome]:
    from ...workers.on_ray import on_ray

    cores_each = 1 if settings.device == "cpu" else 0
    for outcome in on_ray(partial(_read, settings), jobs, address, cores=cores_each):
        job = jobs[outcome.index]
        counter(job.frames())
        if isinstance(outcome, Done):
            yield (job, *outcome.value)
        elif outcome.reason == OUT_OF_MEMORY:
            raise MemoryError(OUT_OF_MEMORY)
        else:
            yield job, dict.fromkeys(job.names, f"{job.clip.name} was not read: {outcome.reason}"), []
    counter.finish()


def _read(settings: Settings) -> Callable[[Job], tuple[dict[str, Result], list[str]]]:
    return lambda job: job.run(settings, lambda: None)


def _work(task: tuple[Job, Settings, int], count: Callable[[int], None]) -> tuple[dict[str, Result], list[str]]:
    import torch

    from ...media.opencv import cv2

    job, settings, threads = task
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    pending = 0

    def tick() -> None:
        nonlocal pending
        pending += 1
        if pending == TICKS_AT_ONCE:
            count(pending)
            pending = 0

    outcome = job.run(settings, tick)
    count(pending)
    return outcome


def cores() -> int:
    """Processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
