"""The paper's numbers for videos, poses, or folders: python -m echomimic_core.evaluation GENERATED [REFERENCE].

Feature networks are read from models/echomimic/metrics (or --networks DIR), MediaPipe's bundles from models/mediapipe
(or --mediapipe DIR). A metric whose network is missing is reported as not computed, with the place to get it.
"""

import argparse
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..files.durable import write_bytes


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    from .metrics.registry import METRICS

    keys = ", ".join(metric.key for metric in METRICS)
    p = argparse.ArgumentParser(
        prog="python -m echomimic_core.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("generated", help="a video, a pose (folder of .npy, .json, .safetensors), or a folder of them")
    p.add_argument("reference", nargs="?", help="the real video, or a folder whose files have the same names")
    p.add_argument("--metrics", help=f"comma-separated, default all: {keys}")
    p.add_argument("--pictures", help="reference picture for CSIM, or a folder of them by name (default: first frames)")
    p.add_argument(
        "--emtd", metavar="PREPARED", help="benchmark on EMTD: a folder made by echomimic_core.evaluation.emtd"
    )
    p.add_argument("--split", default="test", help="split of EMTD's manifest to evaluate (default test; all for every)")
    p.add_argument("--json", metavar="OUT", help="write all numbers and curves as JSON (- for the screen)")
    p.add_argument("--report", metavar="OUT", help="write a report with curves: .html or .md")
    p.add_argument("--networks", metavar="DIR", help="folder of feature networks")
    p.add_argument("--network", action="append", default=[], metavar="NAME=FILE", help="file of one network")
    p.add_argument("--mediapipe", metavar="DIR", help="folder of MediaPipe's .task bundles")
    p.add_argument("--device", default="cpu", help="where networks run: cpu, cuda, mps (default cpu)")
    p.add_argument("--batch", type=int, default=8, help="frames that go through a network at once (default 8)")
    p.add_argument("--processes", type=int, default=0, help="clips processed at once (default: one per core)")
    p.add_argument("--fvd-frames", type=int, default=16, help="frames of one FVD sample (default 16)")
    p.add_argument(
        "--sync-crop", choices=("face", "whole"), default="face", help="whole: frames are already face crops"
    )
    p.add_argument("--cache", metavar="DIR", help="where results are cached (default: the user's cache folder)")
    p.add_argument("--no-cache", action="store_true", help="recompute everything and cache nothing")
    p.add_argument("--quiet", action="store_true", help="no progress")
    return p


class ProgressLine:
    """Frames done and time left, on one line of the error stream, at most four times per second."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.begun = time.monotonic()
        self.shown = -1.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.shown < 0.25 and done < total:
            return
        self.shown = now
        left = (now - self.begun) * (total - done) / done if done else 0
        eta = f"{int(left) // 60}:{int(left) % 60:02d} left" if done else "starting"
        end = "\n" if done >= total else ""
        self.stream.write(f"\r{done}/{total} frames, {eta}   {end}")
        self.stream.flush()


def _settings(arguments: argparse.Namespace):
    from ..networks.local import NETWORKS
    from .settings import Settings

    chosen = {}
    for pair in arguments.network:
        name, _, file = pair.partition("=")
        if name not in NETWORKS or not file:
            raise ValueError(f"--network {pair} should be NAME=FILE with a NAME of {', '.join(NETWORKS)}")
        chosen[name] = Path(file)
    _check_device(arguments.device)
    folders = {"folders": (Path(arguments.networks),)} if arguments.networks else {}
    folders |= {"mediapipe": (Path(arguments.mediapipe),)} if arguments.mediapipe else {}
    return Settings(
        **folders,
        chosen=chosen,
        device=arguments.device,
        batch=arguments.batch,
        clip_frames=arguments.fvd_frames,
        sync_crop=arguments.sync_crop,
    )


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"--device {device} cannot be used on this machine ({reason}): choose cpu") from error


def run(arguments: argparse.Namespace) -> int:
    """Run the evaluation; 1 if no metric at all could be computed.

    Raises
    ------
    ValueError : the arguments do not fit.
    """
    from .clips import gather
    from .evaluate import evaluate
    from .metrics.registry import choose
    from .passes.cache import default_folder
    from .report import text as report

    if arguments.report and Path(arguments.report).suffix.lower() not in report.SUFFIXES:
        raise ValueError(f"--report {arguments.report} should end in .html or .md")
    for option, path in (("--report", arguments.report), ("--json", arguments.json)):
        if path and path != "-":
            report.check_place(path, option)
    metrics = choose(arguments.metrics.split(",")) if arguments.metrics else None
    generated = gather(arguments.generated)
    reference = gather(arguments.reference) if arguments.reference else []
    if Path(arguments.generated).is_file():
        # One clip out of a set: the others of the set are not missed.
        reference = [clip for clip in reference if clip.name == generated[0].name] or reference
    pictures = gather(arguments.pictures) if arguments.pictures else []
    absent = {}
    if arguments.emtd:
        from .emtd import Manifest

        if reference:
            raise ValueError("--emtd has its own real clips: omit REFERENCE")
        manifest = Manifest.load(arguments.emtd)
        generated, reference, portraits, absent = manifest.pair(generated, arguments.split)
        pictures = pictures or portraits
        # Told before the work begins, when it can still be stopped, and again by every score.
        for name, reason in absent.items():
            print(f"{name}: {reason}", file=sys.stderr)
    cache = None if arguments.no_cache else Path(arguments.cache) if arguments.cache else default_folder()
    evaluation = evaluate(
        generated,
        reference,
        metrics,
        _settings(arguments),
        pictures,
        cache,
        arguments.processes,
        None if arguments.quiet else ProgressLine(),
        absent,
    )
    if arguments.json == "-":
        print(report.as_json(evaluation))
    else:
        print(report.as_text(evaluation, paper=bool(arguments.emtd)))
    if arguments.json and arguments.json != "-":
        write_bytes(arguments.json, report.as_json(evaluation).encode())
    if arguments.report:
        for path in report.save(evaluation, arguments.report):
            print(f"wrote {path}", file=sys.stderr)
    return 0 if any(score.value is not None for score in evaluation.scores) else 1


def main(argv: list[str] | None = None) -> int:
    """The command; what is wrong with its arguments is one sentence on the error stream."""
    # MediaPipe greets at length.
    os.environ.setdefault("GLOG_minloglevel", "2")
    for stream in (sys.stdout, sys.stderr):
        # Consoles of old code pages know no arrows and no infinity.
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")
    try:
        return run(parser().parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        from ..runtime import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        print("error: memory has run out: lower --batch or --processes; what is done is kept", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
