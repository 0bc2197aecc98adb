"""`python -m benchmarks`: time, share of the machine's rate and memory of a window, and the price of every shortcut."""

import argparse
import sys
from pathlib import Path

import torch

from echomimic_core.files.durable import write_json

from .measure import Machine, describe
from .runs import Settings, run_all
from .table import print_table

SECTIONS = ["window", "memory", "decode", "clip", "shortcuts", "float8", "compile", "files", "poses"]
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
    options = parser.parse_args(arguments)
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
    for row in run_all(settings):
        results["rows"].append(row)
        print_table(row)
        if options.json:  # After every row: a run that is cut off has not been for nothing
            write_json(options.json, results)
    failed = [row["name"] for row in results["rows"] if row.get("error")]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
