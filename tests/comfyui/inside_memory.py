"""Run inside ComfyUI's own Python: what its loader does with the released size on cards of several sizes; as JSON.

python inside_memory.py COMFYUI_FOLDER PACK_FOLDER

Networks lie on the meta device, and the card's free memory is only said: what ComfyUI makes of what our model asks for
is real, and so is the plan.
"""

import json
import logging
from dataclasses import replace

from started_comfyui import load  # isort: skip

import comfy.model_management
import comfy.ops
import comfy.sampler_helpers
import torch

bridge = load("echomimicv2.bridge.model")
config = load("echomimicv2.echomimic_core.config")
memory = load("echomimicv2.echomimic_core.sampling.memory")
networks = load("echomimicv2.echomimic_core.models.build").NETWORKS
patchers = load("echomimicv2.bridge.patcher")
payloads = load("echomimicv2.bridge.payload")
clips = load("echomimicv2.echomimic_core.sampling.clip")
denoisers = load("echomimicv2.echomimic_core.sampling.denoiser")
references = load("echomimicv2.echomimic_core.models.reference_unet")
runtime = load("echomimicv2.echomimic_core.runtime")

CARDS = (4, 6, 8, 12)
PIXELS = (512, 768, 1024)
FRAMES = (60, 14_400)
# What a system and a desktop keep of a card, in bytes.
TAKEN = 400 * 2**20
META = torch.device("meta")
manager = comfy.model_management


def released():
    """The released denoiser in float16, without numbers."""
    with META:
        factory = {"dtype": torch.float16, "operations": comfy.ops.manual_cast}
        parts = [networks[name](config.RELEASED, **factory) for name in ("denoising_unet", "pose_encoder")]
    inner = bridge.EchoMimicModel(bridge.GraphDenoiser(*parts), config.RELEASED, config.STANDARD, None)
    patcher = patchers.make_patcher(inner)
    patcher.load_device = patcher.offload_device = META
    return patcher


class Card:
    """Free memory of a card on which only one model's weights lie, and what is `held` besides."""

    def __init__(self, size: int, patcher):
        self.size, self.patcher, self.held = size * 2**30 - TAKEN, patcher, 0

    def free(self, device=None, torch_free_too=False):
        left = self.size - self.patcher.loaded_size() - self.held
        return (left, 0) if torch_free_too else left


def payload_of(pixels: int, frames: int):
    """A clip as `sample_clip` would hand it to ComfyUI: with guidance, by the original's sampler."""
    cells = pixels // 8
    reference = references.ReferenceFeatures([], cells, cells)
    given = payloads.ClipPayload(clips.ClipConditions(reference), frames, cells, cells, denoisers.WindowSettings())
    streamed = memory.streams(memory.LATENT_COPIES * given.latent_bytes)
    return replace(given, latent_copies=0 if streamed else memory.LATENT_COPIES)


def run(patcher, card_size: int, pixels: int, frames: int) -> dict:
    card = Card(card_size, patcher)
    manager.get_free_memory = card.free
    runtime.set_memory_hooks(lambda device: card.free(), lambda: None)
    payload = payload_of(pixels, frames)
    shape = (frames, 4, pixels // 8, pixels // 8)
    conds = {
        "positive": [{payloads.PAYLOAD: payload}],
        "negative": [{payloads.PAYLOAD: payload.unconditional()}],
    }
    comfy.sampler_helpers.prepare_sampling(patcher, shape, conds, patcher.model_options)
    patcher.model.current_patcher = patcher
    beside = card.free()
    noise = torch.zeros((), device=META).expand(shape)
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    try:
        batching = patcher.model.plan(noise, payload, META)
    finally:
        logging.getLogger().removeHandler(handler)
    size = patcher.model.run_size(*shape[2:], payload.run_shape)
    under_way = patcher.model.layers_under_way() if patcher.model.are_weights_streamed() else 0
    needed = memory.estimate(replace(size, weight_bytes=under_way), batching)
    # While windows run, everything but their activations is there already
    card.held = needed.conditions + needed.latents
    found = {
        "plan": [batching.windows, batching.halves_together, batching.chunk_elements],
        "needed": needed.sampling,
        "beside": beside,
        "weights": [patcher.loaded_size(), patcher.model_size()],
        "said": next(line for line in lines if "while sampling" in line),
        "together": together(patcher, payload, batching, shape),
    }
    card.held = 0
    patcher.detach()
    manager.current_loaded_models.clear()
    return found


def together(patcher, payload, batching, shape) -> bool:
    """Whether ComfyUI, asked for both halves of a batch of windows, would run them in one call."""
    half = payloads.PreparedHalf(shape[0], object(), payload.windows, memory.WindowRunner(batching))
    silent = payloads.PreparedHalf(shape[0], None, payload.windows, memory.WindowRunner())
    sizes = [payloads.ClipCond(given).size() for given in (half, silent)]
    frames = min(payload.windows.context_frames, shape[0]) * batching.windows
    asked = patcher.model.memory_required([2 * frames, *shape[1:]], {payloads.PAYLOAD: sizes})
    free = getattr(patcher, "get_free_memory", manager.get_free_memory)(META)
    return asked * 1.5 < free  # As in comfy.samplers._calc_cond_batch


manager.vram_state = manager.VRAMState.NORMAL_VRAM
manager.lowvram_available = True
manager.MIN_WEIGHT_MEMORY_RATIO = 0.0  # As on NVIDIA's
with torch.no_grad():
    model = released()
    print(json.dumps({f"{c} GB {p} {f}": run(model, c, p, f) for c in CARDS for p in PIXELS for f in FRAMES}))
