"""Make videos without ComfyUI: python -m echomimic_core.render --model MODEL --image PICTURE --audio VOICE.

Many at once: python -m echomimic_core.render --model MODEL jobs.csv --out FOLDER, where jobs.csv (or .jsonl) has a
column for each flag below that differs; or folders for --image and --audio, of which each picture gets each voice.
--prepared makes the clips of a prepared data set again, from their first frame, voice and pose, for the evaluation.
Files may also be at addresses such as s3://bucket/voice.wav, if fsspec and its package for them are installed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from ..files.addresses import Address, place
from ..runtime import Progress
from ..training.data.shards import read_manifest
from ..workers import Done, Outcome, here, sentence
from .jobs import (
    ALL_NUMBERS,
    ALL_SWITCHES,
    CHANNELS,
    CHOICES,
    FILES,
    FORMATS,
    KNOWN,
    OWN_SWITCHES,
    Job,
    Unusable,
    job_of,
    pairs_of,
    read_jobs,
)
from .journal import Journal
from .make import check_job, forget_segments, render_job
from .models import Models, load_models, name_of
from .plan import Pace, Planner, gib, measure, said_of
from .prepared import PreparedJob, prepared_jobs, render_prepared
from .together import led

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Asked = Job | PreparedJob | Unusable


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 if every video was made, 1 if a job failed, 2 if what was given cannot be used, 130 if stopped."""
    given = parser().parse_args(arguments)
    if given.devices is not None and (given.device or given.prepared or given.ray is not None):
        parser().error("--devices excludes --device, --prepared and --ray")
    common = {name: value for name in KNOWN if (value := getattr(given, name)) is not None}
    try:
        jobs = asked(given, common)
        several = len(jobs) > 1
        there, jobs = apart(jobs) if given.resume else ([], jobs)
        journal = Journal(given.out if several and not given.dry_run else None, outputs(jobs))
        for job in there:
            settle(job, journal)
        good = looked_at(jobs, journal)
        if given.dry_run:
            planned(given, good)
            return 0 if len(good) == len(jobs) else 1
        done = made(given, [job for job, _ in good], journal) if good else 0
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: what is done is kept, and --resume makes the rest", file=sys.stderr)
        return 130
    failed = f", {len(jobs) - done} failed" if done < len(jobs) else ""
    print(f"{done} of {len(jobs)} videos made{failed}" if jobs else "all videos are there: nothing to do")
    return 0 if done == len(jobs) else 1


def asked(given, common: dict) -> list[Asked]:
    """The jobs of the list, of the folders, or the one of the flags."""
    if given.jobs:
        # Files of the list are looked for beside it, those of the flags from here.
        mine = {name: place(common[name]) for name in FILES if name in common and common[name] != CHANNELS}
        common |= {name: file if isinstance(file, Address) else file.resolve() for name, file in mine.items()}
        return read_jobs(given.jobs, given.out, common)
    if given.prepared:
        return prepared_jobs(read_manifest(given.prepared), common, given.out)
    if any(place(common[name]).is_dir() for name in ("image", "audio") if name in common):
        return pairs_of(common, given.out)
    return [job_of(common, Path(), given.out)]


def apart(jobs: list[Asked]) -> tuple[list[Asked], list[Asked]]:
    """The jobs whose videos are made already, and the others."""
    made: tuple[list[Asked], list[Asked]] = ([], [])
    for job in jobs:
        made[not is_there(job)].append(job)
    return made


def is_there(job: Asked) -> bool:
    """Whether the video of a job is made already."""
    return not isinstance(job, Unusable) and job.output.exists()


def outputs(jobs: list[Asked]) -> set[str]:
    """The names of the videos of jobs."""
    return {str(job.output) for job in jobs}


def settle(job: Job | PreparedJob, journal: Journal) -> None:
    """What a run that was killed has left to do for a video that is there."""
    journal.found(job.output, **_inputs(job))
    if isinstance(job, Job):
        forget_segments(job)


