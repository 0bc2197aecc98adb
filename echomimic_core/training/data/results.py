"""What became of the videos: a result of each on disk, the list of all clips, and the report.

Several machines may prepare parts of the videos into one folder. Whoever ends lists all that is done by then, so the
last one lists everything.
"""

import csv
import fnmatch
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...config import FPS
from ...files.durable import write_json
from ...media.video import VIDEO_SUFFIXES
from .shards import ClipInfo, write_manifest

RESULTS, REPORT, RIGHTS_FILE = "results", "report.json", "rights.csv"
# Share of frames with an estimated face from which a video is named in the report.
ESTIMATED_TOLERATED = 0.5


def find_videos(folder: Path) -> list[Path]:
    """Videos below a folder, in order; ValueError where there are none."""
    if not folder.exists():
        raise ValueError(f"there is no folder {folder}")
    videos = (path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    found = [folder] if folder.is_file() else sorted(videos)
    if not found:
        raise ValueError(f"{folder} contains no videos ({', '.join(VIDEO_SUFFIXES)})")
    return found


def video_name(path: Path, root: Path) -> str:
    """A name for the shard of a video: its own, made unique by where it lies."""
    place = place_of(path, root)
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in path.stem)[:60]
    return f"{plain}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def choose_part(paths: list[Path], part: str) -> list[Path]:
    """Every n-th of the videos, from the k-th on, for "k/n".

    Raises
    ------
    ValueError : that is no part.
    """
    first, _, count = part.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise ValueError(f"--part is {part!r}, but it must be a number of parts and which of them, such as 2/8")
    return paths[int(first) - 1 :: int(count)]


@dataclass(frozen=True)
class Rights:
    """Where a video comes from, under which licence, and how the people in it agreed; empty where it is not known."""

    origin: str = ""
    licence: str = ""
    consent: str = ""

    @property
    def complete(self) -> bool:
        return bool(self.origin and self.licence and self.consent)

    def listed(self) -> dict[str, str]:
        """What is known, for the list of clips."""
        return {name: value for name, value in asdict(self).items() if value}


class RightsTable:
    """What a table says of the rights in videos: the first row counts whose pattern fits their place in the folder.

    A table is a CSV file with the columns video (a pattern such as talks/*), origin, licence, consent.

    Raises
    ------
    ValueError : columns are missing.
    """

    def __init__(self, path: Path | None = None):
        self.rows: list[tuple[str, Rights]] = []
        if path is None:
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"video", "origin", "licence", "consent"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(sorted(missing))}: it needs video, origin, licence, consent"
                )
            self.rows = [
                (row["video"], Rights(*((row[name] or "").strip() for name in ("origin", "licence", "consent"))))
                for row in reader
            ]

    def of(self, place: str) -> Rights:
        """The rights in a video, by its place below the folder of videos."""
        return next((rights for pattern, rights in self.rows if fnmatch.fnmatchcase(place, pattern)), Rights())

    def check(self, places: Iterable[str]) -> None:
        """ValueError, naming the first, if origin, licence or consent of a video is not known."""
        unknown = [place for place in places if not self.of(place).complete]
        if unknown:
            raise ValueError(
                f"{unknown[0]}{f' and {len(unknown) - 1} more videos' if unknown[1:] else ''}: origin, licence or "
                f"consent is not given, but --strict demands all three: add a row to {RIGHTS_FILE}"
            )


def place_of(path: Path, root: Path) -> str:
    """Where a video lies below the folder of videos, with forward slashes."""
    return path.relative_to(root).as_posix() if path != root else path.name


def rejected(path: Path, reason: str) -> dict:
    """The result of a video that cannot be used at all."""
    return {"video": str(path), "clips": [], "rejected": [{"start": 0.0, "seconds": None, "reason": reason}]}


def read_result(out: Path, name: str, fingerprint: dict) -> dict | None:
    """The result of a video, if it was prepared in the very same way and all its shards are there."""
    try:
        result = json.loads((out / RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        whole = all((out / clip["shard"]).is_file() for clip in result["clips"])
        return result if whole and result["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError):
        return None


def finish(out: Path, results: dict[str, dict], marks: dict[str, dict], rights: dict[str, Rights]) -> dict:
    """Write the list of all clips and the report, which is returned.

    results : of this run, by the videos' names; those of others are read. marks : the fingerprint of every video.
    rights : in every video.
    """

    def known() -> dict[str, dict]:
        others = {name: read_result(out, name, mark) for name, mark in marks.items() if name not in results}
        return {name: result for name, result in {**others, **results}.items() if result is not None}

    listed = None
    while listed != (found := known()):  # Another machine may have ended while this one wrote
        listed = found
        ordered = {name: listed[name] for name in sorted(listed)}
        clips = [
            ClipInfo(**clip, **rights[name].listed()) for name, result in ordered.items() for clip in result["clips"]
        ]
        write_manifest(out, clips)
        report = _report(clips, list(ordered.values()))
        write_json(out / REPORT, report)
    return report


def _report(clips: list[ClipInfo], results: list[dict]) -> dict:
    report = {
        "videos": len(results),
        "clips": len(clips),
        "kinds": {kind: sum(c.kind == kind for c in clips) for kind in sorted({c.kind for c in clips})},
        "seconds": round(sum(clip.frames for clip in clips) / FPS, 1),
        "estimated_faces": [r["video"] for r in results if r.get("estimated_faces", 0.0) > ESTIMATED_TOLERATED],
        "rejected": [{"video": r["video"], **part} for r in results for part in r["rejected"]],
    }
    if report["estimated_faces"]:
        report["warning"] = (
            f"in {len(report['estimated_faces'])} videos the face was mostly estimated from the head: lip and head "
            "boxes are rough there. Put face_landmarker.task into the folder of --models and prepare into a new folder"
        )
    return report
