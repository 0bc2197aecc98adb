"""Which model and VAE the demo takes, and that all that is missing is said at once, with where to get it."""

import json
import struct
import sys
from pathlib import Path

import pytest

demo = Path(__file__).resolve().parents[3] / "demo"
if not demo.is_dir():
    pytest.skip("the demo is left out of this copy", allow_module_level=True)

import model_choice  # noqa: E402
from comfy_setup import Installation, SetupError  # noqa: E402
from model_choice import VAE_DOWNLOAD, VAE_NAME, choose  # noqa: E402

RELEASED = ("motion_module", "denoising_unet")
# First layers of the two kinds of VAE.
KL, TAE = ("encoder.conv_in.weight", "decoder.conv_in.weight"), ("taesd_encoder.0.weight", "taesd_decoder.1.weight")
COMMON = ("reference_unet.pth", "pose_encoder.pth", "tiny.pt")


def write_safetensors(path: Path, *names: str, shape=(1,), **metadata) -> Path:
    size = 4
    for length in shape:
        size *= length
    offsets = {name: [index * size, (index + 1) * size] for index, name in enumerate(names)}
    tensors = {name: {"dtype": "F32", "shape": shape, "data_offsets": offsets[name]} for name in names}
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size * len(names)))
    return path


def write_one_file(path: Path, *networks: str, **metadata) -> Path:
    names = [f"{name}.weight" for name in networks or ("denoising_unet", "reference_unet", "audio_encoder")]
    return write_safetensors(path, *names, format="echomimicv2", **metadata)


@pytest.fixture
def models(tmp_path) -> Path:
    """ComfyUI's models folder, empty."""
    folder = tmp_path / "comfyui" / "models"
    for kind in model_choice.KINDS:
        (folder / kind).mkdir(parents=True)
    return folder


@pytest.fixture
def taken(models, tmp_path, monkeypatch):
    """Choose among what lies in `models`; the pack's own small model is left out."""
    monkeypatch.setattr(model_choice, "SMALL_FOLDER", tmp_path / "small")
    installation = Installation(models.parent, Path(sys.executable))
    return lambda wanted=None: choose(wanted, installation, tmp_path / "tiny")


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def put_variant(folder: Path, suffix: str) -> None:
    put(folder, *(f"{name}{suffix}.pth" for name in RELEASED), *COMMON)


def refused(taken, wanted=None) -> str:
    with pytest.raises(SetupError) as error:
        taken(wanted)
    return str(error.value)


def test_without_anything_random_weights(taken, models):
    choice = taken()
    assert (choice.model, choice.released) == ("tiny.safetensors", False)
    assert "noise" in choice.sentence and str(models) in choice.sentence


WHOLE = ("denoising_unet", "reference_unet", "audio_encoder", "vae")


def test_the_packs_own_small_model_is_used_where_it_has_a_vae_inside(taken, tmp_path):
    small = tmp_path / "small"
    assert taken().model == "tiny.safetensors"
    write_one_file(small / "nano.safetensors", *WHOLE, size="128")
    choice = taken()
    assert (choice.model, choice.released) == ("nano.safetensors", False)
    assert choice.folders["echomimic"] == [small]
    assert "drawn characters" in choice.sentence


def test_what_is_shipped_is_one_small_file_with_everything_inside():
    (path,) = model_choice.SMALL_FOLDER.glob("*.safetensors")
    assert "Copyright (c) 2022 OpenAI" in (path.parent / "LICENSE.whisper.txt").read_text(encoding="utf-8")
    assert path.stat().st_size <= 40e6
    found = model_choice.ask(path)
    assert set(found["networks"]) >= {"denoising_unet", "pose_encoder", "reference_unet", "audio_encoder", "vae"}
    for key in ("title", "size", "license", "weights", "vae", "audio_encoder", "variant"):
        assert found["about"][key], key


def test_a_damaged_small_model_is_named(taken, tmp_path):
    path = write_one_file(tmp_path / "small" / "nano.safetensors", *WHOLE)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "damaged" in refused(taken) and str(path) in refused(taken)


