"""Make training clips of videos: `python -m echomimic_core.training.prepare VIDEOS OUT`.

Each video is looked at by one process and becomes one shard or more; what is done is not done again, so a run that was
stopped resumes where it was. OUT/report.json says of every video what became of it, and why parts were rejected.
"""

import argparse
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...choices import BUILT_IN, DETECTORS, PACKAGE
from ...config import AUDIO_FEATURE_RATE, AUDIO_SAMPLE_RATE, FPS, FRAME_SIZE
from ...files.durable import write_json
from ...landmarks import find_bodies, load_networks
from ...media.scaling import shrink
from ...media.video import read_audio, read_frames
from ...media.waveform import resample
from ...pose.bundles import BUNDLE_FOLDER, BUNDLE_LINKS, Bundles, find_bundle
from ...pose.detect import Detections, steady
from ...pose.landmarks import ESTIMATED_FACE_SCORE
from ...runtime import Progress
from ...workers import Done
from ...workers.processes import Lost, run_tasks
from ..run.records import bar_options
from .results import (
    REPORT,
    RESULTS,
    RIGHTS_FILE,
    RightsTable,
    choose_part,
    find_videos,
    finish,
    place_of,
    read_result,
    rejected,
    video_name,
)
from .selection import Piece, Rules, Video, choose_pieces, cut_detections, piece_picture, piece_pose
from .shards import LATENTS, MANIFEST, ClipData, ClipInfo, encode_jpeg, write_shard

logger = logging.getLogger(__name__)

SMALL = 48
PEOPLE_EVERY = 12
MAX_PEOPLE = 3
SMOOTHING = 0.2
# Raised when clips come out otherwise than before, so that those of before are made again.
RECIPE = 3
# What is held of a long video are the clips of one shard, up to 80 s: about 350 MB at 768 x 768.
CLIPS_A_SHARD = 8

Frames = Iterator[tuple[float, np.ndarray]]


@dataclass
class Tools:
    """What looks and listens.

    Attributes
    ----------
    detect : frames -> detections of all of them.
    count_people : a picture -> number of people in it.
    encode : sound (samples,) at 16 kHz -> Whisper states (T, 5, 384).
    """

    detect: Callable[[Frames], Detections]
    count_people: Callable[[np.ndarray], int]
    encode: Callable[[np.ndarray], np.ndarray]


def real_tools(whisper: str, bundles: Bundles | None = None) -> Tools:
    """The landmark networks and Whisper; ValueError if a file is missing.

    bundles : MediaPipe's models, where the mediapipe package is to find the poses.
    """
    from ...audio import encode
    from ...files.checkpoints import TensorFile
    from ...models.audio_encoder import build_audio_encoder
    from ...pose.detect import detect

    networks = load_networks()
    encoder = build_audio_encoder(TensorFile(whisper).state_dict())
    return Tools(
        detect=lambda frames: detect(frames, bundles or networks),
        count_people=lambda picture: len(find_bodies(picture[None], networks, limit=MAX_PEOPLE)[0]),
        encode=lambda sound: encode(encoder, sound).numpy(),
    )


def look_and_listen(path: Path, tools: Tools) -> Video:
    """One pass over a video; ValueError where it cannot be read or has no sound."""
    waveform, rate = read_audio(path)
    people, change = [], []

    def watched() -> Frames:
        last = None
        for index, (time, picture) in enumerate(read_frames(path, FPS)):
            small = shrink(picture, SMALL, SMALL).mean(-1) / 255
            change.append(0.0 if last is None else float(np.abs(small - last).mean()))
            last = small
            people.append(tools.count_people(picture) if index % PEOPLE_EVERY == 0 else -1)
            yield time, picture

    found = tools.detect(watched())
    return Video(found, np.array(people), np.array(change), resample(waveform, rate))


def prepare_video(path: Path, name: str, out: Path, tools: Tools, rules: Rules, size: int) -> dict:
    """Make the shards of a video, each written as soon as it is full; what became of it, for the report."""
    video = look_and_listen(path, tools)
    pieces, rejections = choose_pieces(video, rules, size)
    infos: list[ClipInfo] = []
    clips = cut_out(path, name, video, pieces, tools, size) if pieces else iter(())
    for old in out.glob(f"{name}-*.safetensors"):
        old.unlink()  # Of other rules
    for old in out.glob(f"{LATENTS}/*/{name}-*.safetensors"):
        old.unlink()  # Of the clips of before
    while shard := list(itertools.islice(clips, CLIPS_A_SHARD)):
        write_shard(out / shard[0].info.shard, shard)
        infos += [clip.info for clip in shard]
    return {
        "clips": [info.listed() for info in infos],
        "rejected": [
            {"start": round(r.start / FPS, 2), "seconds": round((r.stop - r.start) / FPS, 2), "reason": r.reason}
            for r in rejections
        ],
        "estimated_faces": round(estimated_faces(video.found, pieces), 3),
    }


