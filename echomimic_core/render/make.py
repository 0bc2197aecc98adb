"""A job done: its files are looked at before anything is computed, fetched where needed, and become a video."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..audio import clip_frames
from ..choices import MOST_SPEAKERS
from ..config import AUDIO_SAMPLE_RATE, FRAME_SIZE
from ..files.addresses import Address
from ..files.durable import check_name, make_folder
from ..gestures.files import load_library
from ..landmarks import shared_networks
from ..media.picture import read_picture
from ..media.sound import read_mono
from ..media.video import frame_rate, read_audio, read_frames, sound_pieces
from ..media.waveform import resample
from ..pose.files import load_any
from ..runtime import Progress
from ..scene.footage import Footage, still_picture
from ..scene.matte import matte_picture
from ..scene.speakers import by_channel, by_turns, read_turns
from ..workers.behind import Behind
from .clip import ClipSettings, Hands, clip, size_of
from .jobs import CHANNELS, Job
from .models import Models
from .output import PictureWriter, open_output
from .scene import Scene, make_scene

# Frames that wait for the encoder while the next ones are decoded.
FRAMES_WAITING = 8


@contextmanager
def at_hand(job: Job) -> Iterator[Job]:
    """The job with all its files on this machine: those at addresses are fetched, its video is put there at the end.

    Raises
    ------
    OSError, ValueError : see `files.addresses`.
    """
    with tempfile.TemporaryDirectory(prefix="echomimic-") as folder:
        near = _fetched(job, Path(folder))
        if not isinstance(job.output, Address):
            yield near
            return
        near = replace(near, output=Path(folder, job.output.name))
        yield near
        job.output.put(near.output)


def _fetched(job: Job, folder: Path) -> Job:
    """The job with copies of the files at addresses below a folder."""
    far = {name: address for name, address in job.inputs().items() if isinstance(address, Address)}
    return replace(job, **{name: address.fetch(make_folder(folder / name)) for name, address in far.items()})


def check_job(job: Job) -> tuple[int, int]:
    """Frames of the clip, and how many people speak; nothing is computed.

    Raises
    ------
    ValueError, OSError : with a sentence for what would stop this job, as far as that can be known.
    """
    if isinstance(job.output, Address) and job.format == "png":
        raise ValueError("a folder of pictures cannot appear whole at an address: choose mp4 or prores")
    check_name(job.output.name)
    size_of(job.settings, FRAME_SIZE)
    if job.pose is not None and job.gestures is not None:
        raise ValueError("it has a pose and gestures: hands come from one of them")
    settings = job.settings
    if job.whole and (settings.framing, settings.fill) != (ClipSettings.framing, ClipSettings.fill):
        raise ValueError("framing and fill have no effect where people stay in the whole picture: leave them out")
    if not isinstance(job.output, Address):
        _check_writable(job)
    with tempfile.TemporaryDirectory(prefix="echomimic-") as folder:
        return _check_files(_fetched(job, Path(folder)))


def _check_writable(job: Job) -> None:
    path = job.output
    folder = next(place for place in path.absolute().parents if os.path.lexists(place))
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder: choose another --out")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{folder} is read-only: choose another --out")
    if path.is_dir() != (job.format == "png") and path.exists():
        raise ValueError(f"{path} is a {'folder' if path.is_dir() else 'file'}: choose another output")
    if job.format == "png":
        PictureWriter.check_replaceable(path)


def _check_files(job: Job) -> tuple[int, int]:
    for what, path in job.inputs().items():
        if not path.exists():
            raise ValueError(f"{what} {path} does not exist")
    if job.redubs:
        next(iter(read_frames(job.image)), None)
    else:
        read_picture(job.image)
    samples, channels = 0.0, 0
    for piece, rate in sound_pieces(job.audio):
        channels, samples = len(piece), samples + piece.shape[1] * AUDIO_SAMPLE_RATE / rate
    if not samples:
        raise ValueError(f"{job.audio} contains no audio: the file is empty or truncated")
    frames = job.settings.frames or clip_frames(int(samples), AUDIO_SAMPLE_RATE, job.settings.fps)
    return frames, _speakers(job, channels)


def _speakers(job: Job, channels: int) -> int:
    if job.turns is None:
        return 1
    if job.turns == Path(CHANNELS):
        by_channel(np.zeros((channels, 1), np.float32))
        count = channels
    else:
        count = len({turn.name for turn in _turns(job)})
    if count > MOST_SPEAKERS:
        raise ValueError(f"{job.turns} has {count} speakers, but at most {MOST_SPEAKERS} can speak in one picture")
    if job.redubs and count > 1:
        raise ValueError("a video takes one voice: give a picture for several people")
    return count


def _turns(job: Job) -> list:
    try:
        return read_turns(job.turns.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{job.turns} is not a text file of turns") from error


def render_job(models: Models, job: Job, progress: Progress | None = None) -> None:
    """Make the video of a job, with its voice; it appears whole or not at all."""
    with at_hand(job) as near:
        _render(models, near, progress)


def follow_job(models: Models, job: Job) -> None:
    """Sample a job's clips together with the process that leads the team and writes the video."""
    with tempfile.TemporaryDirectory(prefix="echomimic-") as folder:
        made = _clip_of(models, replace(_fetched(job, Path(folder)), output=Path(folder, job.output.name)), None)
        if made.scene is None:
            for _ in made.frames():
                pass


