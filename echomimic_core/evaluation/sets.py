"""Sets of clips as people have them on disk: folders of videos, of frames, of such folders; pairs in a table."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..media.video import VIDEO_SUFFIXES
from .clips import CLIP, Clip, read_picture
from .passes.cache import file_hash

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
POSE_SUFFIXES = (".json", ".safetensors")
SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg")
# By this an evaluation's own .json is known, which may be among the clips.
REPORT_FORMAT = "echomimicv2-evaluation"
# Frames per second of a folder of frames, which says nothing of it: those of SyncNet and of most talking-head data.
FRAME_RATE = 25.0
# How deep folders are searched that hold no clip themselves.
DEPTH = 3
COLUMNS = ("generated", "reference", "picture")


@dataclass(frozen=True, eq=False)
class FrameFolder(Clip):
    """A video as a folder of pictures in the order of their numbers, with its sound in it or next to it, if any."""

    def pictures_in_order(self) -> list[Path]:
        """The files of the frames: 9.png comes before 10.png."""
        return sorted(_pictures(self.path), key=lambda path: _natural(path.name))

    def fingerprint(self) -> str:
        sound = self._sound_file()
        return f"{file_hash(self.path)}@{self.rate:g}{file_hash(sound) if sound else ''}"

    def frames(self, fps: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
        files, fps = self.pictures_in_order(), fps or self.rate
        for index in range(max(round(len(files) / self.rate * fps), 1)):
            yield index / fps, read_picture(files[min(int(index / fps * self.rate + 1e-3), len(files) - 1)])

    def length(self) -> int:
        return len(self.pictures_in_order())

    def mono(self) -> np.ndarray:
        from ..media.sound import read_mono

        sound = self._sound_file()
        if sound is None:
            raise ValueError(f"{CLIP} has no sound")
        return read_mono(sound)

    def _sound_file(self) -> Path | None:
        inside = [path for path in sorted(self.path.iterdir()) if path.suffix.lower() in SOUND_SUFFIXES]
        next_to_it = [self.path.with_name(self.path.name + suffix) for suffix in SOUND_SUFFIXES]
        return next((path for path in (*inside, *next_to_it) if path.is_file()), None)


def _natural(name: str) -> list:
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", name)]


def _pictures(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES and file.name[0] != "."]


def gather(path: str | Path, frame_rate: float = FRAME_RATE, portraits: bool = False) -> list[Clip]:
    """The clips at a path: the file, the pose folder, or everything usable in the folder, by name.

    A folder of numbered pictures is a video of them at `frame_rate`, and so is every folder of pictures in the folder;
    other pictures are clips of their own. Where a folder holds no clip itself, the folders in it are searched, and
    their clips are named folder/name.

    Parameters
    ----------
    portraits : pictures are pictures of persons, whatever their names.

    Raises
    ------
    ValueError : nothing there, or two files of one name.
    """
    path = Path(path)
    if clip := _clip(path):
        return [clip]
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}")
    if not path.is_dir():
        raise ValueError(f"{path} is not a video, picture or pose (known extensions: {', '.join(VIDEO_SUFFIXES)})")
    if not portraits and is_frame_folder(path):
        return [FrameFolder(path.name, "video", path, rate=frame_rate)]
    clips = _in_folder(path, "", frame_rate, portraits, DEPTH)
    if not clips:
        raise ValueError(f"the folder {path} contains no videos ({', '.join(VIDEO_SUFFIXES)}), pictures or poses")
    return clips


def _in_folder(folder: Path, prefix: str, rate: float, portraits: bool, depth: int) -> list[Clip]:
    clips: dict[str, Clip] = {}
    subfolders = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or _is_about_clips(entry):
            continue
        clip = _clip(entry)
        if clip is None and entry.is_dir():
            if not portraits and _pictures(entry):
                clip = FrameFolder(entry.name, "video", entry, rate=rate)
            else:
                subfolders.append(entry)
        if clip is None:
            continue
        clip = replace(clip, name=prefix + clip.name)
        if clip.name in clips:
            raise ValueError(
                f"{clips[clip.name].path} and {entry} have the same name: keep only one of them in the folder"
            )
        clips[clip.name] = clip
    found = list(clips.values())
    if not found and depth:
        for entry in subfolders:
            found += _in_folder(entry, f"{prefix}{entry.name}/", rate, portraits, depth - 1)
    return found


def is_pose_folder(path: Path) -> bool:
    """Whether a folder holds the numbered .npy files of a released pose."""
    return path.is_dir() and any(path.glob("*.npy"))


def is_frame_folder(path: Path) -> bool:
    """Whether a folder's pictures are the frames of a video: two or more, numbered, alike but for the number."""
    stems = [re.fullmatch(r"(.*?)(\d+)", file.stem) for file in _pictures(path)]
    return len(stems) > 1 and all(stems) and len({match[1] for match in stems}) == 1


def _is_about_clips(path: Path) -> bool:
    """Whether a file is EMTD's manifest, or numbers that were written by `--json`."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with open(path, "rb") as file:
        return path.name == "manifest.json" or REPORT_FORMAT.encode() in file.read(1000)


def _clip(path: Path) -> Clip | None:
    if is_pose_folder(path):
        return Clip(path.name, "pose", path)
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    for kind, suffixes in (("video", VIDEO_SUFFIXES), ("picture", PICTURE_SUFFIXES), ("pose", POSE_SUFFIXES)):
        if suffix in suffixes:
            return Clip(path.stem, kind, path)
    return None


def match(generated: list[Clip], reference: list[Clip]) -> list[tuple[Clip, Clip | None]]:
    """Pairs by name. A single reference serves a single clip of any name, and a single picture serves all clips."""
    if len(reference) == 1 and (len(generated) == 1 or reference[0].kind == "picture"):
        return [(clip, reference[0]) for clip in generated]
    by_name = {clip.name: clip for clip in reference}
    return [(clip, by_name.get(clip.name)) for clip in generated]


def read_pairs(path: str | Path, frame_rate: float = FRAME_RATE) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Generated clips, their real clips and their reference pictures from a CSV table, named alike.

    The first line names the columns: `generated`, `reference` and, if wanted, `picture`. Paths are those of the table's
    folder unless absolute; an empty cell means that the clip has none.

    Raises
    ------
    ValueError : the file is missing or not such a table, or a file that it names does not exist.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--pairs {path} cannot be read as a table: {error}") from error
    if "generated" not in columns or not rows:
        raise ValueError(
            f"--pairs {path} needs a first line with the columns {', '.join(COLUMNS)} (the last is optional) and a "
            "line per pair"
        )
    sides: dict[str, list[Clip]] = {column: [] for column in COLUMNS}
    names: set[str] = set()
    for number, row in enumerate(rows, start=2):
        name = None
        for column in COLUMNS:
            cell = (row.get(column) or "").strip()
            if not cell:
                continue
            try:
                found = gather(path.parent / cell, frame_rate)
                if len(found) > 1:
                    raise ValueError(f"it contains {len(found)} clips")
            except ValueError as error:
                raise ValueError(f"line {number} of {path.name}: {cell!r} is not one clip: {error}") from error
            name = name or _free(found[0].name, names)
            sides[column].append(replace(found[0], name=name))
        if not (row.get("generated") or "").strip():
            raise ValueError(f"line {number} of {path.name} names no generated clip")
    return tuple(sides.values())


def _free(name: str, taken: set[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name} ({number})", number + 1
    taken.add(unique)
    return unique
