"""Run inside ComfyUI's own Python: the original's sampling cases through core's samplers, errors as JSON.

python inside_comfyui.py COMFYUI_FOLDER PACK_FOLDER PARITY_FOLDER
"""

import json
from pathlib import Path

from started_comfyui import ARGUMENTS, load  # isort: skip

import comfy.samplers
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from safetensors.torch import load_file

(PARITY,) = ARGUMENTS
bridge = load("echomimicv2.bridge.model")
sampling = load("echomimicv2.bridge.sampling")
payload = load("echomimicv2.bridge.payload")
verify = load("echomimicv2.echomimic_core.parity.__main__")
clip = load("echomimicv2.echomimic_core.sampling.clip")
denoiser = load("echomimicv2.echomimic_core.sampling.denoiser")
schedule = load("echomimicv2.echomimic_core.sampling.schedule")
config = load("echomimicv2.echomimic_core.config")


class GivenNoise:
    """A NOISE that is the case's own."""

    seed = 0

    def __init__(self, noise: torch.Tensor):
        self.noise = noise

    def generate_noise(self, latent: dict) -> torch.Tensor:
        return self.noise


def run(case: dict, model, patcher, sampler_name: str, frames: int | None) -> float:
    """Relative error of a case's latents; cut to `frames`, against our own loop in plain torch."""
    expected = load_file(PARITY / case["file"])
    steps, context_frames, overlap = expected["settings"].tolist()
    maps = expected["pose_maps"][0].transpose(0, 1).float()[:frames]
    noise = expected["noise"][0].transpose(0, 1)[:frames].contiguous()
    conditions = clip.ClipConditions(
        model.reference(expected["ref_latents"]), clip.PackedAudio(expected["audio"][:frames]), lambda rows: maps[rows]
    )
    windows = denoiser.WindowSettings(context_frames, overlap)
    halves = [
        payload.as_conditioning(payload.ClipPayload(half, len(noise), *noise.shape[-2:], windows))
        for half in (conditions, None)
    ]
    guider = comfy.samplers.CFGGuider(patcher)
    guider.set_conds(*halves)
    guider.set_cfg(float(expected["guidance"]))
    original = sampler_name == "original"
    sampler = sampling.original_sampler(steps) if original else comfy.samplers.sampler_object(sampler_name)
    sigmas = schedule.trailing_sigmas(steps, end_at_zero=False)
    output = SamplerCustomAdvanced.execute(
        GivenNoise(noise), guider, sampler, sigmas, {"samples": torch.zeros_like(noise)}
    )
    latents = patcher.model.process_latent_in(output.args[0]["samples"])
    if frames is None:
        return verify.error(latents.transpose(0, 1)[None], expected["latents"])
    loop = load("echomimicv2.echomimic_core.sampling.loop")
    settings = config.SamplingConfig(steps, float(expected["guidance"]), context_frames, overlap)
    return verify.error(latents, loop.sample(model.denoiser, conditions, noise, settings))


index = json.loads((PARITY / "cases.json").read_text("utf-8"))
results = {}
with torch.no_grad():
    for case in index["cases"]:
        if case["kind"] != "sample":
            continue
        model = verify.Model(PARITY, index["models"][case["model"]], torch.device("cpu"), torch.float32)
        graph = bridge.GraphDenoiser(model.denoiser.denoising_unet, model.denoiser.pose_encoder)
        patcher = load("echomimicv2.bridge.patcher").make_patcher(
            bridge.EchoMimicModel(graph, model.config, config.STANDARD, None)
        )
        name = Path(case["file"]).stem
        results[name] = run(case, model, patcher, "original", None)
        if name == "sample_standard":
            results["12 frames"] = run(case, model, patcher, "original", 12)
            results["euler"] = run(case, model, patcher, "euler", None)
print(json.dumps(results))