def test_a_small_model_without_a_vae_is_named(taken, tmp_path):
    path = write_one_file(tmp_path / "small" / "nano.safetensors", *WHOLE[:-1], vae="a text about it")
    assert str(path) in refused(taken) and "no VAE inside" in refused(taken)


def test_a_small_model_that_is_asked_for_and_missing_is_not_replaced_by_noise(taken, tmp_path):
    path = tmp_path / "small" / "nano.safetensors"
    assert f"The model cannot be used: {path} does not exist" in refused(taken, str(path))


def test_the_small_model_may_be_asked_for_beside_real_weights(taken, models, tmp_path):
    put_variant(models / "echomimic", "_acc")
    put(models / "vae", VAE_NAME)
    path = write_one_file(tmp_path / "small" / "nano.safetensors", *WHOLE)
    assert taken().model == "accelerated"
    assert taken(str(path)).folders["echomimic"] == [path.parent]


def test_real_weights_go_before_the_small_model(taken, models, tmp_path):
    write_one_file(tmp_path / "small" / "nano.safetensors", *WHOLE)
    put_variant(models / "echomimic" / "v2" / "released", "")
    put(models / "vae" / "sd15", VAE_NAME)
    choice = taken()
    assert (choice.model, choice.released) == ("standard", True)
    assert choice.sentence.endswith(f"VAE: {Path('sd15', VAE_NAME)}")


def test_everything_missing_is_said_at_once(taken, models):
    put(models / "echomimic", "denoising_unet_acc.pth")
    text = refused(taken)
    for name in ("motion_module_acc.pth", "reference_unet.pth", "pose_encoder.pth", "tiny.pt", VAE_NAME):
        assert name in text
    assert model_choice.DOWNLOAD in text and model_choice.WHISPER_DOWNLOAD in text and VAE_DOWNLOAD in text
    assert "denoising_unet_acc.pth" not in text


def test_a_vae_alone_is_not_enough(taken, models):
    put(models / "vae", VAE_NAME)
    assert "pose_encoder.pth" in refused(taken, "accelerated") and VAE_NAME not in refused(taken, "accelerated")


def test_an_asked_for_variant_names_its_own_files(taken):
    text = refused(taken, "standard")
    assert "denoising_unet.pth" in text and "motion_module.pth" in text and "_acc" not in text


@pytest.mark.parametrize(
    ("complete", "other", "model"), [("", "_acc", "standard"), ("_acc", "", "accelerated")], ids=["standard", "acc"]
)
def test_the_complete_variant_is_taken(taken, models, complete, other, model):
    put_variant(models / "echomimic", complete)
    put(models / "echomimic", f"denoising_unet{other}.pth")
    put(models / "vae", VAE_NAME)
    assert taken().model == model


def test_whisper_may_lie_with_the_audio_encoders(taken, models):
    put_variant(models / "echomimic", "_acc")
    (models / "echomimic" / "tiny.pt").rename(models / "audio_encoders" / "tiny.pt")
    put(models / "vae", VAE_NAME)
    assert taken().model == "accelerated"


def test_a_one_file_model_in_a_subfolder(taken, models):
    path = write_one_file(models / "echomimic" / "mine" / "me.safetensors")
    put(models / "echomimic", "whisper.safetensors")
    assert VAE_NAME in refused(taken)
    put(models / "vae", VAE_NAME)
    choice = taken()
    assert choice.model == str(Path("mine", "me.safetensors")) and not choice.released
    assert taken(str(path)).model == "me.safetensors"
    assert taken(str(path)).folders["echomimic"][0] == path.parent


def test_a_one_file_model_and_what_it_lacks(taken, models, tmp_path):
    path = write_one_file(tmp_path / "me.safetensors", "denoising_unet", "reference_unet")
    text = refused(taken, str(path))
    assert "tiny.pt" in text and VAE_NAME in text and str(path) in text
    whole = write_one_file(tmp_path / "whole.safetensors", *WHOLE, size="256")
    assert taken(str(whole)).sentence.endswith("VAE: its own")
    bare = write_one_file(tmp_path / "bare.safetensors", "denoising_unet")
    assert "no reference network" in refused(taken, str(bare))


