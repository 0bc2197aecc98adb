"""The paper's numbers for videos, poses, or folders: python -m echomimic_core.evaluation GENERATED [REFERENCE].

Several methods on the same real clips: --method ours=DIR --method other=DIR [REFERENCE].

Feature networks are read from models/echomimic/metrics (or --networks DIR), MediaPipe's bundles from models/mediapipe
(or --mediapipe DIR). A metric whose network is missing is reported as not computed, with the place to get it.
"""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ..files.durable import write_bytes
from .clips import Clip
from .console import Parser, ProgressLine, check_number, own_terminal
from .protocols import EDGES, FID_RESIZES, FVD_PROTOCOLS
from .sets import gather, read_pairs


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    from .metrics.registry import METRICS

    keys = ", ".join(metric.key for metric in METRICS)
    p = Parser(
        prog="python -m echomimic_core.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "paths",
        nargs="*",
        metavar="GENERATED [REFERENCE]",
        help="a video, a folder of frames, a pose (folder of .npy, .json, .safetensors), or a folder of them; the real "
        "video, or a folder whose files have the same names",
    )
    p.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="instead of GENERATED, once per method: all in one table, the best value marked",
    )
    p.add_argument(
        "--pairs",
        metavar="CSV",
        help="instead of both paths: a table with the columns generated, reference and optionally picture",
    )
    p.add_argument(
        "--unpaired", action="store_true", help="REFERENCE is another set of clips: FID, KID, FVD and E-FID of the sets"
    )
    p.add_argument("--frame-rate", type=float, default=25.0, help="frames per second of folders of frames (default 25)")
    p.add_argument("--metrics", help=f"comma-separated, default all: {keys}")
    p.add_argument("--pictures", help="reference picture for CSIM, or a folder of them by name (default: first frames)")
    p.add_argument(
        "--emtd", metavar="PREPARED", help="benchmark on EMTD: a folder made by echomimic_core.evaluation.emtd"
    )
    p.add_argument("--split", default="test", help="split of EMTD's manifest to evaluate (default test; all for every)")
    p.add_argument("--json", metavar="OUT", help="write all numbers and curves as JSON (- for the screen)")
    p.add_argument(
        "--report", metavar="OUT", help="write a report: .html or .md, with .csv, .tex and .json of the same name"
    )
    p.add_argument("--networks", metavar="DIR", help="folder of feature networks")
    p.add_argument("--network", action="append", default=[], metavar="NAME=FILE", help="file of one network")
    p.add_argument("--mediapipe", metavar="DIR", help="folder of MediaPipe's .task bundles")
    p.add_argument("--device", default="cpu", help="where networks run: cpu, cuda, mps (default cpu)")
    p.add_argument("--batch", type=int, default=8, help="frames that go through a network at once (default 8)")
    p.add_argument("--processes", type=int, default=0, help="clips processed at once (default: one per core)")
    p.add_argument("--ray", nargs="?", const="local", help="read clips on a Ray cluster (HOST:PORT), or on Ray here")
    protocols = "; ".join(f"{name}: {does.format('--fvd-frames')}" for name, does in FVD_PROTOCOLS.items())
    p.add_argument("--fvd", choices=FVD_PROTOCOLS, default="all", help=f"FVD protocol, default all; {protocols}")
    p.add_argument("--fvd-frames", type=int, default=16, help="frames of one FVD sample (default 16)")
    p.add_argument(
        "--sync-crop", choices=("face", "whole"), default="face", help="whole: frames are already face crops"
    )
    for option, ways, default in (("--fid-resize", FID_RESIZES, "torch"), ("--edges", EDGES, "even")):
        does = "; ".join(f"{name}: {what}" for name, what in ways.items())
        p.add_argument(option, choices=ways, default=default, help=f"{does} (default {default})")
    p.add_argument("--cache", metavar="DIR", help="where results are cached (default: the user's cache folder)")
    p.add_argument("--no-cache", action="store_true", help="recompute everything and cache nothing")
    p.add_argument(
        "--quiet",
        action="store_true",
        help="the numbers alone, or nothing where --json or --report takes them; only failures go to the error stream, "
        "one line each",
    )
    return p


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
        fvd=arguments.fvd,
        clip_frames=arguments.fvd_frames,
        sync_crop=arguments.sync_crop,
        fid_resize=arguments.fid_resize,
        edges=arguments.edges,
    )


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"--device {device} cannot be used on this machine ({reason}): choose cpu") from error


@dataclass
class Inputs:
    """The sets that the arguments name: generated clips by method, the real ones, reference pictures, absent clips."""

    methods: dict[str, list[Clip]]
    reference: list[Clip]
    pictures: list[Clip]
    absent: dict[str, str]


def _inputs(arguments: argparse.Namespace) -> Inputs:
    """ValueError if the arguments do not fit together."""
    paths, rate = list(arguments.paths), arguments.frame_rate
    check_number("--frame-rate", rate, 0.1, 1000)
    check_number("--processes", arguments.processes, 0)
    if arguments.pairs:
        if paths or arguments.method or arguments.emtd:
            raise ValueError("--pairs names all clips: omit GENERATED, REFERENCE, --method and --emtd")
        generated, reference, pictures = read_pairs(arguments.pairs, rate)
        return Inputs({"": generated}, reference, pictures, {})
    methods = dict(_named(pair, rate) for pair in arguments.method)
    if len(methods) < len(arguments.method):
        raise ValueError("two of --method have the same name: give each its own")
    if not methods:
        if not paths:
            raise ValueError("there is nothing to evaluate: give GENERATED, --method NAME=PATH or --pairs CSV")
        methods = {"": gather(paths.pop(0), rate)}
    if len(paths) > 1:
        raise ValueError(f"{paths[1]} is one path too many: GENERATED [REFERENCE], or --method ... [REFERENCE]")
    reference = gather(paths[0], rate) if paths else []
    generated = methods.get("", [])
    if len(generated) == 1 and Path(arguments.paths[0]).is_file():
        # One clip out of a set: the others of the set are not missed.
        reference = [clip for clip in reference if clip.name == generated[0].name] or reference
    pictures = gather(arguments.pictures, portraits=True) if arguments.pictures else []
    return Inputs(methods, reference, pictures, {})


