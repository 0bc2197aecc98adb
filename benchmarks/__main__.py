"""`python -m benchmarks`: time, share of the machine's rate and memory of a window, and the price of every shortcut."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from echomimic_core.files.durable import write_json, write_text

from .beside.pairs import beside_rows
from .chart import bars
from .measure import Machine, describe, matrix_rate
from .runs import Settings, run_all
from .table import print_table

SECTIONS = ["window", "memory", "decode", "clip", "shortcuts", "float8", "compile", "files", "poses"]
MORE_WORK = 1.1
DTYPES = {"cpu": "float32", "mps": "float16", "cuda": "float16", "xpu": "float16"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    parser.add_argument("--device", default=best, help="cpu, cuda, mps ... (default: the best there is)")
    parser.add_argument("--dtype", help="default: float32 on the CPU, float16 elsewhere")
    parser.add_argument("--size", default="released", choices=["released", "tiny"], help="width of the networks")
    parser.add_argument("--pixels", type=int, nargs="+", help="sides of the square picture (default: 256; GPU 256 768)")
    parser.add_argument("--frames", type=int, help="frames of the end-to-end and shortcut runs (default: 24; GPU 54)")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS)
    parser.add_argument(
        "--vae", type=Path, nargs="+", default=[], help="VAE files to decode with, the best first (default: stand-ins)"
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a trained one-file model for clip, shortcuts and float8, its VAE inside or given by --vae: it speaks "
        "with the demo's picture, voice and hands (default: random weights)",
    )
    parser.add_argument("--repeat", type=int, default=0, help="timed repetitions (default: 3; CPU 1)")
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="also draw the times as bars")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="JSON",
        help="an earlier --json: fail where more than 10 %% more work is counted",
    )
    parser.add_argument(
        "--original",
        type=Path,
        metavar="FOLDER",
        help="a checkout of github.com/antgroup/echomimic_v2: time its own U-Net and ours in turn, and nothing else",
    )
    parser.add_argument(
        "--original-python",
        default=sys.executable,
        metavar="PYTHON",
        help="a Python that has torch, diffusers 0.31.0, transformers 4.46.3, omegaconf and numpy < 2 for the original",
    )
    parser.add_argument("--pairs", type=int, default=7, help="timed pairs per size beside the original (default 7)")
    options = parser.parse_args(arguments)
    if options.original and not (options.original / "src" / "models" / "unet_3d_emo.py").is_file():
        parser.error(
            f"--original {options.original} is no checkout of the original: src/models/unet_3d_emo.py is missing"
        )
    earlier = earlier_work(options.compare, parser.error) if options.compare else {}
    device = torch.device(options.device)
    on_cpu = device.type == "cpu"
    default_sections = ["window", "memory"] if on_cpu and options.size == "released" else None
    if options.model:
        default_sections = ["clip", "shortcuts", "float8"]
    settings = Settings(
        machine=Machine(device, getattr(torch, options.dtype or DTYPES.get(device.type, "float32"))),
        size=options.size,
        pixels=options.pixels or ([256] if on_cpu else [256, 768]),
        frames=options.frames or (24 if on_cpu else 54),
        sections=options.sections or default_sections or SECTIONS,
        repeat=options.repeat or (1 if on_cpu else 3),
        vae_files=options.vae,
        model=options.model,
    )
    size = options.model.name if options.model else f"{options.size} size"
    print(f"{describe(settings.machine)}; {size}")
    results = {"machine": describe(settings.machine), "size": size, "torch": torch.__version__, "rows": []}
    for row in rows_of(settings, options):
        results["rows"].append(row)
        print_table(row)
        if options.json:  # After every row: a run that is cut off has not been for nothing
            write_json(options.json, results)
        if options.plot:
            write_text(options.plot, bars(results["rows"], results["machine"]))
    grown = more_work(results["rows"], earlier)
    for line in grown:
        print(line, file=sys.stderr)
    failed = [row["name"] for row in results["rows"] if row.get("error")]
    return 1 if failed or grown else 0


def rows_of(settings: Settings, options: argparse.Namespace) -> Iterator[dict]:
    """Rows of what is to be measured, as they come."""
    if options.original is None:
        yield from run_all(settings)
        return
    machine = settings.machine
    yield {"name": "matrix product", "tflops": matrix_rate(machine) / 1e12}
    dtype = str(machine.dtype).removeprefix("torch.")
    sizes = options.pixels or ([128, 256] if machine.device.type == "cpu" else [256, 512, 768])
    yield from beside_rows(options.original, options.original_python, str(machine.device), dtype, sizes, options.pairs)


def earlier_work(path: Path, refuse: Callable[[str], None]) -> dict[str, float]:
    """Work counted in an earlier run, in TFLOP by the names of its rows."""
    try:
        rows = json.loads(path.read_text("utf-8"))["rows"]
        return {row["name"]: row["tflop"] for row in rows if row.get("tflop")}
    except (OSError, ValueError, KeyError, TypeError):
        refuse(f"--compare {path} is no file that --json wrote")
        raise


def more_work(rows: list[dict], earlier: dict[str, float]) -> list[str]:
    """A sentence for each row whose counted work has grown by more than `MORE_WORK`."""
    return [
        f"{row['name']}: {row['tflop']:.3g} TFLOP, {row['tflop'] / earlier[row['name']] - 1:.0%} more than earlier"
        for row in rows
        if row.get("tflop") and row["tflop"] > MORE_WORK * earlier.get(row["name"], float("inf"))
    ]


if __name__ == "__main__":
    sys.exit(main())
