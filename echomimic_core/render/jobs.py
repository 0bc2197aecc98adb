"""Jobs: which video to make of which files, read from flags, from a list or from folders of pictures and voices."""

import csv
import difflib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..apdh.steering import APDHOptions
from ..choices import FRAMINGS, KEYPOINT_GROUPS, RETARGET_MODES
from ..files.addresses import Address, Place, below, place
from ..files.names import is_hidden
from ..sampling.speed import PRESETS, TUNING, SpeedOptions
from .clip import FILLS, HELD_FRAMES, ClipSettings
from .output import ENDINGS, FORMATS

FILES = ("image", "audio", "pose", "gestures", "turns")
CHANNELS = "channels"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


@dataclass(frozen=True)
class Number:
    """What a number may be: from `least` to `most`, with a fraction or not."""

    least: float
    most: float
    whole: bool = True

    def read(self, name: str, value) -> int | float:
        """The number of a text, or of a number; ValueError if it is none of these."""
        try:
            number = float(value)
            if self.whole and (abs(number) > 2**53 or not number.is_integer()):
                # Exactly, for seeds of 64 bits.
                number = int(str(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{name} is {value!r}, which is not a {'whole ' * self.whole}number") from error
        if isinstance(value, bool) or not self.least <= number <= self.most:
            raise ValueError(f"{name} is {value!r}, but it must be from {self.least:g} to {self.most:g}")
        return int(number) if self.whole else number


# Settings that a job may name, as the nodes and `ClipSettings` call them.
NUMBERS = {
    "seed": Number(0, 2**64 - 1),
    "steps": Number(0, 1000),
    "guidance": Number(0, 100, whole=False),
    "width": Number(0, 4096),
    "height": Number(0, 4096),
    "frames": Number(0, 1_000_000),
    "fps": Number(1, 240, whole=False),
    "segment_frames": Number(0, 100_000),
}
OWN_NUMBERS = {"person": Number(1, 4), "quality": Number(0, 51)}
SPEED_NUMBERS = {"reuse_steps": Number(1, 5), "merge_reference": Number(1, 4)}
SPEED_SWITCHES = ("guidance_start", "guidance_middle", "guidance_end")
OWN_SWITCHES = ("crop", "no_hands")
OF_CLIP = {"framing": FRAMINGS, "fill": FILLS, "retarget": RETARGET_MODES}
CHOICES = {**OF_CLIP, "preset": tuple(PRESETS), "tuning": tuple(TUNING)}
ALL_NUMBERS = {**NUMBERS, **OWN_NUMBERS, **SPEED_NUMBERS}
ALL_SWITCHES = (*OWN_SWITCHES, "fit_hands", *SPEED_SWITCHES)
KNOWN = (*FILES, "output", "format", "size", *ALL_NUMBERS, *CHOICES, *ALL_SWITCHES)


@dataclass(frozen=True)
class Job:
    """A picture and a voice, and the video to write; files are paths or addresses.

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

    image: Place
    audio: Place
    output: Place
    pose: Place | None = None
    settings: ClipSettings = field(default_factory=ClipSettings)
    gestures: Place | None = None
    turns: Place | None = None
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
    def whole(self) -> bool:
        """Whether people are put back into the whole picture or video."""
        return self.crop or self.redubs or self.turns is not None

    @property
    def segments(self) -> Path:
        """Where segments are kept until the video is done."""
        return self.output.with_name(f"{self.output.name}.segments")

    def inputs(self) -> dict[str, Place]:
        """Its files by what they are."""
        given = {name: getattr(self, name) for name in FILES}
        return {name: value for name, value in given.items() if value is not None and value != Path(CHANNELS)}


@dataclass(frozen=True)
class Unusable:
    """Stands for a job that cannot be understood: which one, and why."""

    output: str
    reason: str


def read_jobs(path: str | Path | Address, out: Place, common: Mapping | None = None) -> list[Job | Unusable]:
    """The jobs of a .csv or .jsonl file, whose columns or keys are the command's own flags.

    Parameters
    ----------
    out : folder of the videos; `output` names one, and without it the voice does.
    common : what holds for all jobs that do not say otherwise.

    Raises
    ------
    ValueError : the file is neither, has no jobs, or a column that is unknown.
    """
    path = place(path)
    try:
        text = (path.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: save it as CSV UTF-8") from error
    is_table = path.suffix.lower() == ".csv"
    jobs = []
    for number, row in enumerate(_rows_of_csv(text, path) if is_table else _rows_of_json(text), 1):
        try:
            if isinstance(row, str):
                raise ValueError(row)
            given = {key: value for key, value in row.items() if value not in (None, "")}
            jobs.append(job_of({**(common or {}), **given}, path.parent, out))
        except ValueError as error:
            jobs.append(Unusable(f"{path}, job {number}", str(error)))
    if not jobs:
        raise ValueError(f"{path} contains no jobs")
    return distinct(jobs)


def _rows_of_csv(text: str, path: Place) -> Iterator[dict | str]:
    # Excel separates by semicolons where a comma is the decimal point.
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        _check_known({name for name in names if name}, f"{path}: the column ")
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells[len(names) :]):
                yield "it has more cells than the header has columns: put quotes around text that contains a comma"
            elif any(cells):
                yield {name: cell for name, cell in zip(names, cells, strict=False) if name}
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file (line {rows.line_num}: {error})") from error


def _rows_of_json(text: str) -> Iterator[dict | str]:
    for line in filter(str.strip, text.split("\n")):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else f"{line.strip()[:60]!r} is not a JSON object of names and values"


def pairs_of(values: Mapping, out: Place) -> list[Job | Unusable]:
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
    return distinct(jobs)


def _files(values: Mapping, name: str, endings: tuple[str, ...]) -> list[Place]:
    if name not in values:
        raise ValueError(f"it has no {name}")
    path = place(values[name])
    if not path.is_dir():
        return [path]
    found = [entry for entry in path.iterdir() if entry.suffix.lower() in endings and not is_hidden(entry.name)]
    if not found:
        raise ValueError(f"there is no {name} in {path} (formats: {', '.join(endings)})")
    return sorted(found, key=lambda entry: entry.name)


def distinct(jobs: list[Job | Unusable]) -> list[Job | Unusable]:
    """The jobs, without those that would write over a video or an input of the others."""
    good = [job for job in jobs if isinstance(job, Job)]
    read = {_same(path): path for job in good for path in job.inputs().values()}
    written: dict[str, int] = {}
    result: list[Job | Unusable] = []
    for number, job in enumerate(jobs, 1):
        if isinstance(job, Job) and (name := _same(job.output)) in read:
            job = Unusable(str(job.output), f"it would replace the input {read[name]}: choose another output or --out")
        elif isinstance(job, Job) and (first := written.setdefault(name, number)) != number:
            job = Unusable(str(job.output), f"jobs {first} and {number} would write the same file: name their outputs")
        result.append(job)
    return result


def _same(path: Place) -> str:
    """A name that two places have in common where they may be the same file on some system."""
    return (str(path) if isinstance(path, Address) else os.path.abspath(path)).casefold()


def job_of(values: Mapping, folder: Place, out: Place) -> Job:
    """A job of named values; files are searched from `folder`, the video is written below `out`."""
    _check_known(set(values))
    for needed in ("image", "audio"):
        if needed not in values:
            raise ValueError(f"it has no {needed}")
    paths = {name: below(folder, str(values[name])) for name in FILES if name in values}
    if values.get("turns") == CHANNELS:
        paths["turns"] = Path(CHANNELS)
    read = {name: number.read(name, values[name]) for name, number in ALL_NUMBERS.items() if name in values}
    read |= {name: _switch(name, values[name]) for name in ALL_SWITCHES if name in values}
    read |= {name: _choice(name, values[name], options) for name, options in CHOICES.items() if name in values}
    if "size" in values:
        read |= dict(zip(("width", "height"), _sides(values["size"]), strict=True))
    kind = _choice("format", values.get("format", FORMATS[0]), FORMATS)
    own = {name: read[name] for name in (*OWN_NUMBERS, *OWN_SWITCHES) if name in read}
    output = below(out, str(values.get("output") or f"{paths['audio'].stem}{ENDINGS[kind]}"))
    return Job(output=output, settings=_settings(read), format=kind, **paths, **own)


def _settings(read: Mapping) -> ClipSettings:
    named = (*NUMBERS, *OF_CLIP, "fit_hands")
    settings = ClipSettings(**{name: read[name] for name in named if name in read}, speed=_speed(read))
    if 0 < settings.segment_frames <= HELD_FRAMES:
        raise ValueError(f"segment_frames is {settings.segment_frames}, but it must be 0 or more than {HELD_FRAMES}")
    if read.get("no_hands"):
        settings = replace(settings, apdh=APDHOptions(keypoints=KEYPOINT_GROUPS[1:]))
    return settings


def _speed(read: Mapping) -> SpeedOptions:
    return replace(_shortcuts(read), **TUNING[read.get("tuning", "layout")])


def _shortcuts(read: Mapping) -> SpeedOptions:
    named = [name for name in (*SPEED_SWITCHES, *SPEED_NUMBERS) if name in read]
    if "preset" in read:
        if named:
            raise ValueError(f"preset and {named[0]} exclude each other: leave one of them out")
        return PRESETS[read["preset"]]
    phases = tuple(read.get(name, True) for name in SPEED_SWITCHES)
    return SpeedOptions(phases, **{name: read[name] for name in SPEED_NUMBERS if name in read})


def _check_known(names: set, what: str = "") -> None:
    unknown = sorted(map(str, names - set(KNOWN)))
    if unknown:
        near = difflib.get_close_matches(unknown[0], KNOWN, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"a job has {', '.join(sorted(KNOWN))}"
        raise ValueError(f"{what}{unknown[0]!r} is unknown: {hint}")


def _sides(value) -> tuple[int, int]:
    width, _, height = str(value).lower().partition("x")
    return tuple(NUMBERS["width"].read("size", side) for side in (width, height or width))


def _choice(name: str, value, options: tuple[str, ...]) -> str:
    if value not in options:
        raise ValueError(f"{name} is {value!r}, but it must be one of {', '.join(options)}")
    return value


def _switch(name: str, value) -> bool:
    text = str(value).strip().lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"{name} is {value!r}, but it must be yes or no")
    return text in _YES
