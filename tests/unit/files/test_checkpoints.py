"""Weights on disk: every published layout loads, and every broken file says what is wrong."""

import errno
import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import network

from benchmarks.counting import LiveBytes
from echomimic_core.config import TINY
from echomimic_core.files.checkpoints import (
    FLOAT8,
    CheckpointError,
    ModelFiles,
    TensorFile,
    find_file,
    find_released,
    open_one_file,
    save_one_file,
    write_tensors,
)
from echomimic_core.files.durable import WriteError
from echomimic_core.models.audio_encoder import build_audio_encoder
from echomimic_core.models.build import build, config_of, fill, write_tiny_model
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.pose_encoder import PoseEncoder

ROOT = Path(__file__).parents[3]


def pose_encoder_in(path: Path) -> ModelFiles:
    return ModelFiles("standard", {"pose_encoder": [(TensorFile(path), "")]})


def released_set(folder: Path, suffix: str = "", position_tables: bool = False) -> Path:
    """The released files of a tiny model: motion modules in a file of their own, in old torch and in new."""
    folder.mkdir(exist_ok=True)
    weights = network("denoising_unet").state_dict()
    motion = {name: tensor for name, tensor in weights.items() if "motion_modules" in name}
    rest = {name: tensor for name, tensor in weights.items() if name not in motion}
    if position_tables:
        motion["down_blocks.0.motion_modules.0.temporal_transformer.pos_encoder.pe"] = torch.zeros(1, 32, 32)
    torch.save(rest, folder / f"denoising_unet{suffix}.pth")
    torch.save(motion, folder / f"motion_module{suffix}.pth")
    torch.save(network("reference_unet").state_dict(), folder / "reference_unet.pth")
    torch.save(network("pose_encoder").state_dict(), folder / "pose_encoder.pth")
    return folder


def same_weights(ours: torch.nn.Module, expected: torch.nn.Module) -> bool:
    ours, expected = ours.state_dict(), expected.state_dict()
    return ours.keys() == expected.keys() and all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize("variant, suffix", [("standard", ""), ("accelerated", "_acc")])
@pytest.mark.parametrize("position_tables", [True, False])
def test_released_files_load(tmp_path, variant, suffix, position_tables):
    files = find_released([released_set(tmp_path / "EchoMimicV2", suffix, position_tables).parent], variant)
    config = config_of(files)
    assert config == TINY and files.variant == variant
    for name in ("denoising_unet", "reference_unet", "pose_encoder"):
        assert same_weights(build(files, name, config), network(name))


def test_accelerated_is_not_taken_for_standard(tmp_path):
    released_set(tmp_path, "_acc")
    with pytest.raises(CheckpointError, match="denoising U-Net of the standard model is missing.*denoising_unet.pth"):
        find_released([tmp_path], "standard")


def test_a_missing_file_tells_where_it_was_looked_for_and_where_to_get_it(tmp_path):
    (released_set(tmp_path) / "motion_module.pth").unlink()
    with pytest.raises(CheckpointError) as problem:
        find_released([tmp_path], "standard")
    for words in ("motion_module.pth", str(tmp_path), "https://huggingface.co/BadToBest/EchoMimicV2"):
        assert words in str(problem.value)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float16, torch.bfloat16, *FLOAT8])
def test_one_file_round_trip(tmp_path, dtype):
    unet, pose = network("denoising_unet"), network("pose_encoder")
    states = {"denoising_unet": unet.state_dict(), "pose_encoder": pose.state_dict()}
    path = save_one_file(tmp_path / "m.safetensors", states, "accelerated", TINY, dtype)
    files = open_one_file(path)
    assert files.variant == "accelerated" and config_of(files) == TINY
    loaded = build(files, "denoising_unet", TINY).state_dict()
    for name, tensor in unet.state_dict().items():
        stored = loaded[name]
        expected = torch.float16 if dtype in FLOAT8 and (tensor.ndim < 2 or name.startswith("conv_")) else dtype
        assert stored.dtype == (expected or tensor.dtype)
        assert torch.equal(stored.float(), tensor.to(stored.dtype).float())


def test_float8_makes_the_file_a_quarter(tmp_path):
    states = {name: network(name).state_dict() for name in ("denoising_unet", "pose_encoder")}
    whole = save_one_file(tmp_path / "a.safetensors", states, "standard", TINY).stat().st_size
    small = save_one_file(tmp_path / "b.safetensors", states, "standard", TINY, torch.float8_e4m3fn).stat().st_size
    assert small < 0.3 * whole


def test_the_tiny_model_holds_every_network(tmp_path):
    files = open_one_file(write_tiny_model(tmp_path / "tiny.safetensors", seed=3))
    assert set(files.networks) == {"denoising_unet", "pose_encoder", "reference_unet", "audio_encoder"}
    assert files.networks["denoising_unet"][0][0].metadata["weights"] == "random"
    file, prefix = files.networks["audio_encoder"][0]
    assert build_audio_encoder(file.state_dict(prefix))(torch.zeros(1, 80, 3000)).shape == (1500, 5, 384)


