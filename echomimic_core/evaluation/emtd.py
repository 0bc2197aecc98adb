"""EMTD, the paper's test set: its published list of clips, cut and framed from local downloads.

    python -m echomimic_core.evaluation.emtd LIST DOWNLOADS PREPARED

LIST is the original's file of lines URL,Start Timecode,End Timecode. DOWNLOADS holds the videos, named by their
YouTube id (ID.mp4, or with [ID] in the name); nothing is downloaded. PREPARED gets videos/, pictures/, poses/ and
manifest.json.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..config import FPS, FRAME_SIZE
from ..files.durable import Draft, write_json
from ..landmarks import load_networks
from ..media.video import VIDEO_SUFFIXES
from ..pose.bundles import Bundles
from ..pose.framing import frame_pose, framing
from ..runtime import Progress, is_out_of_memory
from .clips import Clip
from .console import Parser, check_number
from .passes.cache import file_hash
from .settings import Settings
from .slices import frame_picture, frames_between, sound_between

FORMAT = "echomimicv2-emtd"
VERSION = 1
# The original leaves out three frames at both ends, where scene cuts are.
EDGE_FRAMES = 3
MIN_BODY_SCORE = 0.3


@dataclass(frozen=True)
class Segment:
    """A line of the list: `name` is the original's (row and video id), times in seconds."""

    name: str
    url: str
    video: str
    start: float
    end: float


