"""Make videos without ComfyUI: python -m echomimic_core.render --model MODEL --image PICTURE --audio VOICE.

Many at once: python -m echomimic_core.render --model MODEL jobs.csv --out FOLDER, where jobs.csv (or .jsonl) has a
column for each of image, audio, pose, output, seed, width, height, steps, guidance, frames, fps that differs.
"""

import argparse
import logging
import sys
from pathlib import Path

import torch

from ..runtime import is_out_of_memory
from .jobs import NUMBERS, Job, check_job, job_of, read_jobs, render_job
from .models import load_models

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 if every video was made, 1 if a job failed, 2 if what was given cannot be used."""
    given = parser().parse_args(arguments)
    common = {name: value for name in ("image", "audio", "pose", "output", *NUMBERS) if (value := getattr(given, name))}
    try:
        if given.jobs:
            # Files of the list are looked for beside it, those of the flags from here.
            common |= {name: Path(common[name]).resolve() for name in ("image", "audio", "pose") if name in common}
            jobs = read_jobs(given.jobs, given.out, common)
        else:
            jobs = [job_of(common, Path(), given.out)]
        if given.resume:
            jobs = [job for job in jobs if not job.output.exists()]
        good = [job for job in jobs if usable(job)]
        if given.dry_run:
            for job in good:
                print(f"{job.image} + {job.audio} -> {job.output}")
            return 0 if len(good) == len(jobs) else 1
        done = 0
        if good:
            models = load_models(
                given.model, given.vae, given.audio_encoder, given.variant, given.device, DTYPES.get(given.dtype)
            )
            done = sum(made(models, job) for job in good)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{done} of {len(jobs)} videos made")
    return 0 if done == len(jobs) else 1


def usable(job: Job) -> bool:
    """Whether a job can begin; says why not."""
    try:
        check_job(job)
    except (ValueError, OSError) as error:
        print(f"failed: {job.output}: {error}", file=sys.stderr)
        return False
    return True


def made(models, job: Job) -> bool:
    """Make one video and say how it went; what fails does not stop the others."""
    from tqdm import tqdm

    try:
        with tqdm(desc=job.output.name, unit="window", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            render_job(models, job, progress)
    except Exception as error:
        if is_out_of_memory(error):
            torch.cuda.empty_cache()
            error = "out of memory: choose a smaller width and height"
        elif not isinstance(error, ValueError | OSError):
            logging.exception("EchoMimicV2: %s", job.output)
        print(f"failed: {job.output}: {error}", file=sys.stderr)
        return False
    print(job.output)
    return True


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m echomimic_core.render", description=__doc__)
    result.add_argument("jobs", nargs="?", type=Path, help="a .csv or .jsonl file of jobs")
    result.add_argument("--model", type=Path, required=True, help="a one-file model, or a folder of released weights")
    result.add_argument("--variant", choices=("standard", "accelerated"), default="standard", help="of a folder")
    result.add_argument("--vae", type=Path, help="sd-vae-ft-mse or a TAESD (default: inside the model)")
    result.add_argument("--audio-encoder", type=Path, help="Whisper tiny (default: inside the model)")
    result.add_argument("--image", help="the picture of the person")
    result.add_argument("--audio", help="the voice: a sound or video file")
    result.add_argument("--pose", help="pose file, zip or folder (default: hands that follow the voice)")
    result.add_argument("--output", help="name of the video (default: that of the voice)")
    result.add_argument("--out", type=Path, default=Path(), help="folder of the videos (default: here)")
    for name, read in NUMBERS.items():
        result.add_argument(f"--{name}", type=read)
    result.add_argument("--device", help="cuda, cuda:1, cpu (default: cuda where there is one)")
    result.add_argument("--dtype", choices=tuple(DTYPES), help="default: float16, on the processor float32")
    result.add_argument("--resume", action="store_true", help="leave out videos that are there")
    result.add_argument("--dry-run", action="store_true", help="check every job and list it, make nothing")
    return result


if __name__ == "__main__":
    sys.exit(main())