def test_saving_never_leaves_half_a_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="m.safetensors could not be written: the disk is full. Free some space"):
        save_one_file(tmp_path / "m.safetensors", {"pose_encoder": {}}, "standard", TINY)
    assert list(tmp_path.iterdir()) == []


def test_saving_converts_one_tensor_after_the_other(tmp_path):
    weights = {f"layer{index}.weight": torch.randn(64, 64) for index in range(20)}
    with LiveBytes() as live:
        save_one_file(tmp_path / "half.safetensors", {"denoising_unet": weights}, "standard", TINY, torch.float16)
    assert live.peak <= 2 * 64 * 64 * 2, "a second copy of all weights"
    assert torch.equal(
        load_file(tmp_path / "half.safetensors")["denoising_unet.layer7.weight"], weights["layer7.weight"].half()
    )


def test_loaded_weights_do_not_point_into_the_file(tmp_path):
    path = tmp_path / "pose_encoder.pth"
    torch.save(network("pose_encoder").state_dict(), path)
    loaded = build(pose_encoder_in(path), "pose_encoder", TINY)
    with open(path, "r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    assert same_weights(loaded, network("pose_encoder"))


class Malicious:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "web page": (lambda path: path.write_bytes(b"<!DOCTYPE html><html>" * 50), "it is a web page"),
    "pointer": (
        lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "only a Git LFS pointer",
    ),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 100), "damaged or not complete"),
}


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_says_what_it_is(tmp_path, kind, ending):
    write, words = BROKEN[kind]
    path = tmp_path / f"pose_encoder{ending}"
    write(path)
    with pytest.raises(CheckpointError, match=words) as problem:
        TensorFile(path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_truncated_file_is_named(tmp_path, ending):
    path = tmp_path / f"pose_encoder{ending}"
    weights = network("pose_encoder").state_dict()
    torch.save(weights, path) if ending == ".pth" else save_file(weights, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="damaged or not complete.*Download it again"):
        TensorFile(path)


def test_a_malicious_pickle_runs_nothing(tmp_path):
    path, mark = tmp_path / "pose_encoder.pth", tmp_path / "was_here"
    torch.save({"conv_in.weight": Malicious(mark)}, path)
    with pytest.raises(CheckpointError, match="might run code"):
        TensorFile(path)
    path.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(CheckpointError):
        TensorFile(path)
    assert not mark.exists()


def test_a_torch_file_without_weights_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="contains no weights"):
        TensorFile(tmp_path / "x.pth")


def test_wrapped_and_prefixed_weights_are_unwrapped(tmp_path):
    weights = {f"module.{name}": tensor for name, tensor in network("pose_encoder").state_dict().items()}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "x.pth")
    assert same_weights(build(pose_encoder_in(tmp_path / "x.pth"), "pose_encoder", TINY), network("pose_encoder"))


def empty(network_class):
    with torch.device("meta"):
        return network_class(TINY)


def test_missing_foreign_and_misshaped_parameters_are_named():
    weights = network("pose_encoder").state_dict()
    incomplete = {name: tensor for name, tensor in weights.items() if name != "conv_out.bias"}
    with pytest.raises(CheckpointError, match=r"1 of 16 parameters are missing \(first: conv_out.bias\)"):
        fill(empty(PoseEncoder), incomplete.items())
    with pytest.raises(CheckpointError, match=r"1 parameters do not belong .*first: lm_head"):
        fill(empty(PoseEncoder), {**weights, "lm_head": torch.zeros(1)}.items())
    with pytest.raises(CheckpointError, match=r"conv_out.bias has shape \(3,\), but this network needs \(32,\)"):
        fill(empty(PoseEncoder), {**weights, "conv_out.bias": torch.zeros(3)}.items())


def test_another_model_in_place_of_the_denoiser_is_named(tmp_path):
    torch.save(network("pose_encoder").state_dict(), released_set(tmp_path) / "denoising_unet.pth")
    with pytest.raises(CheckpointError, match="denoising_unet.pth is not a denoising U-Net"):
        config_of(find_released([tmp_path], "standard"))
    torch.save(network("denoising_unet").state_dict(), released_set(tmp_path) / "pose_encoder.pth")
    with pytest.raises(CheckpointError, match="pose_encoder.pth is not the pose encoder"):
        config_of(find_released([tmp_path], "standard"))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"format": "other"}, "not a one-file EchoMimicV2 model"),
        ({"format_version": "99"}, "format version 99"),
        ({"variant": "turbo"}, "'turbo'"),
    ],
)
def test_foreign_one_file_models_are_named(tmp_path, change, words):
    metadata = {
        "format": "echomimicv2",
        "format_version": "1",
        "variant": "standard",
        "config": json.dumps(asdict(TINY)),
    }
    weights = {f"denoising_unet.{name}": tensor for name, tensor in network("denoising_unet").state_dict().items()}
    save_file(weights, tmp_path / "m.safetensors", {**metadata, **change})
    with pytest.raises(CheckpointError, match=words):
        open_one_file(tmp_path / "m.safetensors")


