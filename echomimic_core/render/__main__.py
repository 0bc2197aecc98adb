"""Make videos without ComfyUI: python -m echomimic_core.render --model MODEL --image PICTURE --audio VOICE.

Many at once: python -m echomimic_core.render --model MODEL jobs.csv --out FOLDER, where jobs.csv (or .jsonl) has a
column for each flag below that differs; or folders for --image and --audio, of which each picture gets each voice.
--prepared makes the clips of a prepared data set again, from their first frame, voice and pose, for the evaluation.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ..config import AUDIO_SAMPLE_RATE, VARIANTS
from ..files.durable import write_text
from ..training.data.shards import Clip, read_manifest
from ..workers import Done, here
from .clip import ClipSettings, clip, size_of
from .jobs import (
    ENDINGS,
    FILES,
    FORMATS,
    NUMBERS,
    OWN_NUMBERS,
    SWITCHES,
    Job,
    check_job,
    job_of,
    length_of,
    pairs_of,
    read_jobs,
    render_job,
    write_frames,
)
from .models import load_models

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
JOURNAL = "journal.jsonl"


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 if every video was made, 1 if a job failed, 2 if what was given cannot be used, 130 if stopped."""
    given = parser().parse_args(arguments)
    names = (*FILES, *NUMBERS, *OWN_NUMBERS, *SWITCHES, "output", "format")
    common = {name: value for name in names if (value := getattr(given, name))}
    try:
        jobs = asked(given, common)
        if given.resume:
            jobs = [job for job in jobs if not job.output.exists()]
        good = [job for job in jobs if usable(job)]
        if given.dry_run:
            for job in good:
                print(planned(job, given.variant))
            return 0 if len(good) == len(jobs) else 1
        done = made(given, good) if good else 0
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: what is done is kept, and --resume makes the rest", file=sys.stderr)
        return 130
    print(f"{done} of {len(jobs)} videos made")
    return 0 if done == len(jobs) else 1


def asked(given, common: dict) -> list[Job]:
    """The jobs of the list, of the folders, or the one of the flags."""
    if given.jobs:
        # Files of the list are looked for beside it, those of the flags from here.
        common |= {
            name: Path(common[name]).resolve() for name in FILES if name in common and common[name] != "channels"
        }
        return read_jobs(given.jobs, given.out, common)
    if given.prepared:
        return prepared(given.prepared, common, given.out)
    if any(Path(common.get(name, "")).is_dir() for name in ("image", "audio") if name in common):
        return pairs_of(common, given.out)
    return [job_of(common, Path(), given.out)]


@dataclass(frozen=True)
class PreparedJob:
    """A clip of a prepared data set to be made again."""

    clip: Clip
    output: Path
    settings: ClipSettings
    format: str
    quality: int | None

    @property
    def image(self) -> str:
        return self.clip.info.clip

    audio = image


def prepared(folder: Path, common: dict, out: Path) -> list[PreparedJob]:
    """A job for each clip of a prepared folder; ValueError for one that is none, or flags that do not apply."""
    others = sorted(set(common) - {*NUMBERS, "quality", "format"})
    if others:
        raise ValueError(f"--prepared includes its own {others[0]}: do not give one")
    kind = common.get("format", FORMATS[0])
    numbers = {name: value for name, value in common.items() if name in NUMBERS}
    return [
        PreparedJob(
            clip,
            out / f"{clip.info.clip}{ENDINGS[kind]}",
            ClipSettings(**{"frames": len(clip), **numbers, "align": False}),
            kind,
            common.get("quality"),
        )
        for clip in read_manifest(folder)
    ]


def render_prepared(models, job: PreparedJob, progress) -> Path:
    """Make a prepared clip again from its first frame, voice and pose."""
    width, height = size_of(job.settings, models.size)
    settings = replace(job.settings, width=width, height=height)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    sound = job.clip.sound()
    frames = clip(models, job.clip.frames([0])[0], sound, job.clip.pose(), settings, progress)
    write_frames(job, settings.fps, (width, height), frames, (sound[None], AUDIO_SAMPLE_RATE))
    return job.output


def usable(job: Job | PreparedJob) -> bool:
    """Whether a job can begin; says why not."""
    if isinstance(job, PreparedJob):
        return True
    try:
        check_job(job)
    except (ValueError, OSError) as error:
        print(f"failed: {job.output}: {error}", file=sys.stderr)
        return False
    return True


