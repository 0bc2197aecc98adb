"""`render` without ComfyUI makes the clip that the graph makes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comfy_workflow import change
from prompts import SIZE, small
from test_main_job import load_latent
from tiny_models import MODEL_NAME, VAE_NAME

FRAMES, SEED = 12, 7


@pytest.mark.parametrize("pinned", [False, True])
def test_a_clip_is_that_of_the_graph(comfy, object_info, pinned):
    pytest.importorskip("diffusers")
    from echomimic_core.config import LATENT_SCALE
    from echomimic_core.media.picture import read_picture
    from echomimic_core.media.sound import read_mono
    from echomimic_core.pose.files import load_any
    from echomimic_core.render import ClipSettings, load_models
    from echomimic_core.render.clip import decoded, reference_of, sampled
    from echomimic_core.scene.pin import Pin, at_cells

    prompt = small("talking_picture", object_info, frames=FRAMES, seed=SEED)
    change(prompt, "EchoMimicV2Loader", weight_dtype="float32")
    nodes = {node["class_type"]: (id, node["inputs"]) for id, node in prompt.items()}
    del prompt[nodes["SaveVideo"][0]]
    prompt["latent"] = {
        "class_type": "SaveLatent",
        "inputs": {"samples": [nodes["EchoMimicV2Sampler"][0], 0], "filename_prefix": "rendered"},
    }
    prompt["decoded"] = {
        "class_type": "VAEDecode",
        "inputs": {"samples": [nodes["EchoMimicV2Sampler"][0], 0], "vae": [nodes["VAELoader"][0], 0]},
    }
    prompt["pictures"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["decoded", 0], "filename_prefix": f"rendered {pinned}"},
    }
    picture = nodes["LoadImage"][1]["image"]
    if pinned:
        prompt["mask"] = {"class_type": "LoadImageMask", "inputs": {"image": picture, "channel": "red"}}
        nodes["EchoMimicV2Sampler"][1].update(pin=["mask", 0], denoise=0.7)
    outputs = comfy.outputs(comfy.run(prompt))
    expected, pictures = load_latent(outputs), sorted(path for path in outputs if path.suffix == ".png")

    files = {path.name: path for path in (comfy.base / "models").rglob("*") if path.is_file()}
    models = load_models(files[MODEL_NAME], files[VAE_NAME], files.get("whisper-tiny.safetensors"), device="cpu")
    inputs = comfy.base / "input"
    sampler = nodes["EchoMimicV2Sampler"][1]
    # Version 0.1.0, which saved this workflow, made every clip a loop.
    settings = ClipSettings(SEED, sampler["steps"], sampler["cfg"], pose_fit=sampler["pose_fit"], loop=True)
    settings = replace(settings, denoise=0.7 if pinned else 1.0)
    photo = read_picture(inputs / picture)
    reference = reference_of(models, photo, SIZE, SIZE)
    mask = at_cells(torch.from_numpy(photo[None, ..., 0].copy()).float() / 255, SIZE // 8, SIZE // 8, "crop")
    with torch.no_grad():
        (found,) = sampled(
            models,
            reference,
            read_mono(inputs / nodes["LoadAudio"][1]["audio"]),
            load_any(inputs / nodes["EchoMimicV2LoadPose"][1]["folder"]),
            FRAMES,
            settings,
            Pin(reference.latents, mask) if pinned else None,
        )
    assert (found / LATENT_SCALE - expected).abs().max() < 1e-4 * expected.abs().max()
    frames = np.stack(list(decoded(models, found))).astype(int)
    assert np.abs(frames - np.stack([read_picture(path) for path in pictures])).max() <= 1