def test_a_one_file_model_without_a_network_is_named(tmp_path):
    states = {"denoising_unet": network("denoising_unet").state_dict()}
    path = save_one_file(tmp_path / "m.safetensors", states, "standard", TINY)
    with pytest.raises(CheckpointError, match="has no pose encoder inside"):
        open_one_file(path)


def test_safetensors_win_over_pth_and_near_over_deep(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for place in ("deep/er/a.pth", "deep/a.pth"):
        (tmp_path / place).touch()
    assert find_file([tmp_path], ["a.safetensors", "a.pth"], "it") == tmp_path / "deep" / "a.pth"
    (tmp_path / "deep" / "er" / "a.safetensors").touch()
    assert find_file([tmp_path], ["a.safetensors", "a.pth"], "it").suffix == ".safetensors"


MEASURE = """
import resource, sys, torch
from echomimic_core.files.checkpoints import ModelFiles, TensorFile
from echomimic_core.config import ModelConfig
from echomimic_core.models.build import build
config = ModelConfig(block_out_channels=(128, 256, 512, 512))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
files = ModelFiles("standard", {"denoising_unet": [(TensorFile(sys.argv[1]), "")]})
net = build(files, "denoising_unet", config, torch.float16)
size = sum(p.nbytes for p in net.parameters())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read through the resource module")
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_loading_needs_one_copy_of_the_file_beyond_the_model(tmp_path, ending):
    from echomimic_core.config import ModelConfig
    from echomimic_core.models.build import random_state_dict

    with torch.device("meta"):
        unet = DenoisingUNet(ModelConfig(block_out_channels=(128, 256, 512, 512)))
    weights, path = random_state_dict(unet, 0), tmp_path / f"d{ending}"
    torch.save(weights, path) if ending == ".pth" else save_file(weights, path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    # The model in float16 is 1, the mapped pages of the float32 file at most 2; a second copy would be 5
    assert float(done.stdout) < 3.3, done.stdout


@pytest.mark.parametrize("config", ["{", '{"foo": 1}', '{"block_out_channels": [33, 33, 33, 33]}', "[]"])
def test_impossible_sizes_in_the_metadata_are_named(tmp_path, config):
    weights = {"denoising_unet.x": torch.zeros(1), "pose_encoder.x": torch.zeros(1)}
    metadata = {"format": "echomimicv2", "format_version": "1", "variant": "standard", "config": config}
    save_file(weights, tmp_path / "m.safetensors", metadata)
    with pytest.raises(CheckpointError, match="m.safetensors: the sizes in its metadata make no model"):
        config_of(open_one_file(tmp_path / "m.safetensors"))


def test_weights_behind_a_linked_folder_are_found(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.pth").touch()
    (tmp_path / "models").mkdir()
    try:
        (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make links")
    assert find_file([tmp_path / "models"], ["a.pth"], "it").name == "a.pth"


def test_integer_weights_are_refused():
    weights = {name: tensor.int() for name, tensor in network("pose_encoder").state_dict().items()}
    with pytest.raises(CheckpointError, match="conv_in.weight holds torch.int32"):
        fill(empty(PoseEncoder), weights.items())


def test_file_metadata_can_be_read_by_anyone(tmp_path):
    path = write_tiny_model(tmp_path / "tiny.safetensors")
    assert {name.partition(".")[0] for name in load_file(path)} >= {"denoising_unet", "audio_encoder"}
    assert TensorFile(path).metadata["format_version"] == "1"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_written_models_are_readable_by_whom_new_files_are(tmp_path):
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "model.safetensors", {"weight": torch.zeros(2)})
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"weight": torch.ones(2)})
    old = path.read_bytes()
    with pytest.raises(ValueError, match="weight is of torch.complex64, which a .safetensors file cannot store"):
        write_tensors(path, {"weight": torch.zeros(4, dtype=torch.complex64)})
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_links_to_itself_is_searched_once_and_files_of_macos_are_not_found(tmp_path):
    from echomimic_core.files.checkpoints import files_below

    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("x.pth", "._x.pth"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.pth").touch()
    for name in ("up", "again"):
        try:
            (tmp_path / "a" / "b" / name).symlink_to(tmp_path, target_is_directory=True)
        except OSError:
            pytest.skip("links need rights on this system")
    assert list(files_below([tmp_path])) == [tmp_path / "a" / "x.pth"]
