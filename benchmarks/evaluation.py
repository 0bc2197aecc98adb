"""`python -m benchmarks.evaluation`: what it costs to evaluate a minute of 768 x 768 video against its real one.

A picture that moves gently and a voice become the real clip, a blurred copy of it the generated one. Everything whose
network is there is computed without a cache, then once more with what the first run has kept; `--each` also times every
metric alone over the first seconds. Picture and voice of your own show a face and hands that the detectors know.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from echomimic_core.config import FPS
from echomimic_core.evaluation.clips import Clip, read_picture
from echomimic_core.evaluation.evaluate import Evaluation, evaluate
from echomimic_core.evaluation.metrics.registry import BY_KEY, Metric
from echomimic_core.evaluation.passes.jobs import cores
from echomimic_core.evaluation.sets import gather
from echomimic_core.evaluation.settings import Settings
from echomimic_core.files.durable import write_json
from echomimic_core.media.opencv import cv2
from echomimic_core.media.video import VideoWriter, read_audio

from .table import print_table

INPUTS = Path(__file__).resolve().parents[1] / "demo" / "inputs"
# The promise: a minute of video in a minute and a half of two cores.
ALLOWED_WALL, ALLOWED_CPU = 90.0, 180.0
PROMISED_SECONDS, PROMISED_PIXELS = 60.0, 768
# How far the picture wanders, as a part of its size.
WANDER = 0.04


@dataclass(frozen=True)
class Film:
    """What is filmed: a picture, a sound, and for how long."""

    picture: Path
    sound: Path
    seconds: float
    pixels: int

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The generated and the real clip as files."""
        waveform, rate = read_audio(self.sound)
        waveform = np.atleast_2d(np.asarray(waveform))
        sound = np.tile(waveform, -(-int(self.seconds * rate) // waveform.shape[1]))[:, : int(self.seconds * rate)]
        made, real = folder / "generated.mp4", folder / "real.mp4"
        side = self.pixels
        with (
            VideoWriter(made, FPS, side, side, (sound, rate)) as blurred,
            VideoWriter(real, FPS, side, side, (sound, rate)) as sharp,
        ):
            for frame in self.frames():
                sharp.write(frame[None])
                half = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                blurred.write(cv2.resize(half, (side, side), interpolation=cv2.INTER_LINEAR)[None])
        return made, real

    def frames(self) -> Iterator[np.ndarray]:
        """The picture seen through a square that wanders: (pixels, pixels, 3) uint8."""
        room = round(self.pixels * WANDER)
        picture = read_picture(self.picture)
        height, width = picture.shape[:2]
        square = picture[: min(height, width), (width - min(height, width)) // 2 :][:, : min(height, width)]
        large = cv2.resize(square, (self.pixels + 2 * room,) * 2, interpolation=cv2.INTER_AREA)
        for index in range(round(self.seconds * FPS)):
            x, y = (room + room * np.sin(index / FPS * speed) for speed in (1.7, 2.3))
            yield np.ascontiguousarray(large[int(y) :, int(x) :][: self.pixels, : self.pixels])


def timed(function: Callable[[], Evaluation]) -> tuple[Evaluation, float, float]:
    """What a call gives, its seconds, and the seconds of processor that it and its ended processes took."""
    wall, before = time.perf_counter(), os.times()
    result = function()
    after = os.times()
    # User and system time of this process and of its children; Windows leaves the children's at 0.
    return result, time.perf_counter() - wall, sum(after[:4]) - sum(before[:4])


def run_all(film: Film, settings: Settings, processes: int, each_seconds: float) -> Iterator[dict]:
    """Rows of everything at once, of the same again, and of single metrics."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, real = (gather(path) for path in film.write(folder))

        def whole() -> Evaluation:
            return evaluate(made, real, None, settings, cache=folder / "cache", processes=processes)

        found, wall, processor = timed(whole)
        computed = [score.metric for score in found.scores if score.value is not None]
        values = {metric.key: found.value(metric.key) for metric in computed}
        row = {"name": f"all that is there, {film.seconds:g} s of {film.pixels}x{film.pixels}", "seconds": wall}
        row |= {"cpu_seconds": processor, "note": ", ".join(f"{BY_KEY[k].name} {v:.3g}" for k, v in values.items())}
        if film.seconds == PROMISED_SECONDS and film.pixels == PROMISED_PIXELS and processor > ALLOWED_CPU:
            row["error"] = f"more than {ALLOWED_CPU:g} s of processor ({ALLOWED_WALL:g} s on two cores)"
        yield row
        _, wall, processor = timed(whole)
        yield {"name": "the same again, from the cache", "seconds": wall, "cpu_seconds": processor}
        if each_seconds:
            yield from each(made[0], real[0], computed, settings, each_seconds)


def each(made: Clip, real: Clip, metrics: list[Metric], settings: Settings, seconds: float) -> Iterator[dict]:
    """A row for each metric alone in this process; together they cost less, as many share a pass over the frames."""
    frames = round(seconds * FPS)
    short = [Beginning(clip.name, clip.kind, clip.path, frames=frames) for clip in (made, real)]
    for metric in metrics:
        _, wall, processor = timed(lambda metric=metric: evaluate(short[:1], short[1:], [metric], settings))
        note = f"{processor / frames * 1000:.0f} ms of a core each frame, decoding included"
        yield {"name": f"{metric.name} alone, {seconds:g} s", "seconds": wall, "cpu_seconds": processor, "note": note}


class Beginning(Clip):
    """The first frames of a clip; never cached."""

    def __init__(self, *arguments, frames: int):
        super().__init__(*arguments)
        object.__setattr__(self, "_frames", frames)

    def frames(self, fps=None):
        for _, item in zip(range(self._frames), super().frames(fps), strict=False):
            yield item


def included(settings: Settings) -> str:
    """A sentence on what the figures cover."""
    parts = {"MediaPipe's expressions": settings.find("faces") is not None, "dlib": settings.find("dlib") is not None}
    others = [n for n in ("inception", "i3d", "lpips", "deep3d", "syncnet", "dwpose", "arcface") if settings.find(n)]
    said = [f"{name} {'included' if yes else 'not there, so not included'}" for name, yes in parts.items()]
    return "; ".join([*said, f"networks: {', '.join(others) or 'none'}"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--picture", type=Path, default=INPUTS / "character.png", help="default: the demo's, drawn")
    parser.add_argument("--sound", type=Path, default=INPUTS / "speech.flac", help="default: the demo's voice")
    parser.add_argument("--seconds", type=float, default=PROMISED_SECONDS)
    parser.add_argument("--pixels", type=int, default=PROMISED_PIXELS)
    parser.add_argument("--processes", type=int, default=0, help="default: one a core")
    parser.add_argument(
        "--each", type=float, nargs="?", const=5.0, default=0.0, metavar="SECONDS", help="time every metric alone too"
    )
    parser.add_argument("--networks", type=Path, help="folder of feature networks (default models/echomimic/metrics)")
    parser.add_argument("--mediapipe", type=Path, help="folder of MediaPipe's bundles (default models/mediapipe)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    options = parser.parse_args(arguments)
    os.environ.setdefault("GLOG_minloglevel", "2")
    folders = {"folders": (options.networks,)} if options.networks else {}
    folders |= {"mediapipe": (options.mediapipe,)} if options.mediapipe else {}
    settings = Settings(**folders, device=options.device)
    machine = f"{platform.machine()}, {cores()} cores, torch {torch.__version__}"
    results = {"machine": machine, "included": included(settings), "rows": []}
    print(f"{machine}\n{results['included']}\nfilming {options.seconds:g} s twice, which is not timed", flush=True)
    film = Film(options.picture, options.sound, options.seconds, options.pixels)
    for row in run_all(film, settings, options.processes, options.each):
        results["rows"].append(row)
        print_table(row)
    if options.json:
        write_json(options.json, results)
    return 1 if any(row.get("error") for row in results["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
