"""`python -m benchmarks.pool`: what Ray costs and what a second node brings, by clips of the small model.

Each round makes the same clips in this process, on a Ray cluster of one node and on one of two nodes, one core each, in
turn. Every worker makes a short clip first, which does not count. Ratios are of one round, so that a machine that is
busy with other things slows both sides; the processor time of the workers does not depend on it.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from echomimic_core.media.picture import read_picture
from echomimic_core.media.sound import read_mono
from echomimic_core.media.video import VideoWriter
from echomimic_core.render import ClipSettings, clip, load_models
from echomimic_core.workers import here
from echomimic_core.workers.on_ray import on_ray

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

REPO = Path(__file__).resolve().parents[1]
WARM_SECONDS = 0.5
WAYS = {"plain": 0, "one node": 1, "two nodes": 2}


@dataclass(frozen=True)
class Cost:
    """Seconds for all clips: on the clock, and of the processor in the workers."""

    wall: float
    processor: float


def start(side: int):
    """A worker: the small model, and what makes a clip (seed, seconds) of it; gives the processor time it took."""
    torch.set_num_threads(1)
    models = load_models(REPO / "demo" / "models" / "nano.safetensors", device="cpu")
    return partial(_make, models, side)


def _make(models, side: int, task: tuple[int, float]) -> float:
    seed, seconds = task
    begun = time.process_time()
    settings = ClipSettings(seed=seed, width=side, height=side)
    picture = read_picture(REPO / "demo" / "inputs" / "character.png")
    voice = read_mono(REPO / "demo" / "inputs" / "speech.flac")[: round(16000 * seconds)]
    with (
        tempfile.TemporaryDirectory() as folder,
        VideoWriter(Path(folder, "clip.mp4"), settings.fps, side, side, (voice[None], 16000)) as writer,
    ):
        for frame in clip(models, picture, voice, settings=settings):
            writer.write(frame[None])
    return time.process_time() - begun


@contextmanager
def cluster(nodes: int, head_cores: int = 1) -> Iterator["Cluster"]:
    """A Ray cluster of a head and `nodes` with a core each, which only this machine can reach."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (its name)
    import ray._private.ray_constants as constants
    from ray.cluster_utils import Cluster

    constants.ENABLE_RAY_CLUSTER = False
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": head_cores, "include_dashboard": False})
    for _ in range(nodes):
        made.add_node(num_cpus=1)
    try:
        yield made
    finally:
        made.shutdown()


def cost(nodes: int, clips: int, seconds: float, side: int) -> Cost:
    """What it takes to make the clips, once a worker is warm."""
    warm = max(nodes, 1)
    tasks = [(0, WARM_SECONDS)] * warm + [(seed, seconds) for seed in range(clips)]
    begin = partial(start, side)
    if not nodes:
        return _watched(here(begin, tasks), warm)
    with cluster(nodes - 1) as made:
        return _watched(on_ray(begin, tasks, made.address), warm)


def _watched(outcomes, warm: int) -> Cost:
    begun, processor = None, 0.0
    for outcome in outcomes:
        if outcome.index < warm:
            # From here on the first worker makes what counts.
            begun = begun or time.monotonic()
        else:
            processor += outcome.value
    return Cost(time.monotonic() - begun, processor)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool", description=__doc__)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a clip")
    parser.add_argument("--side", type=int, default=128, help="of the pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures")
    given = parser.parse_args(arguments)
    rounds = []
    print(
        f"{given.clips} clips of {given.seconds:g} s at {given.side}x{given.side}, {os.cpu_count()} cores", flush=True
    )
    for number in range(given.rounds):
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        round_ = {way: cost(nodes, given.clips, given.seconds, given.side) for way, nodes in WAYS.items()}
        rounds.append(round_)
        said = ", ".join(f"{way} {c.wall:.1f} s (processor {c.processor:.1f} s)" for way, c in round_.items())
        print(f"round {number + 1}, load {load:.1f} before: {said}", flush=True)
    ratios = {
        "Ray / plain, clock": [r["one node"].wall / r["plain"].wall for r in rounds],
        "Ray / plain, processor": [r["one node"].processor / r["plain"].processor for r in rounds],
        "two nodes, times as fast as one": [r["one node"].wall / r["two nodes"].wall for r in rounds],
    }
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.3f} (from {min(values):.3f} to {max(values):.3f})")
    if given.json:
        from echomimic_core.files.durable import write_json

        write_json(given.json, {"rounds": [{way: vars(c) for way, c in r.items()} for r in rounds], "ratios": ratios})
    return 0


if __name__ == "__main__":
    sys.exit(main())
