"""Jobs: what to make of which files, one or a list of them; all are looked at before the first one begins."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..apdh.steering import KEYPOINT_GROUPS, APDHOptions
from ..audio import clip_frames
from ..config import AUDIO_SAMPLE_RATE, FRAME_SIZE
from ..files.durable import check_name
from ..files.names import is_hidden
from ..gestures.files import load_library
from ..landmarks import shared_networks
from ..media.picture import read_picture
from ..media.sound import read_mono
from ..media.video import frame_rate, read_audio, read_frames, sound_pieces
from ..media.waveform import resample
from ..pose.files import load_any
from ..runtime import Progress
from ..scene.footage import Footage
from ..scene.matte import matte_picture
from ..scene.speakers import by_channel, by_turns, read_turns
from .clip import ClipSettings, Hands, clip, size_of
from .models import Models
from .output import ENDINGS, FORMATS, open_output
from .scene import Scene, make_scene

FILES = ("image", "audio", "pose", "gestures", "turns")
# Settings of a clip that a job may name, with what reads each from text.
NUMBERS: dict[str, Callable] = {
    "seed": int,
    "steps": int,
    "guidance": float,
    "width": int,
    "height": int,
    "frames": int,
    "fps": float,
    "segment_frames": int,
}
OWN_NUMBERS: dict[str, Callable] = {"person": int, "quality": int}
SWITCHES = ("crop", "no_hands")
CHANNELS = "channels"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


@dataclass(frozen=True)
class Job:
    """A picture and a voice, and the video to write.

    Attributes
    ----------
    image : the picture; or a video, which gets a new voice.
    pose, gestures : of the hands, or a gesture library whose hands follow the voice; by default the built-in one.
    crop : the whole picture is kept, and only its people change.
    person : number of the person who speaks, counted from the left, or of the first of several.
    turns : of several speakers: "channels", or a file that says who speaks when; they are people from left to right.
    no_hands : head and lips only.
    format, quality : see `output.open_output`; ProRes has an alpha channel, opaque where the people are.
    """

    image: Path
    audio: Path
    output: Path
    pose: Path | None = None
    settings: ClipSettings = field(default_factory=ClipSettings)
    gestures: Path | None = None
    turns: Path | None = None
    crop: bool = False
    person: int = 1
    no_hands: bool = False
    format: str = "mp4"
    quality: int | None = None

    @property
    def redubs(self) -> bool:
        """Whether a video gets a new voice."""
        return self.image.suffix.lower() in VIDEOS

    @property
    def segments(self) -> Path:
        """Where segments are kept until the video is done."""
        return self.output.with_name(f"{self.output.name}.segments")


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
    return _distinct(jobs, path)


def pairs_of(values: Mapping[str, str], out: Path) -> list[Job]:
    """A job for each picture with each voice, where `image`, `audio` or both are folders.

    Raises
    ------
    ValueError : a folder without any.
    """
    images, voices = (_files(values, name, endings) for name, endings in (("image", PICTURES), ("audio", SOUNDS)))
    kind = str(values.get("format", FORMATS[0]))
    jobs = []
    for image in images:
        for voice in voices:
            name = "_".join(path.stem for path, all in ((image, images), (voice, voices)) if len(all) > 1)
            output = f"{name or voice.stem}{ENDINGS.get(kind, '')}"
            jobs.append(job_of({"output": output, **values, "image": image, "audio": voice}, Path(), out))
    return _distinct(jobs, out)


def _files(values: Mapping[str, str], name: str, endings: tuple[str, ...]) -> list[Path]:
    if name not in values:
        raise ValueError(f"it has no {name}")
    path = Path(values[name])
    if not path.is_dir():
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in endings and not is_hidden(entry.name))
    if not found:
        raise ValueError(f"there is no {name} in {path} (formats: {', '.join(endings)})")
    return found


def _distinct(jobs: list[Job], path: Path) -> list[Job]:
    names = [job.output for job in jobs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path}: two jobs would write {twice}: name their output")
    return jobs


def job_of(values: Mapping, folder: Path, out: Path) -> Job:
    """A job of named values; files are looked for from `folder`, the video is written below `out`."""
    numbers, switches = {**NUMBERS, **OWN_NUMBERS}, SWITCHES
    known = {*FILES, "output", "format", *numbers, *switches}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown: a job has {', '.join(sorted(known))}")
    for needed in ("image", "audio"):
        if needed not in values:
            raise ValueError(f"it has no {needed}")
    paths = {name: folder / str(values[name]) for name in FILES if name in values}
    if values.get("turns") == CHANNELS:
        paths["turns"] = Path(CHANNELS)
    read = {name: _number(name, values[name], numbers[name]) for name in numbers if name in values}
    settings = ClipSettings(**{name: value for name, value in read.items() if name in NUMBERS})
    more = {name: value for name, value in read.items() if name in OWN_NUMBERS}
    more |= {name: _switch(name, values[name]) for name in switches if name in values}
    kind = str(values.get("format", FORMATS[0]))
    if kind not in FORMATS:
        raise ValueError(f"the format is {kind!r}, but it must be one of {', '.join(FORMATS)}")
    if more.get("no_hands"):
        settings = replace(settings, apdh=APDHOptions(keypoints=KEYPOINT_GROUPS[1:]))
    output = out / str(values.get("output") or f"{paths['audio'].stem}{ENDINGS[kind]}")
    return Job(output=output, settings=settings, format=kind, **paths, **more)


def check_job(job: Job) -> None:
    """ValueError with a sentence for what would stop this job, as far as can be known without computing."""
    for what in FILES:
        path = getattr(job, what)
        if path is not None and path != Path(CHANNELS) and not path.exists():
            raise ValueError(f"{what} {path} does not exist")
    check_name(job.output.name)
    size_of(job.settings, FRAME_SIZE)
    if job.pose is not None and job.gestures is not None:
        raise ValueError("it has a pose and gestures: hands come from one of them")
    if job.turns is not None and job.turns != Path(CHANNELS):
        read_turns(job.turns.read_text(encoding="utf-8-sig"))
    next(iter(read_frames(job.image)), None) if job.redubs else read_picture(job.image)
    next(sound_pieces(job.audio))


def length_of(job: Job) -> int:
    """Frames of a job's clip."""
    samples = sum(piece.shape[1] * AUDIO_SAMPLE_RATE / rate for piece, rate in sound_pieces(job.audio))
    return job.settings.frames or clip_frames(int(samples), AUDIO_SAMPLE_RATE, job.settings.fps)


