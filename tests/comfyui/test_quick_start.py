"""One widget chooses the model: it brings its VAE, its size, steps and guidance; nothing else has to be changed."""

import json
from contextlib import contextmanager

import av
import pytest
import torch
from comfy_server import WorkflowError
from comfy_workflow import change, to_prompt
from prompts import WORKFLOWS, small
from safetensors.torch import load_file, save_file
from tiny_models import MODEL_NAME, VAE_NAME, tiny_vae

from echomimic_core.files.tensor_file import TensorFile
from echomimic_core.files.vae import VAE_NAME as SD_VAE_NAME

WITH_VAE, SIZE = "with_vae.safetensors", 72
FRAMES = 2


def save_with_vae(comfy, name: str, vae: dict, **metadata) -> str:
    """The tiny model with a VAE inside, among the models of ComfyUI."""
    tiny = TensorFile(comfy.base / "models" / "echomimic" / MODEL_NAME)
    inside = {f"vae.{key}": tensor for key, tensor in vae.items()}
    save_file(tiny.state_dict() | inside, tiny.path.with_name(name), {**tiny.metadata, **metadata})
    return name


@pytest.fixture(scope="module")
def with_vae(comfy) -> str:
    """A one-file model trained at another size than the others', whose own VAE makes pictures all red."""
    vae = tiny_vae()
    vae["taesd_decoder.19.bias"] = torch.tensor([1.0, -1.0, -1.0]).half()
    vae["taesd_decoder.19.weight"] = torch.zeros_like(vae["taesd_decoder.19.weight"])
    return save_with_vae(comfy, WITH_VAE, vae, size=str(SIZE))


@pytest.fixture
def quick_start(object_info) -> dict:
    """The prompt of the quick start as it is, but for a short clip of the tiny model."""
    prompt = to_prompt(json.loads((WORKFLOWS / "quick_start.json").read_text("utf-8")), object_info)
    change(prompt, "EchoMimicV2Sampler", frames=FRAMES)
    return change(prompt, "EchoMimicV2Loader", model=MODEL_NAME)


def film_of(comfy, prompt: dict) -> tuple[tuple[int, int], torch.Tensor]:
    """Size and mean colour of the video that a prompt makes."""
    (path,) = (file for file in comfy.outputs(comfy.run(prompt)) if file.suffix == ".mp4")
    with av.open(str(path)) as film:
        frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")).float() for frame in film.decode(video=0)]
    assert len(frames) == FRAMES
    return (frames[0].shape[1], frames[0].shape[0]), frames[0].mean((0, 1))


def sentence(comfy, prompt: dict) -> str:
    with pytest.raises(WorkflowError) as refused:
        comfy.run(prompt)
    return str(refused.value)


def test_one_widget_changes_model_vae_and_size(comfy, quick_start, with_vae):
    size, colour = film_of(comfy, quick_start)
    assert size == (128, 128) and colour[0] < 200
    size, colour = film_of(comfy, change(quick_start, "EchoMimicV2Loader", model=with_vae))
    assert size == (SIZE, SIZE)
    assert colour[0] > 230 and colour[1:].max() < 25


def test_core_s_own_nodes_take_the_vae_of_the_loader(comfy, quick_start):
    """The same pixels as with Load VAE, whole and in tiles."""
    (loader,) = (id for id, node in quick_start.items() if node["class_type"] == "EchoMimicV2Loader")
    (picture,) = (id for id, node in quick_start.items() if node["class_type"] == "LoadImage")
    prompt = {id: quick_start[id] for id in (loader, picture)}
    prompt["scaled"] = node("ImageScale", image=[picture, 0], upscale_method="area", width=64, height=64, crop="center")
    prompt["core"] = node("VAELoader", vae_name=VAE_NAME)
    for name, vae in (("ours", [loader, 3]), ("theirs", ["core", 0])):
        prompt[f"{name} in"] = node("VAEEncode", pixels=["scaled", 0], vae=vae)
        tiles = {"tile_size": 64, "overlap": 0, "temporal_size": 64, "temporal_overlap": 8}
        for kind, more in (("VAEDecode", {}), ("VAEDecodeTiled", tiles)):
            prompt[f"{name} {kind}"] = node(kind, samples=[f"{name} in", 0], vae=vae, **more)
            prefix = f"{name}_{kind}"
            prompt[f"{prefix} saved"] = node("SaveImage", images=[f"{name} {kind}", 0], filename_prefix=prefix)
    files = {file.name.rpartition("_00001")[0]: file.read_bytes() for file in comfy.outputs(comfy.run(prompt))}
    assert files["ours_VAEDecode"] == files["theirs_VAEDecode"]
    assert files["ours_VAEDecodeTiled"] == files["theirs_VAEDecodeTiled"]


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def test_a_vae_that_nobody_wires_is_never_read(comfy, object_info, with_vae, quick_start):
    shown = len(comfy.log_text())
    comfy.run(change(small("talking_picture", object_info, frames=3), "EchoMimicV2Loader", model=with_vae))
    assert "EchoMimicV2: VAE of" not in comfy.log_text()[shown:]
    comfy.run(change(quick_start, "EchoMimicV2Loader", model=with_vae, weight_dtype="float32"))
    assert comfy.log_text()[shown:].count("EchoMimicV2: VAE of") == 1