def planned(job: Job, variant: str) -> str:
    """What a dry run says of a job."""
    frames = job.settings.frames if isinstance(job, PreparedJob) else length_of(job)
    steps = job.settings.steps or VARIANTS[variant].steps
    size = (
        f"{job.settings.width or job.settings.height}" if job.settings.width or job.settings.height else "the model's"
    )
    return f"{job.image} + {job.audio} -> {job.output}: {frames} frames, {steps} steps each, size {size}"


def made(given, jobs: list[Job]) -> int:
    """Make the videos, tell how each went, and keep a journal where there are several; how many were made."""
    start = partial(worker, given, quiet=given.ray is not None)
    if given.ray is None:
        outcomes = here(start, jobs)
    else:
        from ..workers.on_ray import on_ray

        outcomes = on_ray(start, jobs, given.ray, given.workers)
    done, begun = 0, time.monotonic()
    journal = known(given.out / JOURNAL, {str(job.output) for job in jobs})
    for outcome in outcomes:
        job = jobs[outcome.index]
        entry = {"output": str(job.output), "image": str(job.image), "audio": str(job.audio)}
        if isinstance(outcome, Done):
            done += 1
            print(job.output, flush=True)
            journal.append({**entry, "seconds": round(outcome.seconds, 2)})
        else:
            print(f"failed: {job.output}: {outcome.reason}", file=sys.stderr, flush=True)
            journal.append({**entry, "failed": outcome.reason})
        if len(jobs) > 1:
            write_text(given.out / JOURNAL, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in journal))
    if len(jobs) > 1:
        print(f"{3600 * done / (time.monotonic() - begun):.1f} clips per hour")
    return done


def known(path: Path, anew: set[str]) -> list[dict]:
    """What a journal says of outputs that are not made anew."""
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [entry for entry in entries if entry["output"] not in anew]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def worker(given, quiet: bool):
    """The work of one process: the model is loaded, and makes the video of a job."""
    models = load_models(
        given.model, given.vae, given.audio_encoder, given.variant, given.device, DTYPES.get(given.dtype)
    )
    return partial(_render, models, quiet)


def _render(models, quiet: bool, job: Job) -> str:
    from tqdm import tqdm

    with tqdm(desc=job.output.name, disable=True if quiet else None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        make = render_prepared if isinstance(job, PreparedJob) else render_job
        return str(make(models, job, progress))


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m echomimic_core.render", description=__doc__)
    result.add_argument("jobs", nargs="?", type=Path, help="a .csv or .jsonl file of jobs")
    result.add_argument("--model", type=Path, required=True, help="a one-file model, or a folder of released weights")
    result.add_argument("--variant", choices=("standard", "accelerated"), default="standard", help="of a folder")
    result.add_argument("--vae", type=Path, help="sd-vae-ft-mse or a TAESD (default: inside the model)")
    result.add_argument("--audio-encoder", type=Path, help="Whisper tiny (default: inside the model)")
    result.add_argument("--image", help="the picture, or a video that gets a new voice; or a folder of them")
    result.add_argument("--audio", help="the voice: a sound or video file, or a folder of them")
    result.add_argument("--prepared", type=Path, help="folder of training.prepare: makes each of its clips again")
    result.add_argument("--pose", help="pose file, zip or folder (default: hands that follow the voice)")
    result.add_argument("--gestures", help="gesture library for hands that follow the voice")
    result.add_argument("--no-hands", action="store_true", help="head and lips only")
    result.add_argument("--crop", action="store_true", help="keep the whole picture, change only the person")
    result.add_argument("--person", type=int, help="who speaks, counted from the left (default: 1)")
    result.add_argument(
        "--turns", help="several speakers: 'channels', or a text or RTTM file that says who speaks when"
    )
    result.add_argument("--output", help="name of the video (default: that of the voice)")
    result.add_argument("--out", type=Path, default=Path(), help="folder of the videos (default: here)")
    result.add_argument("--format", choices=FORMATS, help="prores has an alpha channel; png is a folder of pictures")
    result.add_argument("--quality", type=int, help="of an mp4: CRF, 0 is best")
    for name, read in NUMBERS.items():
        result.add_argument(f"--{name.replace('_', '-')}", type=read)
    result.add_argument("--device", help="cuda, cuda:1, cpu (default: cuda where there is one)")
    result.add_argument("--dtype", choices=tuple(DTYPES), help="default: float16, on the processor float32")
    result.add_argument("--resume", action="store_true", help="leave out videos that are there")
    result.add_argument("--dry-run", action="store_true", help="check every job and list it, make nothing")
    result.add_argument("--ray", nargs="?", const="local", help="spread jobs over the graphics cards of a Ray cluster")
    result.add_argument("--workers", type=int, default=0, help="on Ray (default: one per GPU)")
    return result


if __name__ == "__main__":
    sys.exit(main())
