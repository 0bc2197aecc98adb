"""Run inside ComfyUI's own Python: a model's own VAE, the precision it computes in, what is saved of it; as JSON.

python inside_models.py COMFYUI_FOLDER PACK_FOLDER FOLDER_FOR_FILES

In the last lies `vae.safetensors`, to be put inside of models.
"""

import copy
import json
import threading
import time
from contextlib import contextmanager

from started_comfyui import ARGUMENTS, PACK, load  # isort: skip

import comfy.model_patcher
import comfy.sd
import folder_paths
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

(FOLDER,) = ARGUMENTS
folder_paths.folder_names_and_paths["echomimic"] = ([str(FOLDER)], {".safetensors"})
build = load("echomimicv2.echomimic_core.models.build")
checkpoints = load("echomimicv2.echomimic_core.files.checkpoints")
windows = load("echomimicv2.echomimic_core.sampling.denoiser").WindowSettings()
bridge = load("echomimicv2.bridge.model")
payload = load("echomimicv2.bridge.payload")
block_vae = load("echomimicv2.bridge.block_vae")
lazy_vae = load("echomimicv2.bridge.vae")
files = load("echomimicv2.bridge.model_files")
save_model = load("echomimicv2.nodes.model.save").EchoMimicV2SaveModel

ABOUT = {"title": "Mine", "weights": "my own", "license": "MIT", "vae": "a small one", "audio_encoder": "Whisper"}
THREADS = 4


def write_model():
    """A one-file model with everything inside, and words about it all."""
    path = build.write_tiny_model(FOLDER / "tiny.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    vae = {f"vae.{name}": tensor for name, tensor in load_file(FOLDER / "vae.safetensors").items()}
    whole = FOLDER / "whole.safetensors"
    save_file(load_file(path) | vae, whole, metadata | ABOUT)
    return whole


def sentence(function) -> str:
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@contextmanager
def reading(instead):
    """Core's VAE is read by `instead`, which is given how core does it."""
    original = comfy.sd.VAE.__init__
    comfy.sd.VAE.__init__ = lambda self, **given: instead(lambda: original(self, **given))
    try:
        yield
    finally:
        comfy.sd.VAE.__init__ = original


def many_first_users(path) -> dict:
    vae, reads, seen, together = lazy_vae.LazyVAE(path), [], [], threading.Barrier(THREADS)

    def slowly(read):
        reads.append(1)
        time.sleep(0.2)
        read()

    def use():
        together.wait()
        seen.append(sentence(lambda: vae.encode(torch.zeros(1, 64, 64, 3))) or vae.latent_channels)

    with reading(slowly):
        users = [threading.Thread(target=use) for _ in range(THREADS)]
        for user in users:
            user.start()
        for user in users:
            user.join()
    return {"reads": len(reads), "seen": seen}


def short_of_memory(path) -> dict:
    vae = lazy_vae.LazyVAE(path)

    def fail(read):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    with reading(fail):
        said = sentence(lambda: vae.latent_channels)
    return {"said": said, "later": vae.latent_channels}


def probed(path) -> dict:
    """What a VAE that was never read answers to whoever looks at any output, and what reads it after all."""
    vae = lazy_vae.LazyVAE(path)
    with reading(lambda read: (_ for _ in ()).throw(AssertionError("the VAE was read"))):
        said = sentence(
            lambda: (
                [getattr(vae, name, None) for name in ("patcher", "size", "get_models", "model", "shape", "outputs")],
                [hasattr(vae, name) for name in ("patcher", "get_models", "__len__", "numel", "get_ram_usage")],
                [vae.is_dynamic(), vae.get_ram_usage(), vae.model_size(), vae.patcher.is_dynamic()],
                (repr(vae), bool(vae), hash(vae), vae == vae, copy.copy(vae)),
            )
        )
        patcher = isinstance(vae.patcher, comfy.model_patcher.ModelPatcher)
        used = [sentence(use) for use in (lambda: vae.patcher.load_device, lambda: vae.latent_channels, vae.get_sd)]
    return {
        "said": said,
        "is a patcher": patcher,
        "used": used,
        "later": [vae.latent_channels, isinstance(vae.patcher.clone(), comfy.model_patcher.ModelPatcher)],
    }


def computes_in(inner, dtype: torch.dtype) -> str:
    """In what the unconditional half goes through the network once core's ModelComputeDtype has asked for `dtype`."""
    seen, network, loaded = [], inner.diffusion_model.denoising_unet, inner.manual_cast_dtype
    network.forward = lambda latents, *rest: seen.append(latents.dtype) or torch.zeros_like(latents)
    inner.manual_cast_dtype = dtype
    latents = torch.zeros(2, 4, 8, 8)
    try:
        half_payload = payload.ClipPayload(None, *latents.shape[::2], 8, windows)
        half = inner.extra_conds(**{payload.PAYLOAD: half_payload}, noise=latents, device="cpu")[payload.PAYLOAD].cond
        inner.diffusion_model(latents, torch.full((2,), 500.0), echomimic=[half])
    finally:
        del network.forward
        inner.manual_cast_dtype = loaded
    return str(seen[0])


def true_width() -> dict:
    """The demo's VAE, trained at half of TAESD's width: as this pack reads it, and as ComfyUI reads all its zeros."""
    path = PACK / "demo" / "models" / "nano.safetensors"
    file, prefix = load("echomimicv2.echomimic_core.files.vae").inside(path)
    ours, wide = lazy_vae.LazyVAE(path), comfy.sd.VAE(sd=file.state_dict(prefix, copy=True))
    latents = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    decoded = ours.decode(latents)
    weights = file.state_dict(prefix)
    network = block_vae.own_vae(weights).first_stage_model

    def in_the_file() -> int:
        return len({p.data_ptr() for p in network.parameters()} & {x.data_ptr() for x in weights.values()})

    before = in_the_file()
    lazy_vae.leave_file(network, weights)
    return {
        "decoded": float((decoded - wide.decode(latents)).abs().max()),
        "encoded": float((ours.encode(decoded) - wide.encode(decoded)).abs().max()),
        "width": ours.first_stage_model.taesd_decoder[1].weight.shape[0],
        "in the file": [before, in_the_file()],
        "again": ours.patcher.cached_patcher_init[0](*ours.patcher.cached_patcher_init[1]).model_size(),
        "size": ours.patcher.model_size(),
    }


def saved_of(model, encoder) -> dict:
    found = {}
    for name, given in (("whole", encoder), ("deaf", None)):
        save_model.execute(model, name + " again", "auto", audio_encoder=given)
        with safe_open(FOLDER / f"{name} again.safetensors", framework="pt") as file:
            found[name] = file.metadata()
    return found


with torch.no_grad():
    path = write_model()
    opened = checkpoints.open_one_file(path)
    model, _ = files.load_models(opened, torch.float32)
    results = {
        "many first users": many_first_users(path),
        "probed": probed(path),
        "true width": true_width(),
        "short of memory": short_of_memory(path),
        "computes in": [computes_in(model.model, dtype) for dtype in (torch.bfloat16, None)],
        "not there": sentence(lambda: files.open_model("accelerated", [str(FOLDER)])),
        "saved": saved_of(model, files.load_audio_encoder(opened, "auto", [str(FOLDER)])),
    }
    del opened
    build.write_tiny_model(path)
    results["changed"] = sentence(lambda: save_model.execute(model, "changed", "auto"))
    path.unlink()
    results["gone"] = sentence(lambda: save_model.execute(model, "gone", "auto"))
print(json.dumps(results))