def looked_at(jobs: list[Asked], journal: Journal) -> list[tuple[Job | PreparedJob, tuple[int, int]]]:
    """The jobs that can begin, each with its frames and how many people speak; says why the others cannot."""
    good = []
    for job in jobs:
        try:
            if isinstance(job, Unusable):
                raise ValueError(job.reason)
            good.append((job, (job.settings.frames, 1) if isinstance(job, PreparedJob) else check_job(job)))
        except Exception as error:
            failed(job, sentence(error), journal)
    return good


def failed(job: Asked, reason: str, journal: Journal) -> None:
    """Say that a job failed, and write it down."""
    print(f"failed: {job.output}: {reason}", file=sys.stderr, flush=True)
    journal.note(job.output, **_inputs(job), failed=reason)


def _inputs(job: Asked) -> dict[str, str]:
    return {} if isinstance(job, Unusable) else {"image": str(job.image), "audio": str(job.audio)}


def planned(given, jobs: list[tuple[Job | PreparedJob, tuple[int, int]]]) -> None:
    """Print what each job takes; times only where they are measured."""
    planner = Planner(given.model, given.vae, given.audio_encoder, given.variant, given.device, DTYPES.get(given.dtype))
    models, paces, total = None, {}, 0.0
    for job, (frames, people) in jobs:
        settings, size = job.settings, job.settings.width or job.settings.height or planner.size
        said = f"{frames} frames, {planner.steps(settings)} steps each, size {size}"
        said += f", about {gib(planner.memory(settings, frames))} of memory"
        if given.warm_up:
            models = models or loaded(given)
            seconds = people * planner.seconds(settings, frames, pace_of(models, settings, paces))
            said, total = f"{said}, about {said_of(seconds)}", total + seconds
        print(f"{job.image} + {job.audio} -> {job.output}: {said}")
    for pace in paces.values():
        print(f"measured: {pace}")
    print(f"together about {said_of(total)} on one worker" if given.warm_up else "time unknown: --warm-up measures it")


def pace_of(models, settings, paces: dict[tuple, Pace]) -> Pace:
    """The pace of clips of that size, measured once."""
    kind = (settings.width, settings.height, settings.guidance, settings.speed)
    if kind not in paces:
        paces[kind] = measure(models, settings)
    return paces[kind]


def made(given, jobs: list[Job | PreparedJob], journal: Journal) -> int:
    """Make the videos, say and write down how each went; how many were made."""
    from tqdm import tqdm

    done, begun = 0, time.monotonic()
    bar = tqdm(total=len(jobs), unit="clip", disable=None if given.ray and len(jobs) > 1 else True)
    with ExitStack() as stack, bar:
        for outcome in outcomes_of(given, jobs, stack):
            job = jobs[outcome.index]
            bar.update()
            bar.clear()
            if isinstance(outcome, Done):
                done += 1
                print(job.output, flush=True)
                journal.note(job.output, **_inputs(job), seconds=round(outcome.seconds, 2))
            else:
                failed(job, outcome.reason, journal)
    if len(jobs) > 1:
        print(f"{3600 * done / (time.monotonic() - begun):.1f} clips per hour")
    return done


def outcomes_of(given, jobs: list[Job | PreparedJob], stack: ExitStack) -> Iterator[Outcome]:
    """How each job went, as they are done; `stack` ends the processes that help."""
    if given.devices is not None:
        devices = given.devices.split(",")
        make = stack.enter_context(led(partial(loaded_on, given), devices, jobs))
        return here(lambda: partial(_render, make, False), jobs)
    start = partial(worker, given, quiet=given.ray is not None)
    if given.ray is None:
        return here(start, jobs)
    from ..workers.on_ray import on_ray

    new = outputs([job for job in jobs if not is_there(job)])
    checks = {"same": partial(_model, given), "found": partial(_found, new)}
    return on_ray(start, jobs, given.ray, given.workers, **checks)


def _found(new: set[str], job: Job | PreparedJob) -> str | None:
    return str(job.output) if str(job.output) in new and job.output.exists() else None


def _model(given) -> str:
    return name_of(given.model, given.vae, given.audio_encoder)


def loaded(given) -> Models:
    """The model of the flags."""
    return loaded_on(given, given.device)