@contextmanager
def without_vaes(comfy):
    """As long as this lasts there is no VAE in ComfyUI's folder."""
    path = comfy.base / "models" / "vae" / VAE_NAME
    hidden = path.rename(comfy.base / VAE_NAME)
    try:
        yield
    finally:
        hidden.rename(path)


def test_without_any_vae_its_use_says_what_to_get_and_goes_on_once_it_is_there(comfy, quick_start):
    change(quick_start, "EchoMimicV2Loader", model=MODEL_NAME, weight_dtype="bfloat16")
    with without_vaes(comfy):
        message = sentence(comfy, quick_start)
    assert "EchoMimicV2ReferenceEncode" in message or "Reference Encode" in message
    for words in (SD_VAE_NAME, "models/vae", "huggingface.co/stabilityai/sd-vae-ft-mse-original", "Load VAE"):
        assert words in message
    film_of(comfy, quick_start)


DAMAGED = {
    "a weight is missing": ({"taesd_decoder.19.weight": None}, "not complete (1 weights are missing, first: taesd_"),
    "a weight of another shape": ({"taesd_decoder.7.weight": torch.zeros(3, 3)}, "its VAE cannot be used"),
    "no decoder": ({"taesd_decoder.1.weight": None}, "has no VAE inside with an encoder and a decoder"),
}


@pytest.mark.parametrize(("changes", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_vae_inside_is_a_sentence(comfy, quick_start, changes, words):
    vae = {name: tensor for name, tensor in (tiny_vae() | changes).items() if tensor is not None}
    name = save_with_vae(comfy, f"{len(words)}_damaged.safetensors", vae)
    message = sentence(comfy, change(quick_start, "EchoMimicV2Loader", model=name))
    assert words in message and name in message


@pytest.mark.parametrize(
    ("width", "height", "made"),
    [(0, 0, (SIZE, SIZE)), (0, 64, (64, 64)), (80, 0, (80, 80)), (64, 80, (64, 80))],
)
def test_a_side_of_zero_is_the_model_s_own_or_makes_a_square(comfy, quick_start, with_vae, width, height, made):
    change(quick_start, "EchoMimicV2Loader", model=with_vae)
    change(quick_start, "EchoMimicV2ReferenceEncode", width=width, height=height)
    assert film_of(comfy, quick_start)[0] == made


def test_a_side_too_short_is_a_sentence(comfy, quick_start):
    change(quick_start, "EchoMimicV2ReferenceEncode", width=56, height=0)
    assert "would be 56x56 pixels, but each side must be at least 64" in sentence(comfy, quick_start)


def test_a_saved_model_keeps_its_vae_and_its_size(comfy, quick_start, with_vae):
    (loader,) = (id for id, each in quick_start.items() if each["class_type"] == "EchoMimicV2Loader")
    change(quick_start, "EchoMimicV2Loader", model=with_vae)
    save = {"model": [loader, 0], "filename": "kept", "weight_dtype": "float8_e4m3fn"}
    comfy.run({loader: quick_start[loader], "save": {"class_type": "EchoMimicV2SaveModel", "inputs": save}})
    (saved,) = comfy.base.rglob("kept.safetensors")
    assert TensorFile(saved).metadata["size"] == str(SIZE)
    kept, own = (
        {name: tensor for name, tensor in load_file(path).items() if name.startswith("vae.")}
        for path in (saved, comfy.base / "models" / "echomimic" / with_vae)
    )
    assert kept.keys() == own.keys() and all(torch.equal(kept[name], own[name]) for name in own)
