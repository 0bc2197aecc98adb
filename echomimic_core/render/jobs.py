"""Jobs: what to make of which files, one or a list of them; all are looked at before the first one begins."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..config import AUDIO_SAMPLE_RATE, FRAME_SIZE
from ..files.durable import check_name
from ..media.picture import read_picture
from ..media.sound import read_mono
from ..media.video import VideoWriter, sound_pieces
from ..pose.files import load_any
from ..runtime import Progress
from .clip import ClipSettings, clip, size_of
from .models import Models

FILES = ("image", "audio", "pose")
# Settings of a clip that a job may name, with what reads each from text.
NUMBERS: dict[str, Callable] = {
    "seed": int,
    "steps": int,
    "guidance": float,
    "width": int,
    "height": int,
    "frames": int,
    "fps": float,
}


@dataclass(frozen=True)
class Job:
    """A picture, a voice, optionally a pose, and the video to write."""

    image: Path
    audio: Path
    output: Path
    pose: Path | None = None
    settings: ClipSettings = field(default_factory=ClipSettings)


def read_jobs(path: str | Path, out: Path, common: Mapping[str, str] | None = None) -> list[Job]:
    """The jobs of a .csv or .jsonl file, whose columns or keys are the command's own flags.

    Parameters
    ----------
    out : folder of the videos; `output` names one, and without it the voice does.
    common : what holds for all jobs that do not say otherwise.

    Raises
    ------
    ValueError : with the line that cannot be understood.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig")
    try:
        if path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(io.StringIO(text)))
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise ValueError(f"{path} is neither CSV nor one JSON object a line: {error}") from error
    jobs = []
    for number, row in enumerate(rows, 1):
        try:
            if not isinstance(row, dict):
                raise ValueError("it is not an object of names and values")
            given = {key: value for key, value in row.items() if value not in (None, "")}
            jobs.append(job_of({**(common or {}), **given}, path.parent, out))
        except ValueError as error:
            raise ValueError(f"{path}, job {number}: {error}") from error
    names = [job.output for job in jobs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path}: two jobs would write {twice}: name their output")
    return jobs


def job_of(values: Mapping, folder: Path, out: Path) -> Job:
    """A job of named values; files are looked for from `folder`, the video is written below `out`."""
    known = {*FILES, "output", *NUMBERS}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown: a job has {', '.join(sorted(known))}")
    for needed in ("image", "audio"):
        if needed not in values:
            raise ValueError(f"it has no {needed}")
    paths = {name: folder / str(values[name]) for name in FILES if name in values}
    numbers = {}
    for name, read in NUMBERS.items():
        if name in values:
            try:
                numbers[name] = read(values[name])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} is {values[name]!r}, which is not a number") from error
    output = out / str(values.get("output") or f"{paths['audio'].stem}.mp4")
    return Job(paths["image"], paths["audio"], output, paths.get("pose"), ClipSettings(**numbers))


def check_job(job: Job) -> None:
    """ValueError with a sentence for what would stop this job, as far as can be known without computing."""
    for what, path in (("image", job.image), ("audio", job.audio), ("pose", job.pose)):
        if path is not None and not path.exists():
            raise ValueError(f"{what} {path} does not exist")
    check_name(job.output.name)
    size_of(job.settings, FRAME_SIZE)
    read_picture(job.image)
    next(sound_pieces(job.audio))


def render_job(models: Models, job: Job, progress: Progress | None = None) -> Path:
    """Make the video of a job, with its voice; it appears whole or not at all."""
    picture, voice = read_picture(job.image), read_mono(job.audio)
    pose = None if job.pose is None else load_any(job.pose)
    settings = replace(job.settings, **dict(zip(("width", "height"), size_of(job.settings, models.size), strict=True)))
    job.output.parent.mkdir(parents=True, exist_ok=True)
    sound = (voice[None], AUDIO_SAMPLE_RATE)
    with VideoWriter(job.output, settings.fps, settings.width, settings.height, sound) as writer:
        for frame in clip(models, picture, voice, pose, settings, progress):
            writer.write(frame[None])
    return job.output
