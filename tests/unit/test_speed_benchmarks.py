"""The benchmark command, small: its figures are there, and memory does not grow with the clip."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import tiny_vae

from benchmarks import runs
from benchmarks.__main__ import main
from benchmarks.decoding import decode, random_kl
from benchmarks.measure import Machine, psnr
from benchmarks.runs import Settings, memory_rows


def measured(folder, *arguments: str) -> list[dict]:
    """Rows of the JSON that the command writes for tiny networks at 32x32."""
    out = folder / "out.json"
    assert main(["--device", "cpu", "--size", "tiny", "--pixels", "32", "--json", str(out), *arguments]) == 0
    return json.loads(out.read_text())["rows"]


def test_command_measures_and_writes_json(tmp_path):
    rows = measured(tmp_path, "--frames", "4", "--sections", "window", "clip")
    window = next(row for row in rows if row["name"] == "guided window, 32x32")
    assert window["relative_error"] < 1e-4 and window["tflop"] > 0 and window["ratio"] > 0
    assert any("accelerated" in row["name"] and row["frames_per_second"] > 0 for row in rows)


def test_every_shortcut_has_its_price_in_latents_and_in_frames(tmp_path, monkeypatch):
    pytest.importorskip("diffusers")
    monkeypatch.setattr(runs, "SHORTCUT_STEPS", 4)
    rows = measured(tmp_path, "--frames", "14", "--sections", "shortcuts", "float8")
    priced = [row for row in rows if "psnr_frames" in row]
    assert {row["name"].split(",")[0] for row in priced} == {"standard", "accelerated"}
    for row in priced:
        assert 5 < row["psnr_latents"] < 100 and 5 < row["psnr_frames"] < 100 and row["speedup"] > 0, row
    (float8,) = (row for row in rows if "cast for every use" in row["name"])
    assert 20 < float8["psnr_latents"] < 80


def test_decoders_are_timed_and_a_better_one_is_the_measure_of_the_other(tmp_path):
    pytest.importorskip("diffusers")
    files = [tmp_path / "one.safetensors", tmp_path / "other.safetensors"]
    state = tiny_vae()
    save_file(state, files[0])
    state["taesd_decoder.19.weight"] = state["taesd_decoder.19.weight"] * 0.9
    save_file(state, files[1])
    *timed, beside = measured(tmp_path, "--sections", "decode", "--vae", *map(str, files))
    names = ["one.safetensors decodes 32x32", "other.safetensors decodes 32x32"]
    assert [row["name"] for row in timed if "decodes" in row["name"]] == names
    assert 10 < beside["psnr_frames"] < 60


def test_the_stand_in_for_the_full_vae_decodes():
    pytest.importorskip("diffusers")
    machine = Machine(torch.device("cpu"), torch.float32)
    with torch.no_grad():
        assert decode(random_kl(machine), torch.randn(1, 4, 2, 2)).shape == (1, 3, 16, 16)


def test_memory_does_not_grow_with_the_clip():
    settings = Settings(Machine(torch.device("cpu"), torch.float32), "tiny", [32], 8, ["memory"], 1)
    last = list(memory_rows(settings, 1.0))[-1]
    assert not last.get("error"), last


def test_psnr_knows_its_scale():
    exact = torch.tensor([0.0, 1.0])
    assert abs(psnr(exact + 0.1, exact) - 20.0) < 1e-3