def _render(models: Models, job: Job, progress: Progress | None) -> None:
    make_folder(job.output.parent)
    made = _clip_of(models, job, progress)
    write_frames(job, made.fps, made.size, made.frames(), read_audio(job.audio), made.scene)
    forget_segments(job)


@dataclass(frozen=True)
class _Made:
    """The frames of a job, which are made as they are asked for; of a scene only the decoding is left to do."""

    fps: float
    size: tuple[int, int]
    frames: Callable[[], Iterator[np.ndarray]]
    scene: Scene | None = None


def _clip_of(models: Models, job: Job, progress: Progress | None) -> _Made:
    settings = replace(job.settings, **dict(zip(("width", "height"), size_of(job.settings, models.size), strict=True)))
    more = {"folder": job.segments if settings.segment_frames else None, "progress": progress}
    hands = Hands(
        None if job.pose is None else load_any(job.pose), None if job.gestures is None else load_library(job.gestures)
    )
    if job.whole:
        scene = make_scene(models, _ground(job), _voices(job), settings, hands, job.person, **more)
        return _Made(scene.fps, (scene.ground.width, scene.ground.height), scene.frames, scene)
    given = (models, read_picture(job.image), read_mono(job.audio))
    return _Made(
        settings.fps,
        (settings.width, settings.height),
        lambda: clip(*given, settings=settings, hands=hands, **more),
    )


def forget_segments(job: Job) -> None:
    """Delete the segments of a video that is done."""
    if not isinstance(job.output, Address):
        shutil.rmtree(job.segments, ignore_errors=True)


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
    opened = open_output(job.output, job.format, fps, *size, sound, job.quality)
    with opened as writer, Behind(writer.write, FRAMES_WAITING) as write:
        if job.format == "prores":
            frames = _with_alpha(frames, scene)
        for frame in frames:
            write(frame[None])


def _with_alpha(frames: Iterator[np.ndarray], scene: Scene | None) -> Iterator[np.ndarray]:
    if scene is not None:
        yield from (np.dstack(both) for both in zip(frames, scene.mattes(), strict=False))
    else:
        yield from (np.dstack([frame, matte_picture(frame, shared_networks())]) for frame in frames)


def _ground(job: Job) -> Footage:
    if not job.redubs:
        picture = read_picture(job.image)
        return still_picture(picture)
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
    by_place = job.turns == Path(CHANNELS)
    tracks = by_channel(waveform) if by_place else by_turns(waveform, rate, _turns(job))
    return [resample(track, rate) for track in tracks.values()]