def render_job(models: Models, job: Job, progress: Progress | None = None) -> Path:
    """Make the video of a job, with its voice; it appears whole or not at all."""
    settings = replace(job.settings, **dict(zip(("width", "height"), size_of(job.settings, models.size), strict=True)))
    job.output.parent.mkdir(parents=True, exist_ok=True)
    folder = job.segments if settings.segment_frames else None
    hands = Hands(
        None if job.pose is None else load_any(job.pose), None if job.gestures is None else load_library(job.gestures)
    )
    if job.crop or job.redubs or job.turns is not None:
        scene = make_scene(
            models, _ground(job), _voices(job), settings, hands, job.person, folder=folder, progress=progress
        )
        sound = read_audio(job.audio)
        write_frames(job, scene.fps, (scene.ground.width, scene.ground.height), scene.frames(), sound, scene)
    else:
        frames = clip(
            *(models, read_picture(job.image), read_mono(job.audio)),
            settings=settings,
            progress=progress,
            hands=hands,
            folder=folder,
        )
        write_frames(job, settings.fps, (settings.width, settings.height), frames, read_audio(job.audio))
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return job.output


def write_frames(
    job,
    fps: float,
    size: tuple[int, int],
    frames: Iterator[np.ndarray],
    sound: tuple[np.ndarray, int],
    scene: Scene | None = None,
) -> None:
    """Write frames of a size (width, height) as a job's output, format and quality say.

    sound : (waveform, sample rate). scene : knows where the people are, for an alpha channel.
    """
    with open_output(job.output, job.format, fps, *size, sound, job.quality) as writer:
        if job.format == "prores":
            frames = _with_alpha(frames, scene)
        for frame in frames:
            writer.write(frame[None])


def _with_alpha(frames: Iterator[np.ndarray], scene: Scene | None) -> Iterator[np.ndarray]:
    if scene is not None:
        yield from (np.dstack(both) for both in zip(frames, scene.mattes(), strict=False))
    else:
        yield from (np.dstack([frame, matte_picture(frame, shared_networks())]) for frame in frames)


def _ground(job: Job) -> Footage:
    if not job.redubs:
        picture = read_picture(job.image)
        return Footage(lambda: iter([picture]), picture.shape[1], picture.shape[0], 0.0, 1)
    rate, height, width, count = frame_rate(job.image), 0, 0, 0
    for _, picture in read_frames(job.image, rate, exact=True):
        height, width, count = *picture.shape[:2], count + 1
    if not count:
        raise ValueError(f"{job.image} has no frames")
    return Footage(
        lambda: (picture for _, picture in read_frames(job.image, rate, exact=True)), width, height, rate, count
    )


def _voices(job: Job) -> list[np.ndarray]:
    if job.turns is None:
        return [read_mono(job.audio)]
    waveform, rate = read_audio(job.audio)
    if job.turns == Path(CHANNELS):
        tracks = by_channel(waveform)
    else:
        tracks = by_turns(waveform, rate, read_turns(job.turns.read_text(encoding="utf-8-sig")))
    return [resample(track, rate) for track in tracks.values()]


def _number(name: str, value, read: Callable):
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}, which is not a number") from error


def _switch(name: str, value) -> bool:
    text = str(value).strip().lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"{name} is {value!r}, but it must be yes or no")
    return text in _YES