def cut_out(path: Path, name: str, video: Video, pieces: list[Piece], tools: Tools, size: int) -> Iterator[ClipData]:
    """A second pass over the video that cuts the pieces out, in order; only one piece's JPEG files are held."""
    states = tools.encode(video.sound).astype(np.float16)
    waiting, files = list(enumerate(pieces)), []
    for index, (_, picture) in enumerate(read_frames(path, FPS)):
        if index >= waiting[0][1].stop:
            yield make_clip(path, name, video, *waiting.pop(0), files, states, size)
            files = []
            if not waiting:
                return
        if index >= waiting[0][1].start:
            files.append(encode_jpeg(piece_picture(picture, waiting[0][1], size)))
    if files:
        yield make_clip(path, name, video, *waiting[0], files, states, size)


def make_clip(
    path: Path, name: str, video: Video, number: int, piece: Piece, files: list[bytes], states: np.ndarray, size: int
) -> ClipData:
    """The clip of a piece: its frames as JPEG files, healed pose, Whisper states (of the whole video's) and sound."""
    # A hand that is out of sight for long is not there: one held where it was last would teach invented hands
    pose = steady(cut_detections(video.found, piece.start, piece.stop), FPS, SMOOTHING, long_gaps="empty")
    # Healing works by time and may round a frame away at the end
    frames = min(len(files), len(pose))
    pose = piece_pose(pose.take(np.arange(frames)), piece, size)
    seconds = np.array([piece.start, piece.start + frames]) / FPS
    first, last = (seconds * AUDIO_FEATURE_RATE).astype(int)
    begin, end = (seconds * AUDIO_SAMPLE_RATE).round().astype(int)
    shard = f"{name}-{number // CLIPS_A_SHARD:03d}.safetensors"
    info = ClipInfo(
        shard, f"{number:03d}", piece.kind, frames, size, path.name, float(seconds[0]), *(piece.bucket or ())
    )
    heard = states[first : max(last + 1, first + 1)]
    return ClipData(info, files[:frames], pose, heard, video.sound[begin:end])


def estimated_faces(found: Detections, pieces: list[Piece]) -> float:
    """Share of the pieces' frames whose face points are only estimated from the head: their scores are halved."""
    scores = [found.face_scores[piece.start : piece.stop].max(1) for piece in pieces]
    return float((np.concatenate(scores) <= ESTIMATED_FACE_SCORE).mean()) if scores else 0.0


_KILLED = (
    "the process that prepared it was killed: there was not enough memory (try --workers 1), or a damaged file "
    "crashed the decoder. It will be tried again next time"
)

_tools: Tools | None = None


def _start(make_tools: Callable[[], Tools]) -> Callable[[tuple], dict]:
    """What works in this process: one video after the other, each with one thread."""
    global _tools
    import torch

    from ...media.opencv import cv2

    if _tools is None:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        _tools = make_tools()
    return partial(_one, _tools)


def _one(tools: Tools, job: tuple) -> dict:
    """Prepare one video and note the result; a video that cannot be used is a result too."""
    path, name, out, rules, size, fingerprint = job
    try:
        result = prepare_video(path, name, out, tools, rules, size)
    except ValueError as error:
        result = rejected(path, str(error))
    result = {**result, "video": str(path), "fingerprint": fingerprint}
    write_json(out / RESULTS / f"{name}.json", result)
    return result


def _work(task: tuple[Callable[[], Tools], tuple], _tick: Callable[[int], None]) -> dict:
    make_tools, job = task
    return _start(make_tools)(job)


Results = Iterator[tuple[str, dict]]


def _in_processes(jobs: list[tuple], make_tools: Callable[[], Tools], workers: int) -> Results:
    """The results by the videos' names; what kills its process is tried again, with all memory for itself."""
    suspects = []
    for count, tasks in ((workers, jobs), (1, suspects)):
        for (_, job), result in run_tasks(_work, [(make_tools, job) for job in tasks], count, lambda units: None):
            if not isinstance(result, Lost):
                yield job[1], result
            elif tasks is suspects:
                yield job[1], rejected(job[0], _KILLED)
            else:
                suspects.append(job)


def _on_ray(jobs: list[tuple], make_tools: Callable[[], Tools], address: str) -> Results:
    from ...workers.on_ray import on_ray

    for outcome in on_ray(partial(_start, make_tools), jobs, address, cores=1):
        path, name, *_ = jobs[outcome.index]
        yield name, outcome.value if isinstance(outcome, Done) else rejected(path, outcome.reason)