def loaded_on(given, device: str | None) -> Models:
    """The model of the flags on another device."""
    return load_models(given.model, given.vae, given.audio_encoder, given.variant, device, DTYPES.get(given.dtype))


def worker(given, quiet: bool):
    """The work of one process: the model is loaded, and makes the video of a job."""
    return partial(_render, partial(_make, loaded(given)), quiet)


def _make(models: Models, job: Job | PreparedJob, progress: Progress | None) -> None:
    make = render_prepared if isinstance(job, PreparedJob) else render_job
    make(models, job, progress)


def _render(make: Callable, quiet: bool, job: Job | PreparedJob) -> str:
    from tqdm import tqdm

    with tqdm(desc=job.output.name, disable=True if quiet else None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        make(job, progress)
    return str(job.output)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m echomimic_core.render", description=__doc__)
    result.add_argument("jobs", nargs="?", type=place, help="a .csv or .jsonl file of jobs")
    result.add_argument("--model", type=Path, required=True, help="a one-file model, or a folder of released weights")
    result.add_argument("--variant", choices=("standard", "accelerated"), default="standard", help="of a folder")
    result.add_argument("--vae", type=Path, help="sd-vae-ft-mse or a TAESD (default: inside the model)")
    result.add_argument("--audio-encoder", type=Path, help="Whisper tiny (default: inside the model)")
    result.add_argument("--image", help="the picture, or a video that gets a new voice; or a folder of them")
    result.add_argument("--audio", help="the voice: a sound or video file, or a folder of them")
    result.add_argument("--prepared", type=Path, help="folder of training.prepare: makes each of its clips again")
    result.add_argument("--pose", help="pose file, zip or folder (default: hands that follow the voice)")
    result.add_argument("--gestures", help="gesture library for hands that follow the voice")
    result.add_argument(
        "--turns", help="several speakers: 'channels', or a text or RTTM file that says who speaks when"
    )
    helps = {
        "crop": "keep the whole picture, change only the person",
        "no_hands": "head and lips only",
        "person": "who speaks, counted from the left (default: 1)",
        "quality": "of an mp4: CRF, 0 is best",
        "fit_hands": "match hand size and arm length to the person (default)",
        "retarget": "for other bodies, such as a child or a toy: fit every bone instead",
        "framing": "how the picture is framed",
        "fill": "what is seen beyond the picture's edges",
        "preset": "speed: exact (default), fast or fastest",
        "tuning": "what is tried on a CUDA card: layout (default), kernels or off",
        "reuse_steps": "compute only every so manieth step in full",
        "merge_reference": "merge reference tokens in squares of this side",
    }
    for name in (*ALL_NUMBERS, *ALL_SWITCHES, *CHOICES):
        kind = {"choices": CHOICES[name]} if name in CHOICES else {}
        if name in ALL_SWITCHES:
            kind = {"action": "store_true" if name in OWN_SWITCHES else argparse.BooleanOptionalAction, "default": None}
        result.add_argument(f"--{name.replace('_', '-')}", help=helps.get(name), **kind)
    result.add_argument("--size", help="width and height: 512, or 512x768 (default: the model's)")
    result.add_argument("--output", help="name of the video (default: that of the voice)")
    result.add_argument("--out", type=place, default=Path(), help="folder of the videos (default: here)")
    result.add_argument("--format", choices=FORMATS, help="prores has an alpha channel; png is a folder of pictures")
    result.add_argument("--device", help="cuda, cuda:1, cpu (default: cuda where there is one)")
    result.add_argument("--devices", help="sample every clip on several together: cuda:0,cuda:1")
    result.add_argument("--dtype", choices=tuple(DTYPES), help="default: float16, on the processor float32")
    result.add_argument("--resume", action="store_true", help="leave out videos that are there")
    result.add_argument("--dry-run", action="store_true", help="check every job and list it, make nothing")
    result.add_argument("--warm-up", action="store_true", help="with --dry-run: measure how long each job takes")
    result.add_argument("--ray", nargs="?", const="local", help="spread jobs over the graphics cards of a Ray cluster")
    result.add_argument("--workers", type=int, default=0, help="on Ray (default: one per GPU)")
    return result


if __name__ == "__main__":
    sys.exit(main())
