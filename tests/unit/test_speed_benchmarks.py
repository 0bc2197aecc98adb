"""The benchmark command, small: its figures are there, and memory does not grow with the clip."""

import json

import torch

from benchmarks.__main__ import main
from benchmarks.measure import Machine, psnr
from benchmarks.runs import Settings, memory_rows


def test_command_measures_and_writes_json(tmp_path):
    out = tmp_path / "out.json"
    arguments = ["--device", "cpu", "--size", "tiny", "--pixels", "32", "--frames", "8", "--json", str(out)]
    assert main([*arguments, "--sections", "window", "clip"]) == 0
    rows = json.loads(out.read_text())["rows"]
    window = next(row for row in rows if row["name"] == "guided window, 32x32")
    assert window["relative_error"] < 1e-4 and window["tflop"] > 0 and window["ratio"] > 0
    assert any("accelerated" in row["name"] and row["frames_per_second"] > 0 for row in rows)


def test_memory_does_not_grow_with_the_clip():
    settings = Settings(Machine(torch.device("cpu"), torch.float32), "tiny", [64], 8, ["memory"], 1)
    last = list(memory_rows(settings, 1.0))[-1]
    assert not last.get("error"), last


def test_psnr_knows_its_scale():
    exact = torch.tensor([0.0, 1.0])
    assert abs(psnr(exact + 0.1, exact) - 20.0) < 1e-3
