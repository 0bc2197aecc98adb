"""Both sides run in turn and compared pair by pair: a machine that slows down in between slows both down."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from echomimic_core.config import CONTEXT_FRAMES

REPO = Path(__file__).resolve().parents[2]


class Side:
    """One side, in a process of its own."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer()

    def ask(self, *words: object) -> dict:
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args[:4])} ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def beside_rows(folder: Path, python: str, device: str, dtype: str, sizes: list[int], pairs: int) -> Iterator[dict]:
    """Rows of a guided 12-frame window of the released size: the original's, ours, and the ratios of the pairs.

    Parameters
    ----------
    folder : the original's repository. python : the interpreter that has what it needs.
    pairs : timed pairs per size, after one of each side that is not timed; who is first alternates.
    """
    theirs = Side([python, "-m", "benchmarks.beside.theirs", str(folder.resolve()), device, dtype])
    ours = Side([sys.executable, "-m", "benchmarks.beside.ours", device, dtype])
    try:
        for pixels in sizes:
            yield from _rows(theirs, ours, pixels, pairs)
    finally:
        theirs.close()
        ours.close()


def _rows(theirs: Side, ours: Side, pixels: int, pairs: int) -> Iterator[dict]:
    sides = {"original": theirs, "ours": ours}
    window = f"guided window, {pixels}x{pixels}"
    error = _difference(sides, pixels)
    counted = {name: side.ask("count", pixels)["flops"] / 1e12 for name, side in sides.items()}
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for pair in range(pairs):
        for name in list(sides)[:: -1 if pair % 2 else 1]:
            found[name].append(sides[name].ask("time", pixels))
    for name, side in sides.items():
        row = {key: statistics.median(run[key] for run in found[name]) for key in ("seconds", "cpu_seconds")}
        yield {
            "name": f"{window}, {name}, torch {side.about['torch']}",
            **row,
            "tflop": counted[name],
            "peak_gib": max(run["peak_bytes"] for run in found[name]) / 2**30,
        }
    row = {"name": f"{window}, ours beside the original, {pairs} pairs", "relative_error": error}
    for key, name in (("seconds", "ratio"), ("cpu_seconds", "cpu_ratio")):
        ratios = [mine[key] / other[key] for mine, other in zip(found["ours"], found["original"], strict=True)]
        row |= {name: statistics.median(ratios), f"{name}_range": f"{min(ratios):.2f} to {max(ratios):.2f}"}
    yield from (
        {"name": f"{window}, {name} by kernels (profiled)", "kernels": side.ask("profile", pixels)}
        for name, side in sides.items()
    )
    yield row | {"frames_per_second": CONTEXT_FRAMES / statistics.median(run["seconds"] for run in found["ours"])}


def _difference(sides: dict[str, Side], pixels: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for name, side in sides.items():
            file = Path(folder) / f"{name}.pt"
            side.ask("save", pixels, file)
            made[name] = torch.load(file, weights_only=True).double()
    return float((made["ours"] - made["original"]).norm() / made["original"].norm())
