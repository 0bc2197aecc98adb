"""`python -m benchmarks.landmarks VIDEO`: frames per second of finding hands, body and face, decoding excluded.

All ways look at the same frames in turns, so that another program on the machine slows all of them alike. Rows of the
mediapipe package are there where it is installed and its models are given.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from echomimic_core.files.durable import write_json
from echomimic_core.landmarks import load_networks
from echomimic_core.media.video import read_frames
from echomimic_core.pose.bundles import BUNDLE_LINKS, Bundles, find_bundle
from echomimic_core.pose.detectors import open_detector

from .evaluation import print_table

# Frames that each way gets in its turn.
_TURN = 8

Look = Callable[[np.ndarray, list[float]], object]


def package_video_mode(bundles: Bundles, stack: ExitStack) -> Look:
    """MediaPipe's own video mode: both hands and the body, followed by the package; `stack` closes it."""
    from echomimic_core.pose.detectors.package import as_image, open_landmarker

    hands = stack.enter_context(open_landmarker("hand", bundles.hand, video=True, num_hands=2))
    body = stack.enter_context(open_landmarker("pose", bundles.pose, video=True))

    def look(pictures: np.ndarray, times: list[float]) -> None:
        for picture, moment in zip(pictures, times, strict=True):
            image = as_image(picture)
            hands.detect_for_video(image, round(1000 * moment))
            body.detect_for_video(image, round(1000 * moment))

    return look


def ways(device: str, bundles: Bundles | None, stack: ExitStack) -> dict[str, Look]:
    """Every way to look at frames that this machine has, by name; `stack` closes what they open."""
    networks = load_networks().to(device)
    found = {"built-in, still": open_detector(networks), "built-in, tracking": open_detector(networks, track=True)}
    if bundles:
        found["mediapipe, still (Hand Pose of 0.1.0)"] = stack.enter_context(open_detector(bundles))
        found["mediapipe, its video mode"] = package_video_mode(bundles, stack)
    return found


def run_all(frames: list[np.ndarray], looks: dict[str, Look]) -> Iterator[dict]:
    """A row for each way: frames per second, and how that compares with the others."""
    wall, processor = dict.fromkeys(looks, 0.0), dict.fromkeys(looks, 0.0)
    for look in looks.values():
        look(np.stack(frames[:_TURN]), [index / 24 for index in range(_TURN)])
    for start in range(_TURN, len(frames), _TURN):
        part = np.stack(frames[start : start + _TURN])
        times = [(start + index) / 24 for index in range(len(part))]
        for name, look in looks.items():
            begun, spent = time.perf_counter(), time.process_time()
            look(part, times)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            wall[name] += time.perf_counter() - begun
            processor[name] += time.process_time() - spent
    seen = len(frames) - _TURN
    for name in looks:
        ratios = [f"{wall[other] / wall[name]:.2f} x {other}" for other in looks if other != name]
        yield {
            "name": name,
            "seconds": wall[name] / seen,
            "cpu_seconds": processor[name] / seen,
            "note": f"{seen / wall[name]:.1f} frames/s; {', '.join(ratios)}",
        }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landmarks", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--side", type=int, default=0, help="scale the frames to this shorter side")
    parser.add_argument("--models", type=Path, help="folder of MediaPipe's bundles")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    options = parser.parse_args(arguments)
    bundles = None
    if options.models:
        bundles = Bundles(**{kind: find_bundle(kind, [options.models]) for kind in BUNDLE_LINKS})
    frames = [scaled(picture, options.side) for _, picture in islice(read_frames(options.video), options.frames)]
    height, width = frames[0].shape[:2]
    print(f"{len(frames)} frames of {width}x{height}, {options.device}, {torch.get_num_threads()} threads", flush=True)
    with ExitStack() as stack:
        rows = list(run_all(frames, ways(options.device, bundles, stack)))
    for row in rows:
        print_table(row)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB, of it frames {sum(frame.nbytes for frame in frames) / 2**30:.2f} GiB")
    if options.json:
        write_json(options.json, {"rows": rows})
    return 0


def scaled(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture with the given shorter side; 0 leaves it as it is."""
    from echomimic_core.media.scaling import shrink

    short = min(picture.shape[:2])
    return shrink(picture, *(round(n * side / short) for n in picture.shape[:2])) if side and side < short else picture


if __name__ == "__main__":
    sys.exit(main())