def _named(pair: str, rate: float) -> tuple[str, list[Clip]]:
    name, _, path = pair.partition("=")
    if not name or not path:
        raise ValueError(f"--method {pair} should be NAME=PATH")
    return name, gather(path, rate)


def _of_emtd(arguments: argparse.Namespace, inputs: Inputs) -> dict[str, Inputs]:
    """The clips of each method that EMTD has, with its real ones."""
    from .emtd import Manifest

    if inputs.reference:
        raise ValueError("--emtd has its own real clips: omit REFERENCE")
    manifest = Manifest.load(arguments.emtd)
    found = {}
    for name, clips in inputs.methods.items():
        generated, reference, portraits, absent = manifest.pair(clips, arguments.split)
        found[name] = Inputs({name: generated}, reference, inputs.pictures or portraits, absent)
    return found


def run(arguments: argparse.Namespace, command: str = "") -> int:
    """Run the evaluation; 1 if no metric at all could be computed.

    Raises
    ------
    ValueError : the arguments do not fit.
    """
    from . import report

    settings, inputs = _settings(arguments), _inputs(arguments)
    _check_outputs(arguments, inputs)
    comparison = _evaluated(arguments, settings, inputs)
    in_files = arguments.json or arguments.report
    setup = report.describe(comparison, settings, command, _named_by(arguments)) if in_files else None
    _show(arguments, comparison, setup)
    if arguments.report:
        for path in report.save(comparison, arguments.report, setup, bool(arguments.emtd)):
            _say(arguments, f"wrote {path}")
    scores = [score for evaluation in comparison.methods.values() for score in evaluation.scores]
    return 0 if any(score.value is not None for score in scores) else 1


def _check_outputs(arguments: argparse.Namespace, inputs: Inputs) -> None:
    from . import report

    read = [clip.path for clips in (*inputs.methods.values(), inputs.reference, inputs.pictures) for clip in clips]
    read += [Path(arguments.pairs)] if arguments.pairs else []
    if arguments.report:
        report.check_suffix(Path(arguments.report))
        report.check_places("--report", arguments.report, read, beside=True)
    if arguments.json and arguments.json != "-":
        report.check_places("--json", arguments.json, read)


def _evaluated(arguments: argparse.Namespace, settings, inputs: Inputs):
    """The evaluation of each method."""
    from .evaluate import evaluate
    from .methods import Comparison
    from .metrics.registry import choose
    from .passes.cache import default_folder

    metrics = choose(arguments.metrics.split(",")) if arguments.metrics else None
    sets = _of_emtd(arguments, inputs) if arguments.emtd else dict.fromkeys(inputs.methods, inputs)
    cache = None if arguments.no_cache else Path(arguments.cache) if arguments.cache else default_folder()
    evaluations = {}
    for name, own in sets.items():
        # Said before the work begins, when it can still be stopped, and again by every score.
        for clip, reason in own.absent.items():
            _say(arguments, f"{clip}: {reason}")
        if name:
            _say(arguments, f"{name}: {len(own.methods[name])} clips")
        evaluations[name] = evaluate(
            own.methods[name],
            own.reference,
            metrics,
            settings,
            own.pictures,
            cache,
            arguments.processes,
            None if arguments.quiet else ProgressLine(),
            own.absent,
            arguments.unpaired,
            arguments.ray,
        )
    return Comparison(evaluations)


def _show(arguments: argparse.Namespace, comparison, setup) -> None:
    """Numbers on the screen and as JSON; with --quiet only failures, where the numbers are in files."""
    from . import report

    only = comparison.methods.get("")
    as_json = report.as_json(only or comparison, setup) if arguments.json else ""
    shown = {"paper": bool(arguments.emtd), "notes": not arguments.quiet}
    if arguments.json == "-":
        print(as_json)
    elif not (arguments.quiet and (arguments.json or arguments.report)):
        print(report.as_text(only, **shown) if only else report.compared(comparison, **shown))
    if arguments.quiet:
        for name, evaluation in comparison.methods.items():
            for line in report.failures(evaluation):
                print(f"{name}: {line}" if name else line, file=sys.stderr)
    if arguments.json and arguments.json != "-":
        write_bytes(arguments.json, as_json.encode())


def _named_by(arguments: argparse.Namespace) -> str:
    if arguments.pairs:
        return f"named by the table {Path(arguments.pairs).name}"
    return f"named by EMTD's manifest, split {arguments.split}" if arguments.emtd else ""


def _say(arguments: argparse.Namespace, line: str) -> None:
    if not arguments.quiet:
        print(line, file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """The command; what is wrong with its arguments is one sentence on the error stream."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    with own_terminal():
        try:
            arguments = parser().parse_args(argv)
            command = shlex.join(["python", "-m", __package__, *(sys.argv[1:] if argv is None else argv)])
            return run(arguments, command)
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except (MemoryError, RuntimeError) as error:
            from ..runtime import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            print(
                "error: memory has run out: lower --batch or --processes, and run it again: finished clips are cached",
                file=sys.stderr,
            )
            return 2
        except KeyboardInterrupt:
            print("\nstopped: run it again to resume, finished clips are cached", file=sys.stderr)
            return 130