def read_list(path: str | Path) -> list[Segment]:
    """The segments of EMTD's list, in its order.

    Raises
    ------
    ValueError : the file is missing, or a line is not URL, start, end.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no list {path}: it is in EMTD_dataset of the original's repository")
    segments: list[Segment] = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and cells[0].upper() == "URL"):
                continue
            try:
                url, start, end = cells
                video, begin, stop = video_id(url), seconds(start), seconds(end)
                if stop <= begin:
                    raise ValueError("the end is not after the start")
            except ValueError as error:
                raise ValueError(
                    f"line {number} of {path.name} is {','.join(row)!r} instead of URL,start,end ({error})"
                ) from error
            segments.append(Segment(f"{len(segments):03d}_{video}", url, video, begin, stop))
    if not segments:
        raise ValueError(f"the list {path} has no clips")
    return segments


def video_id(url: str) -> str:
    """The YouTube id in an address, whatever else it carries; ValueError without one."""
    found = re.search(r"(?:[?&]v=|youtu\.be/)([\w-]{6,})(?=$|[?&#])", url)
    if not found:
        raise ValueError(f"{url!r} contains no video id")
    return found[1]


def seconds(timecode: str) -> float:
    """Seconds of hours:minutes:seconds; ValueError for anything else."""
    match = re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)", timecode)
    if not match:
        raise ValueError(f"{timecode!r} is not a time of the form hours:minutes:seconds")
    hours, minutes, rest = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def find_downloads(folder: str | Path) -> Callable[[str], Path | None]:
    """A function from video id to the file in the folder that is named by it."""
    files = [file for file in sorted(Path(folder).iterdir()) if file.suffix.lower() in VIDEO_SUFFIXES]

    def find(video: str) -> Path | None:
        exact = [file for file in files if file.stem == video]
        return next(iter(exact or [file for file in files if video in file.stem]), None)

    return find


@dataclass
class Manifest:
    """What is in a prepared folder: `clips` and `missing` as dictionaries, see `prepare`."""

    folder: Path
    clips: list[dict] = field(default_factory=list)
    missing: list[dict] = field(default_factory=list)

    @classmethod
    def load(cls, folder: str | Path) -> "Manifest":
        """Read a prepared folder's manifest; ValueError if there is none."""
        folder = Path(folder)
        try:
            content = json.loads((folder / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{folder} has no readable manifest.json: prepare EMTD first with python -m "
                "echomimic_core.evaluation.emtd LIST DOWNLOADS PREPARED"
            ) from error
        if content.get("format") != FORMAT or content.get("version") != VERSION:
            raise ValueError(f"{folder / 'manifest.json'} is not an EMTD manifest of version {VERSION}")
        return cls(folder, content["clips"], content["missing"])

    def save(self) -> None:
        """Write manifest.json."""
        content = {"format": FORMAT, "version": VERSION, "clips": self.clips, "missing": self.missing}
        write_json(self.folder / "manifest.json", content)

    def names(self, split: str = "all") -> list[str]:
        """Clips of a split ("test", "validation" or "all")."""
        return [clip["name"] for clip in self.clips if split in ("all", clip["split"])]

    def absent(self, split: str, have: set[str]) -> dict[str, str]:
        """Clips of the published list that no score can count, with the reason: not prepared, or not generated."""
        gone = {name: "not among the generated clips" for name in self.names(split) if name not in have}
        for clip in self.missing:
            if split in ("all", clip.get("split", split)):
                gone[clip["name"]] = f"not among the prepared clips: {clip.get('reason', 'no reason is known')}"
        return gone

    def pair(self, generated: list[Clip], split: str) -> tuple[list[Clip], list[Clip], list[Clip], dict[str, str]]:
        """Generated clips of the split, their real clips, their reference pictures, and the absent clips' reasons.

        Raises
        ------
        ValueError : the split has no clips, or none of them was generated.
        """
        names = self.names(split)
        if not names:
            raise ValueError(f"the manifest in {self.folder} has no clips in the split {split!r}")
        found = [clip for clip in generated if clip.name in names]
        if not found:
            raise ValueError(
                f"none of the {len(generated)} generated clips is named like one of EMTD's, such as {names[0]}.mp4"
            )
        have = {clip.name for clip in found}
        real = [Clip(name, "video", self.folder / "videos" / f"{name}.mp4") for name in names if name in have]
        pictures = [Clip(name, "picture", self.folder / "pictures" / f"{name}.png") for name in names if name in have]
        return found, real, pictures, self.absent(split, have)


def split_of(video: str, validation: float) -> str:
    """The split of a video, by its id, so that no video is in two: that share is "validation", the rest "test"."""
    share = int(hashlib.sha256(video.encode()).hexdigest()[:8], 16) / 16**8
    return "validation" if share < validation else "test"


def prepare(
    segments: list[Segment],
    downloads: str | Path,
    folder: str | Path,
    bundles: Bundles | None = None,
    validation: float = 0.0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> "Manifest":
    """Cut, frame and write every segment whose video is in `downloads`; what is there already is kept.

    Each clip becomes videos/NAME.mp4 (768 x 768, 24 fps, with sound), pictures/NAME.png (its first frame) and
    poses/NAME.safetensors (its pose, to drive with). The manifest tells of each its url, times, split, crop in the
    source and hash; and of each missing one the reason.

    bundles : MediaPipe's models, to find poses with the mediapipe package; None takes the built-in networks.

    Raises
    ------
    ValueError : no downloads folder, or a bundle cannot be used.
    """
    folder = Path(folder)
    if not Path(downloads).is_dir():
        raise ValueError(f"there is no folder {downloads} with downloaded videos")
    for name in ("videos", "pictures", "poses"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    known = {}
    if (folder / "manifest.json").is_file():
        known = {clip["name"]: clip for clip in Manifest.load(folder).clips}
    find, manifest, models = find_downloads(downloads), Manifest(folder), bundles or load_networks()
    for index, segment in enumerate(segments):
        if progress:
            progress(index, len(segments))
        entry = {**asdict(segment), "split": split_of(segment.video, validation)}
        done = known.get(segment.name)
        path = folder / "videos" / f"{segment.name}.mp4"
        if done and path.is_file() and file_hash(path) == done["sha256"]:
            manifest.clips.append({**done, **entry})
            continue
        source = find(segment.video)
        try:
            if source is None:
                raise ValueError(f"{segment.video} is not among the downloads")
            manifest.clips.append(entry | _prepare_one(segment, source, folder, models))
            say(f"{segment.name}: prepared")
        except Exception as error:
            if is_out_of_memory(error):
                raise
            manifest.missing.append(entry | {"reason": str(error)})
            say(f"{segment.name}: {error}")
        manifest.save()
    manifest.save()
    if progress:
        progress(len(segments), len(segments))
    return manifest


def _bundles(settings: Settings) -> Bundles:
    """MediaPipe's bundles; ValueError where one is missing without which no clip can be prepared."""
    paths = {key: settings.find(key) for key in ("hands", "bodies", "faces")}
    for key in ("hands", "bodies"):
        if paths[key] is None:
            raise ValueError(settings.missing(key))
    return Bundles(paths["hands"], paths["bodies"], paths["faces"])


def _prepare_one(segment: Segment, source: Path, folder: Path, models) -> dict:
    from PIL import Image

    from ..media.video import VideoWriter, frame_rate
    from ..pose import detect, files

    edge = EDGE_FRAMES / frame_rate(source)
    start, end = segment.start + edge, segment.end - edge
    found = detect.detect(frames_between(source, start, end, FPS), models)
    bodies = np.where(found.body_scores[..., None] >= MIN_BODY_SCORE, found.bodies, np.nan)
    faces = np.where(found.face_scores[..., None] > 0, found.faces, np.nan)
    frame = framing(bodies, faces, found.width, found.height, FRAME_SIZE)

    video = folder / "videos" / f"{segment.name}.mp4"
    first, count = None, 0
    with VideoWriter(video, FPS, FRAME_SIZE, FRAME_SIZE, sound_between(source, start, end)) as writer:
        for _, picture in frames_between(source, start, end, FPS):
            framed = frame_picture(picture, frame)
            first = framed if first is None else first
            writer.write(framed[None])
            count += 1
    picture = folder / "pictures" / f"{segment.name}.png"
    with Draft(picture) as file:
        Image.fromarray(first).save(file.open(), format="PNG")
    pose = folder / "poses" / f"{segment.name}.safetensors"
    pose.unlink(missing_ok=True)
    files.save(frame_pose(detect.steady(found, FPS), frame), pose)
    return {
        "source": source.name,
        "frames": count,
        "fps": FPS,
        "crop": list(frame.video_params),
        "sha256": file_hash(video),
    }


def main(argv: list[str] | None = None) -> int:
    """The command; 1 if nothing could be prepared."""
    parser = Parser(
        prog="python -m echomimic_core.evaluation.emtd",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("list", help="the published list")
    parser.add_argument("downloads", help="folder of downloaded videos")
    parser.add_argument("prepared", help="folder to write")
    parser.add_argument(
        "--mediapipe",
        metavar="DIR",
        help="find poses with the mediapipe package and the .task bundles in this folder, not with the built-in ones",
    )
    parser.add_argument("--validation", type=float, default=0.0, help="fraction of the videos to set apart (default 0)")
    parser.add_argument("--limit", type=int, default=0, help="use only this many lines of the list")
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        arguments = parser.parse_args(argv)
        if not 0 <= arguments.validation < 1:
            raise ValueError(f"--validation is {arguments.validation}, but it must be a fraction from 0 to below 1")
        check_number("--limit", arguments.limit, 0)
        segments = read_list(arguments.list)
        folder = arguments.mediapipe
        bundles = _bundles(Settings(folders=(), mediapipe=(Path(folder),))) if folder else None
        manifest = prepare(
            segments[: arguments.limit or None],
            arguments.downloads,
            arguments.prepared,
            bundles,
            arguments.validation,
            say=lambda line: print(line, file=sys.stderr),
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; prepared clips are kept", file=sys.stderr)
        return 130
    print(f"{len(manifest.clips)} clips in {manifest.folder}, {len(manifest.missing)} missing")
    return 0 if manifest.clips else 1


if __name__ == "__main__":
    sys.exit(main())
