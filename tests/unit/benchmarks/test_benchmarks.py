"""The benchmark command, small: its figures are there, and memory does not grow with the clip."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import tiny_vae

from benchmarks import runs
from benchmarks.__main__ import main
from benchmarks.counting import peak_live_bytes
from benchmarks.decoding import decode, random_kl
from benchmarks.measure import GIB, Machine, psnr
from benchmarks.runs import Settings, memory_rows, meta_networks
from benchmarks.streaming import stream_weights
from echomimic_core.config import TINY, SamplingConfig
from echomimic_core.models.build import write_tiny_model
from echomimic_core.sampling.memory import ON_CPU, Batching


def measured(folder, *arguments: str) -> list[dict]:
    """Rows of the JSON that the command writes for tiny networks at 32x32."""
    out = folder / "out.json"
    assert main(["--device", "cpu", "--size", "tiny", "--pixels", "32", "--json", str(out), *arguments]) == 0
    return json.loads(out.read_text())["rows"]


def test_command_measures_and_writes_json(tmp_path):
    rows = measured(tmp_path, "--frames", "4", "--sections", "window", "clip")
    window = next(row for row in rows if row["name"] == "guided window, 32x32")
    assert window["relative_error"] < 1e-4 and window["tflop"] > 0
    assert any("accelerated" in row["name"] and row["frames_per_second"] > 0 for row in rows)


@pytest.mark.release
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


def test_a_trained_model_is_priced_with_a_picture_and_a_voice(tmp_path):
    pytest.importorskip("diffusers")
    model, vae = write_tiny_model(tmp_path / "model.safetensors"), tmp_path / "vae.safetensors"
    save_file(tiny_vae(), vae)
    rows = measured(tmp_path, "--frames", "3", "--model", str(model), "--vae", str(vae), "--sections", "shortcuts")
    priced = [row["name"] for row in rows if "psnr_frames" in row]
    assert priced and all(name.startswith("accelerated, ") for name in priced), "the file's own variant only"
    # One short run on a busy machine: how much it is cannot be asked
    speedups = [row["cpu_speedup"] for row in rows if "cpu_speedup" in row]
    assert speedups and all(0 < speedup < math.inf for speedup in speedups)
    machine = Machine(torch.device("cpu"), torch.float32)
    given = Settings(machine, "tiny", [32], 3, [], 1, [vae], model)
    conditions = given.conditions(32, 3)
    assert conditions.audio.features.std() > 0 and conditions.pose_maps([0, 1, 2]).any()
    assert given.conditions(32, 3) is conditions, "made again in every run, it would be timed"


def test_a_trained_model_without_a_vae_is_a_sentence(tmp_path):
    pytest.importorskip("diffusers")
    model = write_tiny_model(tmp_path / "model.safetensors")
    out = tmp_path / "out.json"
    arguments = ["--device", "cpu", "--pixels", "32", "--model", str(model), "--sections", "shortcuts"]
    assert main([*arguments, "--json", str(out)]) == 1
    assert "VAE" in json.loads(out.read_text())["rows"][-1]["error"]


def test_windows_are_batched_by_the_memory_there_is(monkeypatch):
    settings = Settings(Machine(torch.device("meta"), torch.float16), "released", [256], 54, [], 1)
    monkeypatch.setattr(runs, "free_memory", lambda device: 80 * GIB)
    assert settings.batching(256, 54, 12).windows == 9
    used = []
    monkeypatch.setattr(runs, "sample", lambda *arguments, **named: used.append(arguments[4]))
    cpu = Settings(Machine(torch.device("cpu"), torch.float32), "tiny", [32], 4, [], 1)
    cpu.run(32, 4, SamplingConfig(1, 1.0))
    cpu.run(32, 4, SamplingConfig(1, 1.0), batching=Batching(3))
    assert used == [ON_CPU, Batching(3)]


def test_the_first_run_is_like_every_other():
    """Shortcuts are compared with the first run."""
    settings = Settings(Machine(torch.device("cpu"), torch.float32), "tiny", [32], 4, [], 1)
    first, second = (settings.run(32, 4, SamplingConfig(1, 1.0)) for _ in range(2))
    assert torch.equal(first, second)


def test_weights_are_never_held_in_another_dtype():
    half = Machine(torch.device("cpu"), torch.float16)
    for network in meta_networks(TINY, half):
        assert {p.dtype for p in network.parameters()} == {torch.float16}


def test_streamed_weights_are_on_the_device_a_layer_at_a_time():
    machine = Machine(torch.device("cpu"), torch.float32)
    network = torch.nn.Sequential(*(torch.nn.Linear(64, 64, bias=False) for _ in range(8))).requires_grad_(False)
    stream_weights(network, torch.device("meta"))
    layer = network[0].weight.nbytes
    peak = peak_live_bytes(lambda: network(torch.empty(1, 64, device="meta")))
    assert layer <= peak < 2 * layer
    assert {p.device.type for p in network.parameters()} == {"cpu"}
    plain, streamed = (Settings(machine, "tiny", [32], 4, [], 1) for _ in range(2))
    stream_weights(streamed.denoiser, machine.device)
    config = SamplingConfig(1, 2.5)
    assert torch.equal(streamed.run(32, 4, config), plain.run(32, 4, config))


def test_memory_does_not_grow_with_the_clip():
    settings = Settings(Machine(torch.device("cpu"), torch.float32), "tiny", [32], 8, ["memory"], 1)
    last = list(memory_rows(settings, 1.0))[-1]
    assert not last.get("error"), last


def test_psnr_knows_its_scale():
    exact = torch.tensor([0.0, 1.0])
    assert abs(psnr(exact + 0.1, exact) - 20.0) < 1e-3
