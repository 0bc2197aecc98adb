"""`render` without ComfyUI makes the clip that the graph makes."""

import pytest
from comfy_workflow import change
from prompts import SIZE, small
from test_main_job import load_latent
from tiny_models import MODEL_NAME, VAE_NAME

FRAMES, SEED = 12, 7


def test_a_clip_is_that_of_the_graph(comfy, object_info):
    pytest.importorskip("diffusers")
    from echomimic_core.config import LATENT_SCALE
    from echomimic_core.media.sound import read_mono
    from echomimic_core.pose.files import load_any
    from echomimic_core.render import ClipSettings, load_models
    from echomimic_core.render.clip import clip_latents
    from echomimic_core.render.jobs import read_picture

    prompt = small("talking_picture", object_info, frames=FRAMES, seed=SEED)
    change(prompt, "EchoMimicV2Loader", weight_dtype="float32")
    nodes = {node["class_type"]: (id, node["inputs"]) for id, node in prompt.items()}
    del prompt[nodes["SaveVideo"][0]]
    prompt["latent"] = {
        "class_type": "SaveLatent",
        "inputs": {"samples": [nodes["EchoMimicV2Sampler"][0], 0], "filename_prefix": "rendered"},
    }
    expected = load_latent(comfy.outputs(comfy.run(prompt)))

    files = {path.name: path for path in (comfy.base / "models").rglob("*") if path.is_file()}
    models = load_models(files[MODEL_NAME], files[VAE_NAME], files.get("whisper-tiny.safetensors"), device="cpu")
    inputs = comfy.base / "input"
    sampler = nodes["EchoMimicV2Sampler"][1]
    settings = ClipSettings(
        SEED, sampler["steps"], sampler["cfg"], SIZE, SIZE, FRAMES, align=False, pose_fit=sampler["pose_fit"]
    )
    found = clip_latents(
        models,
        read_picture(inputs / nodes["LoadImage"][1]["image"]),
        read_mono(inputs / nodes["LoadAudio"][1]["audio"]),
        load_any(inputs / nodes["EchoMimicV2LoadPose"][1]["folder"]),
        settings,
    )
    assert (found / LATENT_SCALE - expected).abs().max() < 1e-4 * expected.abs().max()