def prepare(
    videos: Path,
    out: Path,
    make_tools: Callable[[], Tools],
    rules: Rules = Rules(),  # noqa: B008 (frozen)
    size: int = FRAME_SIZE,
    workers: int = 1,
    progress: Progress | None = None,
    ray: str | None = None,
    part: str = "1/1",
    rights: RightsTable | None = None,
) -> dict:
    """Prepare all videos of a folder that are not prepared yet, then write manifest and report.

    Parameters
    ----------
    make_tools : called once in every process; picklable.
    workers : processes of this machine. ray : the address of a Ray cluster that works instead, or "local".
    part : "2/8" prepares the second of eight parts of the videos. What others have prepared by the end is listed, too.
    rights : in the videos, for the manifest.

    Returns
    -------
    The report: counts of videos, clips, seconds, and the rejected with their reasons.

    Raises
    ------
    ValueError : no videos, or `out` holds something else.
    """
    paths = find_videos(videos)
    if out.exists() and any(out.iterdir()) and not (out / RESULTS).is_dir():
        raise ValueError(
            f"{out} contains other files: choose a new folder, or one that prepare created. Nothing was changed."
        )
    (out / RESULTS).mkdir(parents=True, exist_ok=True)
    rights = rights or RightsTable()
    marks = {video_name(path, videos): _fingerprint(path, rules, size) for path in paths}
    mine = {video_name(path, videos): path for path in choose_part(paths, part)}
    results = {name: done for name in mine if (done := read_result(out, name, marks[name]))}
    logger.info("%d videos, %d of them already done", len(mine), len(results))
    jobs = [(path, name, out, rules, size, marks[name]) for name, path in mine.items() if name not in results]
    done = _on_ray(jobs, make_tools, ray) if ray else _in_processes(jobs, make_tools, workers)
    for name, result in done:
        results[name] = result
        if progress is not None:
            progress(len(results), len(mine))
    if progress is not None:
        progress(len(mine), len(mine))
    return finish(out, results, marks, {video_name(path, videos): rights.of(place_of(path, videos)) for path in paths})


def _fingerprint(path: Path, rules: Rules, size: int) -> dict:
    """What decides how a video is prepared."""
    stat = path.stat()
    return {
        "bytes": stat.st_size,
        "modified": stat.st_mtime_ns,
        "rules": rules.listed(),
        "size": size,
        "recipe": RECIPE,
    }


def _package_bundles(folder: Path) -> Bundles:
    """MediaPipe's bundles in a folder; ValueError where one is missing."""
    bundles = {kind: find_bundle(kind, [folder]) for kind in BUNDLE_LINKS}
    for kind in ("hand", "pose"):
        if bundles[kind] is None:
            raise ValueError(f"{folder} has no {kind}_landmarker bundle: download it from {BUNDLE_LINKS[kind]}")
    return Bundles(**bundles)


def _rights(videos: Path, table: Path | None, strict: bool) -> RightsTable:
    own = videos / RIGHTS_FILE
    rights = RightsTable(table or (own if own.is_file() else None))
    if strict:
        rights.check(place_of(path, videos) for path in find_videos(videos))
    return rights


def main(arguments: list[str] | None = None) -> int:
    from tqdm import tqdm

    parser = argparse.ArgumentParser(prog="python -m echomimic_core.training.prepare", description=__doc__)
    parser.add_argument("videos", type=Path, help="a folder of videos (searched with its folders), or one video")
    parser.add_argument("out", type=Path, help="folder for the clips")
    parser.add_argument("--detector", choices=DETECTORS, default=BUILT_IN, help="pose detector (%(default)s)")
    parser.add_argument(
        "--models", type=Path, default=Path(BUNDLE_FOLDER), help="folder with MediaPipe's bundles, for that detector"
    )
    parser.add_argument("--whisper", required=True, help="Whisper tiny: tiny.pt or model.safetensors")
    parser.add_argument("--size", type=int, default=FRAME_SIZE, help="side of the square frames in pixels")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--ray", nargs="?", const="local", help="one worker per core of a Ray cluster (HOST:PORT)")
    parser.add_argument("--buckets", nargs="+", default=[], metavar="WxH", help="frames that are no squares: 1024x576")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="only the k-th of n parts, for several machines")
    parser.add_argument("--rights", type=Path, help=f"table of origin, licence, consent ({RIGHTS_FILE} of VIDEOS)")
    parser.add_argument("--strict", action="store_true", help="stop if the rights in a video are not given")
    for name, value in Rules().listed().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value, help=f"see Rules; {value:g}")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        rules = Rules.given_by(vars(given))
        bundles = _package_bundles(given.models) if given.detector == PACKAGE else None
        if not Path(given.whisper).is_file():
            raise ValueError(f"there is no Whisper file {given.whisper}")
        tools = partial(real_tools, given.whisper, bundles)
        bar = tqdm(unit="video", dynamic_ncols=True, **bar_options())

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = prepare(
            *(given.videos, given.out, tools, rules, given.size, given.workers, progress, given.ray, given.part),
            _rights(given.videos, given.rights, given.strict),
        )
        bar.close()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        said = f"{error.filename or given.out}: {error.strerror or error}. Finished work is kept."
        print(said, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: run the same command again to continue", file=sys.stderr)
        return 130
    print(f"{report['clips']} clips, {report['seconds']} s, from {report['videos']} videos: {given.out / MANIFEST}")
    print(f"{len(report['rejected'])} parts rejected, see {given.out / REPORT}")
    if "warning" in report:
        print(f"Warning: {report['warning']}")
    return 0 if report["clips"] else 1


if __name__ == "__main__":
    sys.exit(main())