def test_files_that_are_not_models_are_refused(taken, tmp_path):
    foreign = write_safetensors(tmp_path / "lora.safetensors", "lora.weight")
    assert "no one-file model" in refused(taken, str(foreign))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(foreign.read_bytes()[:-2])
    assert "damaged" in refused(taken, str(cut))
    cut.write_bytes(b"<html>")
    assert "it is a web page" in refused(taken, str(cut))
    cut.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "Git LFS pointer" in refused(taken, str(cut))


def test_another_vae_is_taken_only_with_four_channels(taken, models):
    put_variant(models / "echomimic", "_acc")
    write_safetensors(models / "vae" / "ae.safetensors", *KL, shape=(512, 16, 3, 3))
    assert VAE_NAME in refused(taken)
    write_safetensors(models / "vae" / "sd15.safetensors", *KL, shape=(512, 4, 3, 3))
    assert taken().sentence.endswith("VAE: sd15.safetensors")
    write_safetensors(models / "vae" / "mine.safetensors", *TAE, shape=(64, 4, 3, 3))
    assert taken().sentence.endswith("VAE: mine.safetensors")


def test_the_vae_of_sdxl_is_not_taken(taken, models):
    put_variant(models / "echomimic", "_acc")
    write_safetensors(
        models / "vae" / "sdxl_vae.safetensors",
        "encoder.conv_in.weight",
        "decoder.conv_in.weight",
        shape=(512, 4, 3, 3),
    )
    assert VAE_NAME in refused(taken)
    same = Path("diffusion_pytorch_model.safetensors")
    write_safetensors(models / "vae" / "sdxl_vae" / same, *KL, shape=(512, 4, 3, 3))
    assert VAE_NAME in refused(taken)
    put(models / "vae" / "sd-vae-ft-MSE", "diffusion_pytorch_model.bin")
    assert taken().sentence.endswith(f"VAE: {Path('sd-vae-ft-MSE', same.with_suffix('.bin'))}")


def test_folders_come_from_extra_model_paths(taken, models, tmp_path, comfyui):
    """ComfyUI's own reader of the file is used: base_path, several lines, defaults first."""
    for name in ("folder_paths.py", "utils", "comfy"):
        (models.parent / name).symlink_to(comfyui / name)
    shelf = tmp_path / "shelf"
    put_variant(shelf / "echo", "_acc")
    put(tmp_path / "vaes", VAE_NAME)
    (models.parent / "extra_model_paths.yaml").write_text(
        f"shelf:\n  base_path: {shelf}\n  echomimic: |\n    nothing\n    echo\n  vae: {tmp_path / 'vaes'}\n"
    )
    choice = taken()
    assert choice.model == "accelerated" and choice.sentence.endswith(f"VAE: {VAE_NAME}")
    assert shelf / "echo" in choice.folders["echomimic"] and models / "echomimic" in choice.folders["echomimic"]


def test_extra_model_paths_that_cannot_be_read(taken, models, comfyui):
    for name in ("folder_paths.py", "utils", "comfy"):
        (models.parent / name).symlink_to(comfyui / name)
    (models.parent / "extra_model_paths.yaml").write_text("a: [")
    assert "extra_model_paths.yaml" in refused(taken)


def test_the_first_folder_is_the_first_that_comfyui_searches(taken, models, tmp_path):
    """ComfyUI puts each default folder before the last."""
    path = write_one_file(tmp_path / "mine" / "me.safetensors")
    put(models / "vae", VAE_NAME)
    written = json.loads(taken(str(path)).write_paths(tmp_path / "models.yaml").read_text())["demo"]
    assert written["is_default"] is True
    assert written["echomimic"].splitlines()[-1] == str(path.parent)


@pytest.fixture
def comfyui() -> Path:
    import os

    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("no ComfyUI: start the tests by python3 tests/run.py, or set COMFYUI_PATH")
    return Path(os.environ["COMFYUI_PATH"])
