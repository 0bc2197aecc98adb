"""The clips of a prepared data set made again, from their first frame, voice and pose, for the evaluation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import AUDIO_SAMPLE_RATE
from ..files.addresses import Address, Place
from ..files.durable import make_folder
from ..runtime import Progress
from .clip import ClipSettings, clip, size_of
from .jobs import ALL_NUMBERS, NUMBERS
from .make import write_frames
from .models import Models
from .output import ENDINGS, FORMATS


@dataclass(frozen=True)
class PreparedJob:
    """A clip of a prepared data set to be made again.

    clip : a `Clip` of `training.data.shards`.
    """

    clip: Any
    output: Path
    settings: ClipSettings
    format: str
    quality: int | None

    @property
    def image(self) -> str:
        return self.clip.info.clip

    audio = image


def prepared_jobs(clips: Iterable, common: Mapping, out: Place) -> list[PreparedJob]:
    """A job for each clip of a prepared data set; ValueError for flags that do not apply."""
    others = sorted(set(common) - {*NUMBERS, "quality", "format"})
    if others:
        raise ValueError(f"--prepared includes its own {others[0]}: leave that flag out")
    if isinstance(out, Address):
        raise ValueError(f"--prepared writes into a folder of this machine, but --out is {out}")
    kind = common.get("format", FORMATS[0])
    numbers = {name: ALL_NUMBERS[name].read(name, common[name]) for name in (*NUMBERS, "quality") if name in common}
    quality = numbers.pop("quality", None)
    return [
        PreparedJob(
            clip,
            out / f"{clip.info.clip}{ENDINGS[kind]}",
            ClipSettings(**{"frames": len(clip), **numbers, "align": False}),
            kind,
            quality,
        )
        for clip in clips
    ]


def render_prepared(models: Models, job: PreparedJob, progress: Progress | None = None) -> None:
    """Make a prepared clip again from its first frame, voice and pose."""
    width, height = size_of(job.settings, models.size)
    settings = replace(job.settings, width=width, height=height)
    make_folder(job.output.parent)
    sound = job.clip.sound()
    frames = clip(models, job.clip.frames([0])[0], sound, job.clip.pose(), settings, progress)
    write_frames(job, settings.fps, (width, height), frames, (sound[None], AUDIO_SAMPLE_RATE))
