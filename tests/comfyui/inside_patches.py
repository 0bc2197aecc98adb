"""Run inside ComfyUI's own Python: a model of sixteen channels in patches, with its own VAE, from its file; as JSON.

python inside_patches.py COMFYUI_FOLDER PACK_FOLDER MODEL_FILE
"""

import json

from started_comfyui import ARGUMENTS, load  # isort: skip

import torch

(MODEL,) = ARGUMENTS
checkpoints = load("echomimicv2.echomimic_core.files.checkpoints")
models = load("echomimicv2.echomimic_core.render.models")
clip = load("echomimicv2.echomimic_core.sampling.clip")
config = load("echomimicv2.echomimic_core.config")
loop = load("echomimicv2.echomimic_core.sampling.loop")
payloads = load("echomimicv2.bridge.payload")
files = load("echomimicv2.bridge.model_files")
sampling = load("echomimicv2.bridge.sampling")
lazy_vae = load("echomimicv2.bridge.vae")
denoiser = load("echomimicv2.echomimic_core.sampling.denoiser")
encode = load("echomimicv2.nodes.inputs.reference").EchoMimicV2ReferenceEncode
conditioning = load("echomimicv2.nodes.sampling.conditioning")

FRAMES, STEPS = 14, 3


def error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours - expected).norm() / expected.norm())


def sentence(function) -> str:
    try:
        function()
    except ValueError as wrong:
        return str(wrong)
    return ""


with torch.no_grad():
    model, network = files.load_models(checkpoints.open_one_file(MODEL), torch.float32)
    vae, core = lazy_vae.LazyVAE(MODEL), models.load_models(MODEL, device="cpu")
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 128, 128, 3, generator=generator)
    maps = torch.rand(FRAMES, 3, 128, 128, generator=generator)
    reference = encode.execute(network, vae, image, 128, 128, "crop").args[0]
    scaled = core.vae.encode(image.movedim(-1, 1))
    conditions = clip.ClipConditions(reference, None, lambda rows: maps[rows])
    windows = denoiser.WindowSettings()
    payload = payloads.ClipPayload(conditions, FRAMES, 16, 16, windows, channels=reference.channels)
    noise = torch.randn(FRAMES, 16, 16, 16, generator=generator)
    found = {"encoded": error(reference.latents * config.LATENT_SCALE, scaled)}
    for guidance in (1.0, 2.0):
        expected = loop.sample(core.denoiser, conditions, noise, config.SamplingConfig(STEPS, guidance))
        for name in ("original", "euler"):
            settings = sampling.SamplerSettings(0, STEPS, guidance, name)
            made = sampling.sample_clip(model, payload, settings, noise)
            found[f"{name} {guidance:g}"] = error(made * config.LATENT_SCALE, expected)
    pictures = core.vae.decode(expected).clamp(0, 1).movedim(1, -1)
    found["decoded"] = error(vae.decode(expected / config.LATENT_SCALE), pictures)
    found["latent"] = list(conditioning.empty_latent(payload, 24.0)["samples"].shape)
    four = payloads.ClipPayload(conditions, FRAMES, 16, 16, windows)
    found["refused"] = sentence(lambda: sampling.sample_clip(model, four, settings, noise[:, :4]))
print(json.dumps(found))
